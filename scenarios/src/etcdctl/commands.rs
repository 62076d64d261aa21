//! The commands of both tools, how one is found, and what all have in common.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/ctl.go, etcdutl/ctl.go, etcdctl/ctlv3/command/global.go; github.com/spf13/cobra
//! command.go (finding, suggestions). Left out: TLS and authentication flags are taken and ignored.

use super::Tool;
use super::failure::{BAD_CONNECTION, BAD_FEATURE, ERROR, Failure};
use super::flags::Kind::{Bool, Duration, Int, List, Text, Uint};
use super::flags::{Flag, Parsed, flag, parse};
use super::session::{Session, Step};
use super::{endpoint, help, kv, lease, maintenance, member, txn, util_commands, watch};

/// The version both tools and the servers have.
pub(crate) const VERSION: &str = "3.6.13";
/// The version of the API.
pub(crate) const API_VERSION: &str = "3.6";

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Simple,
    Json,
    Fields,
    Table,
    Protobuf,
}

/// The values of the flags all commands share.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub endpoints: Vec<String>,
    /// [ns]
    pub command_timeout: u64,
    pub command_timeout_set: bool,
    pub format: Format,
    format_name: String,
    pub hex: bool,
    /// 0 is the default. [bytes]
    pub max_request_bytes: u64,
}

/// One command.
pub(crate) struct Command {
    /// Such as `lease grant`.
    pub name: &'static str,
    /// Its arguments, as usage shows them.
    pub arguments: &'static str,
    pub short: &'static str,
    pub flags: &'static [Flag],
    /// None: not part of this program.
    run: Option<Verb>,
}

type Verb = fn(&mut Session, &Parsed) -> Step<()>;

/// A command that has only subcommands.
pub(crate) struct Group {
    pub name: &'static str,
    pub short: &'static str,
    /// Flags of all its subcommands.
    pub flags: &'static [Flag],
}

/// What usage is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    Root,
    Group(&'static Group),
    Command(&'static Command),
}

const fn command(
    name: &'static str,
    arguments: &'static str,
    short: &'static str,
    flags: &'static [Flag],
    run: Verb,
) -> Command {
    Command { name, arguments, short, flags, run: Some(run) }
}

const fn absent(name: &'static str, short: &'static str) -> Command {
    Command { name, arguments: "", short, flags: &[], run: None }
}

const CLUSTER: &[Flag] = &[flag("cluster", Bool, "false", "use all endpoints from the cluster member list")];
const PEER_URLS: Flag = flag("peer-urls", Text, "", "comma separated peer URLs for the member.");

/// etcdctl's groups.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "alarm", short: "Alarm related commands", flags: &[] },
    Group { name: "auth", short: "Enable or disable authentication", flags: &[] },
    Group { name: "check", short: "commands for checking properties of the etcd cluster", flags: &[] },
    Group { name: "downgrade", short: "Downgrade related commands", flags: &[] },
    Group { name: "endpoint", short: "Endpoint related commands", flags: CLUSTER },
    Group { name: "lease", short: "Lease related commands", flags: &[] },
    Group { name: "member", short: "Membership related commands", flags: &[] },
    Group { name: "role", short: "Role related commands", flags: &[] },
    Group { name: "snapshot", short: "Manages etcd node snapshots", flags: &[] },
    Group { name: "user", short: "User related commands", flags: &[] },
];

