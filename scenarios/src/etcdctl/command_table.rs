//! The commands, groups and global flags of both tools, as a table in the order of their help.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/ctl.go, etcdctl/ctlv3/command/*_command.go, etcdutl/ctl.go,
//! etcdutl/etcdutl/*_command.go. A command without a verb is known but not part of this program.

use super::Tool;
use super::commands::{Command, Group, Verb, version};
use super::flags::Kind::{Bool, Duration, Int, List, Text, Uint};
use super::flags::{Flag, flag};
use super::{endpoint, kv, lease, maintenance, member, txn, unchanging, util_commands, watch};

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
const GROUPS: &[Group] = &[
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
const COMMANDS: &[Command] = &[
    command("alarm disarm", "", "Disarms all alarms", &[], maintenance::alarm_disarm),
    command("alarm list", "", "Lists all alarms", &[], maintenance::alarm_list),
    absent("auth disable", "Disables authentication"),
    absent("auth enable", "Enables authentication"),
    command("auth status", "", "Returns authentication status", &[], unchanging::auth_status),
    absent(
        "check datascale",
        "Check the memory usage of holding data for different workloads on a given server endpoint.",
    ),
    command(
        "check perf",
        "[options]",
        "Check the performance of the etcd cluster",
        &[flag("load", Text, "s", "The performance check's workload model: s(small), m(medium), l(large), xl(xLarge)")],
        unchanging::check_perf,
    ),
    command(
        "compaction",
        "[options] <revision>",
        "Compacts the event history in etcd",
        &[flag("physical", Bool, "false", "'true' to wait for compaction to physically remove all old revisions")],
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
    command(
        "downgrade validate",
        "<TARGET_VERSION>",
        "Validate downgrade capability before starting downgrade",
        &[],
        unchanging::downgrade_validate,
    ),
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
    command("member update", "<memberID> [options]", "Updates a member in the cluster", &[PEER_URLS], member::update),
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
    command("role list", "", "Lists all roles", &[], unchanging::none_listed),
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
    command("user list", "", "Lists all users", &[], unchanging::none_listed),
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
const GLOBALS: &[Flag] = &[
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
