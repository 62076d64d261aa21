//! `member list|add|remove|promote|update`.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/member_command.go.

use super::commands::{Format, client};
use super::failure::{ERROR, Failure};
use super::flags::{Parsed, parse_uint};
use super::kv::unknown_consistency;
use super::print;
use super::print::quote::quoted;
use super::session::{Session, Step, out_of_order};
use super::{EtcdCall, Reply, Response};

/// `member list`
pub(crate) fn list(s: &mut Session, line: &Parsed) -> Step<()> {
    let linearizable = match line.text("consistency") {
        "l" => true,
        "s" => false,
        other => return Err(unknown_consistency(other).into()),
    };
    let response = send(s, EtcdCall::MemberList { linearizable })?;
    print::cluster::members(s, response)
}

/// `member add NAME`
pub(crate) fn add(s: &mut Session, line: &Parsed) -> Step<()> {
    let name = match line.args.as_slice() {
        [] => return Err(Failure::arguments("member name not provided").into()),
        [name] => name,
        more => {
            let urls = more.iter().filter(|arg| arg.to_ascii_lowercase().starts_with("http"));
            let hint: String = urls.map(|url| format!(", did you mean --peer-urls={url}")).collect();
            return Err(Failure::arguments(format!("too many arguments{hint}")).into());
        }
    };
    let peer_urls = peer_urls(line)?;
    let response = send(s, EtcdCall::MemberAdd { peer_urls, learner: line.on("learner") })?;
    print::cluster::member_changed(s, "added to", 0, response)?;
    if s.settings.format != Format::Simple {
        return Ok(());
    }
    let Reply::MemberAdded { member, members } = &response.reply else { return Err(out_of_order()) };
    let name_of = |id, own: &str| if id == member.id { name.clone() } else { own.to_string() };
    let cluster: Vec<String> = members
        .iter()
        .flat_map(|m| m.peer_urls.iter().map(move |url| format!("{}={url}", name_of(m.id, &m.name))))
        .collect();
    s.print(&format!(
        "\nETCD_NAME={}\nETCD_INITIAL_CLUSTER={}\nETCD_INITIAL_ADVERTISE_PEER_URLS={}\n\
         ETCD_INITIAL_CLUSTER_STATE=\"existing\"\n",
        quoted(name),
        quoted(&cluster.join(",")),
        quoted(line.text("peer-urls")),
    ));
    Ok(())
}

/// `member remove ID`
pub(crate) fn remove(s: &mut Session, line: &Parsed) -> Step<()> {
    let id = member_id(line)?;
    let response = send(s, EtcdCall::MemberRemove { id })?;
    print::cluster::member_changed(s, "removed from", id, response)
}

/// `member promote ID`
pub(crate) fn promote(s: &mut Session, line: &Parsed) -> Step<()> {
    let id = member_id(line)?;
    let response = send(s, EtcdCall::MemberPromote { id })?;
    print::cluster::member_changed(s, "promoted in", id, response)
}

/// `member update ID`
pub(crate) fn update(s: &mut Session, line: &Parsed) -> Step<()> {
    let id = member_id(line)?;
    let peer_urls = peer_urls(line)?;
    let response = send(s, EtcdCall::MemberUpdate { id, peer_urls })?;
    print::cluster::member_changed(s, "updated in", id, response)
}

fn send<'a>(s: &mut Session<'a>, call: EtcdCall) -> Step<&'a Response> {
    let (endpoints, deadline) = (client(s)?, s.deadline());
    s.request(&endpoints, call, deadline)?.map_err(|why| Failure::new(ERROR, why).into())
}

fn member_id(line: &Parsed) -> Result<u64, Failure> {
    let [id] = line.args.as_slice() else { return Err(Failure::arguments("member ID is not provided")) };
    parse_uint(id, 16).map_err(|why| Failure::arguments(format!("bad member ID arg ({why}), expecting ID in Hex")))
}

fn peer_urls(line: &Parsed) -> Result<Vec<String>, Failure> {
    match line.text("peer-urls") {
        "" => Err(Failure::arguments("member peer urls not provided")),
        urls => Ok(urls.split(',').map(str::to_string).collect()),
    }
}