/// etcdctl's commands, in the order of its help.
pub(crate) const COMMANDS: &[Command] = &[
    command("alarm disarm", "", "Disarms all alarms", &[], maintenance::alarm_disarm),
    command("alarm list", "", "Lists all alarms", &[], maintenance::alarm_list),
    absent("auth disable", "Disables authentication"),
    absent("auth enable", "Enables authentication"),
    absent("auth status", "Returns authentication status"),
    absent(
        "check datascale",
        "Check the memory usage of holding data for different workloads on a given server endpoint.",
    ),
    absent("check perf", "Check the performance of the etcd cluster"),
    command(
        "compaction",
        "[options] <revision>",
        "Compacts the event history in etcd",
        &[flag(
            "physical",
            Bool,
            "false",
            "'true' to wait for compaction to physically remove all old revisions",
        )],
        maintenance::compaction,
    ),
    absent("completion", "Generate completion script"),
    command(
        "defrag",
        "",
        "Defragments the storage of the etcd members with given endpoints",
        CLUSTER,
        maintenance::defrag,
    ),
    command(
        "del",
        "[options] <key> [range_end]",
        "Removes the specified key or range of keys [key, range_end)",
        kv::DEL_FLAGS,
        kv::del,
    ),
    absent("downgrade cancel", "Cancel the ongoing downgrade action to cluster"),
    absent("downgrade enable", "Start a downgrade action to cluster"),
    absent("downgrade validate", "Validate downgrade capability before starting downgrade"),
    absent("elect", "Observes and participates in leader election"),
    command(
        "endpoint hashkv",
        "",
        "Prints the KV history hash for each endpoint in --endpoints",
        &[flag("rev", Int, "0", "maximum revision to hash (default: latest revision)")],
        endpoint::hashkv,
    ),
    command(
        "endpoint health",
        "",
        "Checks the healthiness of endpoints specified in `--endpoints` flag",
        &[],
        endpoint::health,
    ),
    command(
        "endpoint status",
        "",
        "Prints out the status of endpoints specified in `--endpoints` flag",
        &[],
        endpoint::status,
    ),
    command("get", "[options] <key> [range_end]", "Gets the key or a range of keys", kv::GET_FLAGS, kv::get),
    absent("help", "Help about any command"),
    command("lease grant", "<ttl>", "Creates leases", &[], lease::grant),
    command(
        "lease keep-alive",
        "[options] <leaseID>",
        "Keeps leases alive (renew)",
        &[flag(
            "once",
            Bool,
            "false",
            "Resets the keep-alive time to its original value and cobrautl.Exits immediately",
        )],
        lease::keep_alive,
    ),
    command("lease list", "", "List all active leases", &[], lease::list),
    command("lease revoke", "<leaseID>", "Revokes leases", &[], lease::revoke),
    command(
        "lease timetolive",
        "<leaseID> [options]",
        "Get lease information",
        &[flag("keys", Bool, "false", "Get keys attached to this lease")],
        lease::time_to_live,
    ),
    absent("lock", "Acquires a named lock"),
    absent("make-mirror", "Makes a mirror at the destination etcd cluster"),
    command(
        "member add",
        "<memberName> [options]",
        "Adds a member into the cluster",
        &[flag("learner", Bool, "false", "indicates if the new member is raft learner"), PEER_URLS],
        member::add,
    ),
    command(
        "member list",
        "",
        "Lists all members in the cluster",
        &[flag("consistency", Text, "l", "Linearizable(l) or Serializable(s)")],
        member::list,
    ),
    command("member promote", "<memberID>", "Promotes a non-voting member in the cluster", &[], member::promote),
    command("member remove", "<memberID>", "Removes a member from the cluster", &[], member::remove),
    command(
        "member update",
        "<memberID> [options]",
        "Updates a member in the cluster",
        &[PEER_URLS],
        member::update,
    ),
    command(
        "move-leader",
        "<transferee-member-id>",
        "Transfers leadership to another etcd cluster member.",
        &[],
        maintenance::move_leader,
    ),
    command(
        "put",
        "[options] <key> <value> (<value> can also be given from stdin)",
        "Puts the given key into the store",
        kv::PUT_FLAGS,
        kv::put,
    ),
    absent("role add", "Adds a new role"),
    absent("role delete", "Deletes a role"),
    absent("role get", "Gets detailed information of a role"),
    absent("role grant-permission", "Grants a key to a role"),
    absent("role list", "Lists all roles"),
    absent("role revoke-permission", "Revokes a key from a role"),
    command(
        "snapshot save",
        "<filename>",
        "Stores an etcd node backend snapshot to a given file",
        &[],
        maintenance::snapshot_save,
    ),
    command("txn", "[options]", "Txn processes all the requests in one transaction", txn::FLAGS, txn::txn),
    absent("user add", "Adds a new user"),
    absent("user delete", "Deletes a user"),
    absent("user get", "Gets detailed information of a user"),
    absent("user grant-role", "Grants a role to a user"),
    absent("user list", "Lists all users"),
    absent("user passwd", "Changes password of user"),
    absent("user revoke-role", "Revokes a role from a user"),
    command("version", "", "Prints the version of etcdctl", &[], version),
    command(
        "watch",
        "[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]",
        "Watches events stream on keys or prefixes",
        watch::FLAGS,
        watch::watch,
    ),
];

