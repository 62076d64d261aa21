//! Commands whose answer is always the same here: authentication is off, and no downgrade is under way. They ask a
//! member nevertheless, and fail as the others do if none answers.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/auth_command.go, user_command.go, role_command.go, downgrade_command.go,
//! check.go. Left out: turning these things on, checks, formats but `simple`.

use super::EtcdCall;
use super::commands::{API_VERSION, Format, client};
use super::failure::{BAD_FEATURE, ERROR, Failure};
use super::flags::Parsed;
use super::session::{Session, Step};

/// The only version an etcd of this version can be downgraded to: one minor version less.
const DOWNGRADE_TARGET: &str = "3.5";

/// `auth status`
pub(crate) fn auth_status(s: &mut Session, _: &Parsed) -> Step<()> {
    ask(s)?;
    s.print("Authentication Status: false\nAuthRevision: 1\n");
    Ok(())
}

/// `user list`, `role list`: there are none.
pub(crate) fn none_listed(s: &mut Session, _: &Parsed) -> Step<()> {
    ask(s)
}

/// `downgrade validate VERSION`
pub(crate) fn downgrade_validate(s: &mut Session, line: &Parsed) -> Step<()> {
    let [target] = line.args.as_slice() else {
        let why = if line.args.is_empty() { "TARGET_VERSION not provided" } else { "too many arguments" };
        return Err(Failure::arguments(why).into());
    };
    ask(s)?;
    if target.trim_end_matches(".0") != DOWNGRADE_TARGET {
        return Err(Failure::new(ERROR, "etcdserver: invalid downgrade target version").into());
    }
    s.print(&format!("Downgrade validate success, cluster version {API_VERSION}\n"));
    Ok(())
}

/// `check perf`: looks at its option only.
pub(crate) fn check_perf(_: &mut Session, line: &Parsed) -> Step<()> {
    Err(match line.text("load").to_ascii_lowercase().as_str() {
        "s" | "small" | "m" | "medium" | "l" | "large" | "xl" | "xlarge" => {
            Failure::new(ERROR, "etcdctl check perf is not part of this simulation")
        }
        _ => Failure::new(BAD_FEATURE, format!("unknown load option {}", line.text("load"))),
    }
    .into())
}

fn ask(s: &mut Session) -> Step<()> {
    let (endpoints, deadline) = (client(s)?, s.deadline());
    if s.settings.format != Format::Simple {
        return Err(Failure::new(BAD_FEATURE, "only the format simple is part of this simulation").into());
    }
    s.request(&endpoints, EtcdCall::Status, deadline)?.map_err(|why| Failure::new(ERROR, why))?;
    Ok(())
}
