//! `lease grant|revoke|timetolive|list|keep-alive`.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/lease_command.go, client/v3/lease.go (keep-alive at a third of the TTL).

use super::Loop;
use super::commands::{Format, client};
use super::failure::{BAD_CONNECTION, DEADLINE, ERROR, Failure};
use super::flags::{Parsed, parse_int};
use super::print;
use super::session::{Session, Step, out_of_order};
use super::{EtcdCall, Reply};

const SECOND: i64 = 1_000_000_000;

/// Where a keep-alive loop stands.
#[derive(Clone, Debug)]
pub struct KeepAlive {
    /// When the lease ends if it is not kept alive. [ns since the Unix epoch]
    ends: i64,
    /// How long to wait before the next message. [ns]
    pause: u64,
}

/// `lease grant TTL`
pub(crate) fn grant(s: &mut Session, line: &Parsed) -> Step<()> {
    let [ttl] = line.args.as_slice() else {
        return Err(Failure::arguments("lease grant command needs TTL argument").into());
    };
    let ttl = parse_int(ttl, 10).map_err(|why| Failure::arguments(format!("bad TTL ({why})")))?;
    let (endpoints, deadline) = (client(s)?, s.deadline());
    let response = s
        .request(&endpoints, EtcdCall::LeaseGrant { ttl }, deadline)?
        .map_err(|why| Failure::new(ERROR, format!("failed to grant lease ({why})")))?;
    print::lease::granted(s, response)
}

/// `lease revoke ID`
pub(crate) fn revoke(s: &mut Session, line: &Parsed) -> Step<()> {
    let id = lease_id(line, "lease revoke command needs 1 argument")?;
    let (endpoints, deadline) = (client(s)?, s.deadline());
    let response = s
        .request(&endpoints, EtcdCall::LeaseRevoke { id }, deadline)?
        .map_err(|why| Failure::new(ERROR, format!("failed to revoke lease ({why})")))?;
    print::lease::revoked(s, id, response)
}

/// `lease timetolive ID`
pub(crate) fn time_to_live(s: &mut Session, line: &Parsed) -> Step<()> {
    let needs = "lease timetolive command needs lease ID as argument";
    let [_] = line.args.as_slice() else { return Err(Failure::arguments(needs).into()) };
    let endpoints = client(s)?;
    let id = lease_id(line, needs)?;
    let keys = line.on("keys");
    let response = s
        .request(&endpoints, EtcdCall::LeaseTimeToLive { id, keys }, None)?
        .map_err(|why| Failure::new(BAD_CONNECTION, why))?;
    print::lease::time_to_live(s, id, keys, response)
}

/// `lease list`
pub(crate) fn list(s: &mut Session, _: &Parsed) -> Step<()> {
    let endpoints = client(s)?;
    let response = s.request(&endpoints, EtcdCall::Leases, None)?.map_err(|why| Failure::new(BAD_CONNECTION, why))?;
    print::lease::listed(s, response)
}

/// `lease keep-alive ID`
pub(crate) fn keep_alive(s: &mut Session, line: &Parsed) -> Step<()> {
    let id = lease_id(line, "lease keep-alive command needs lease ID as argument")?;
    let endpoints = client(s)?;
    if line.on("once") {
        return keep_alive_once(s, &endpoints, id);
    }
    let mut state = match s.resumed() {
        Some(Loop::KeepAlive(state)) => state.clone(),
        // Until the first answer the client gives a lease its dial timeout and a second.
        _ => KeepAlive { ends: s.now.saturating_add(3 * SECOND), pause: 0 },
    };
    loop {
        s.checkpoint(|| Loop::KeepAlive(state.clone()));
        if state.pause > 0 {
            s.sleep(state.pause)?;
        }
        let response = match s.request(&endpoints, EtcdCall::LeaseKeepAlive { id }, Some(state.ends))? {
            Ok(response) => response,
            Err(why) if why == DEADLINE => break,
            Err(why) => return Err(Failure::new(BAD_CONNECTION, why).into()),
        };
        let Reply::LeaseKeepAlive { ttl } = &response.reply else { return Err(out_of_order()) };
        if *ttl <= 0 {
            break;
        }
        print::lease::kept_alive(s, id, response)?;
        let ttl = ttl.saturating_mul(SECOND);
        state = KeepAlive { ends: s.now.saturating_add(ttl), pause: (ttl / 3).unsigned_abs() };
    }
    if s.settings.format == Format::Simple {
        s.print(&format!("lease {id:016x} expired or revoked.\n"));
    }
    Ok(())
}

fn keep_alive_once(s: &mut Session, endpoints: &[String], id: i64) -> Step<()> {
    let response = s
        .request(endpoints, EtcdCall::LeaseKeepAlive { id }, None)?
        .map_err(|why| Failure::new(BAD_CONNECTION, why))?;
    match &response.reply {
        Reply::LeaseKeepAlive { ttl } if *ttl <= 0 => {
            Err(Failure::new(BAD_CONNECTION, "etcdserver: requested lease not found").into())
        }
        _ => print::lease::kept_alive(s, id, response),
    }
}

fn lease_id(line: &Parsed, needs: &str) -> Result<i64, Failure> {
    let [id] = line.args.as_slice() else { return Err(Failure::arguments(needs)) };
    parse_int(id, 16).map_err(|why| Failure::arguments(format!("bad lease ID arg ({why}), expecting ID in Hex")))
}