/// etcdctl's global flags.
pub(crate) const GLOBALS: &[Flag] = &[
    flag("cacert", Text, "", "verify certificates of TLS-enabled secure servers using this CA bundle"),
    flag("cert", Text, "", "identify secure client using this TLS certificate file"),
    flag("command-timeout", Duration, "5s", "timeout for short running command (excluding dial timeout)"),
    flag("debug", Bool, "false", "enable client-side debug logging"),
    flag("dial-timeout", Duration, "2s", "dial timeout for client connections"),
    Flag {
        name: "discovery-srv",
        short: "d",
        kind: Text,
        default: "",
        usage: "domain name to query for SRV records describing cluster endpoints",
    },
    flag("discovery-srv-name", Text, "", "service name to query when using DNS discovery"),
    flag("endpoints", List, "[127.0.0.1:2379]", "gRPC endpoints"),
    flag("hex", Bool, "false", "print byte strings as hex encoded strings"),
    flag("insecure-discovery", Bool, "true", "accept insecure SRV records describing cluster endpoints"),
    flag(
        "insecure-skip-tls-verify",
        Bool,
        "false",
        "skip server certificate verification (CAUTION: this option should be enabled only for testing purposes)",
    ),
    flag("insecure-transport", Bool, "true", "disable transport security for client connections"),
    flag("keepalive-time", Duration, "2s", "keepalive time for client connections"),
    flag("keepalive-timeout", Duration, "6s", "keepalive timeout for client connections"),
    flag("key", Text, "", "identify secure client using this TLS key file"),
    flag(
        "max-recv-bytes",
        Int,
        "0",
        "client-side response receive limit in bytes (if 0, it defaults to \"math.MaxInt32\")",
    ),
    flag(
        "max-request-bytes",
        Uint,
        "0",
        "client-side request send limit in bytes (if 0, it defaults to 2.0 MiB (2 * 1024 * 1024).)",
    ),
    flag(
        "password",
        Text,
        "",
        "password for authentication (if this option is used, --user option shouldn't include password)",
    ),
    flag("user", Text, "", "username[:password] for authentication (prompt if password is not supplied)"),
    WRITE_OUT,
];

const WRITE_OUT: Flag = Flag {
    name: "write-out",
    short: "w",
    kind: Text,
    default: "simple",
    usage: "set the output format (fields, json, protobuf, simple, table)",
};

/// etcdutl's groups.
const UTIL_GROUPS: &[Group] = &[Group { name: "snapshot", short: "Manages etcd node snapshots", flags: &[] }];

/// etcdutl's commands.
const UTIL_COMMANDS: &[Command] = &[
    absent("completion", "Generate completion script"),
    command(
        "defrag",
        "",
        "Defragments the storage of the etcd",
        &[flag("data-dir", Text, "", "Required. Defragments a data directory not in use by etcd.")],
        util_commands::defrag,
    ),
    command(
        "hashkv",
        "<filename>",
        "Prints the KV history hash of a given file",
        &[flag("rev", Int, "0", "maximum revision to hash (default: latest revision)")],
        util_commands::hashkv,
    ),
    absent("help", "Help about any command"),
    absent("migrate", "Migrates schema of etcd data dir files to make them compatible with different etcd version"),
    command(
        "snapshot restore",
        "<filename> --data-dir {output dir} [options]",
        "Restores an etcd member snapshot to an etcd directory",
        util_commands::RESTORE_FLAGS,
        util_commands::snapshot_restore,
    ),
    command(
        "snapshot status",
        "<filename>",
        "Gets backend snapshot status of a given file",
        &[],
        util_commands::snapshot_status,
    ),
    command("version", "", "Prints the version of etcdutl", &[], version),
];

const UTIL_GLOBALS: &[Flag] = &[WRITE_OUT];

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Etcdctl => "etcdctl",
            Tool::Etcdutl => "etcdutl",
        }
    }

    pub(crate) fn commands(self) -> &'static [Command] {
        match self {
            Tool::Etcdctl => COMMANDS,
            Tool::Etcdutl => UTIL_COMMANDS,
        }
    }

    pub(crate) fn groups(self) -> &'static [Group] {
        match self {
            Tool::Etcdctl => GROUPS,
            Tool::Etcdutl => UTIL_GROUPS,
        }
    }

    pub(crate) fn globals(self) -> &'static [Flag] {
        match self {
            Tool::Etcdctl => GLOBALS,
            Tool::Etcdutl => UTIL_GLOBALS,
        }
    }
}

/// Runs the process's command line.
pub(crate) fn dispatch(s: &mut Session) -> Step<()> {
    let tool = s.process.tool;
    let (target, argv) = find(tool, &s.process.argv)?;
    let (group_flags, own): (&'static [Flag], &'static [Flag]) = match target {
        Target::Root => (&[], &[]),
        Target::Group(group) => (group.flags, &[]),
        Target::Command(command) => {
            (group_of(tool, command.name).map_or(&[] as &[Flag], |group| group.flags), command.flags)
        }
    };
    let known = tool.globals().iter().chain(group_flags).chain(own).collect();
    let mut line = match parse(&argv, known) {
        Ok(line) => line,
        Err(why) => {
            let text = format!("Error: {why}\n{}\n", help::usage(tool, target));
            return Err(Failure { exit_code: ERROR, text }.into());
        }
    };
    let run = match target {
        Target::Command(command) if command.name == "help" => {
            let (target, _) = find(tool, &line.args)?;
            s.print(&help::usage(tool, target));
            return Ok(());
        }
        Target::Command(command) if !line.help => command.run,
        _ => {
            s.print(&help::usage(tool, target));
            return Ok(());
        }
    };
    let Some(run) = run else {
        let name = if let Target::Command(command) = target { command.name } else { "" };
        return Err(Failure::new(ERROR, format!("{} {name} is not part of this simulation", tool.name())).into());
    };
    if tool == Tool::Etcdctl {
        environment(&mut line, &s.process.env).map_err(|why| Failure::new(ERROR, why))?;
    }
    s.settings = settings(&line);
    run(s, &line)
}

/// pkg/flags: flags that were not given are taken from the environment.
fn environment(line: &mut Parsed, env: &[(String, String)]) -> Result<(), String> {
    for flag in GLOBALS {
        let name = format!("ETCDCTL_{}", flag.name.to_ascii_uppercase().replace('-', "_"));
        if let Some((_, value)) = env.iter().rev().find(|(n, value)| *n == name && !value.is_empty()) {
            line.set_default(flag, value).map_err(|why| format!("invalid value for {name}: {why}"))?;
        }
    }
    Ok(())
}

fn settings(line: &Parsed) -> Settings {
    let format_name = line.text("write-out").to_string();
    Settings {
        endpoints: line.list("endpoints"),
        command_timeout: line.duration("command-timeout"),
        command_timeout_set: line.is_set("command-timeout"),
        format: match format_name.as_str() {
            "json" => Format::Json,
            "fields" => Format::Fields,
            "table" => Format::Table,
            "protobuf" => Format::Protobuf,
            _ => Format::Simple,
        },
        format_name,
        hex: line.on("hex"),
        max_request_bytes: u64::try_from(line.integer("max-request-bytes")).unwrap_or(0),
    }
}

/// What etcdctl checks when it makes a client: the output format, then the endpoints.
pub(crate) fn client(s: &Session) -> Step<Vec<String>> {
    display(s)?;
    if s.settings.endpoints.is_empty() {
        return Err(Failure::new(BAD_CONNECTION, "etcdclient: no available endpoints").into());
    }
    Ok(s.settings.endpoints.clone())
}

/// Checks the output format.
pub(crate) fn display(s: &Session) -> Step<()> {
    match s.settings.format_name.as_str() {
        "simple" | "json" | "fields" | "table" | "protobuf" => Ok(()),
        _ => Err(Failure::new(BAD_FEATURE, "unsupported output format").into()),
    }
}

fn version(s: &mut Session, _: &Parsed) -> Step<()> {
    let name = s.process.tool.name();
    s.print(&format!("{name} version: {VERSION}\nAPI version: {API_VERSION}\n"));
    Ok(())
}

/// The group a command belongs to.
pub(crate) fn group_of(tool: Tool, command: &str) -> Option<&'static Group> {
    let (first, _) = command.split_once(' ')?;
    tool.groups().iter().find(|group| group.name == first)
}

/// Finds the command that `argv` names, and gives the rest of `argv`.
fn find(tool: Tool, argv: &[String]) -> Result<(Target, Vec<String>), Failure> {
    let mut rest = argv.to_vec();
    let Some(at) = next_word(tool, &rest, 0) else { return Ok((Target::Root, rest)) };
    let word = rest.remove(at);
    let mut names: Vec<&str> = tool.groups().iter().map(|g| g.name).collect();
    names.extend(tool.commands().iter().map(|c| c.name).filter(|name| !name.contains(' ')));
    let Some(name) = choose(&names, &word) else { return Err(unknown(tool, &names, &word)) };
    if let Some(command) = tool.commands().iter().find(|c| c.name == name) {
        return Ok((Target::Command(command), rest));
    }
    let Some(group) = tool.groups().iter().find(|g| g.name == name) else { return Ok((Target::Root, rest)) };
    let Some(at) = next_word(tool, &rest, at) else { return Ok((Target::Group(group), rest)) };
    let mut members = tool.commands().iter().filter_map(|c| c.name.strip_prefix(name)?.strip_prefix(' '));
    let names: Vec<&str> = members.by_ref().collect();
    let chosen = choose(&names, &rest[at]).map(|second| format!("{name} {second}"));
    match tool.commands().iter().find(|c| Some(c.name) == chosen.as_deref()) {
        Some(command) => {
            rest.remove(at);
            Ok((Target::Command(command), rest))
        }
        None => Ok((Target::Group(group), rest)),
    }
}

/// The next word from `from` on that is neither a flag nor a flag's value.
fn next_word(tool: Tool, argv: &[String], from: usize) -> Option<usize> {
    let takes_value = |word: &str| {
        let known = tool.globals().iter().find(|f| match word.strip_prefix("--") {
            Some(name) => f.name == name,
            None => !f.short.is_empty() && word.strip_prefix('-') == Some(f.short),
        });
        known.map_or(word.starts_with("--"), |flag| flag.kind != Bool)
    };
    let mut at = from;
    while let Some(word) = argv.get(at) {
        if word == "--" {
            return None;
        }
        if !word.starts_with('-') || word == "-" {
            return Some(at);
        }
        let skip = !word.contains('=') && !matches!(word.as_str(), "--help" | "--cluster") && takes_value(word);
        at += if skip { 2 } else { 1 };
    }
    None
}

/// The name itself, or the only one that begins with `word`.
fn choose<'a>(names: &[&'a str], word: &str) -> Option<&'a str> {
    if let Some(name) = names.iter().find(|name| **name == word) {
        return Some(name);
    }
    let mut candidates = names.iter().filter(|name| name.starts_with(word));
    match (candidates.next(), candidates.next()) {
        (Some(name), None) => Some(name),
        _ => None,
    }
}

fn unknown(tool: Tool, names: &[&str], word: &str) -> Failure {
    let name = tool.name();
    let mut text = format!("unknown command \"{word}\" for \"{name}\"");
    let mut near: Vec<&str> = names
        .iter()
        .copied()
        .filter(|n| distance(&word.to_lowercase(), n) <= 2 || n.starts_with(&word.to_lowercase()))
        .collect();
    near.sort_unstable();
    if !near.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        for name in near {
            text.push_str(&format!("\t{name}\n"));
        }
    }
    Failure::new(ERROR, format!("{text}\nRun '{name} --help' for usage."))
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
