//! `get`, `put`, `del`.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/get_command.go, put_command.go, del_command.go, client/v3/op.go.

use super::commands::{Format, client};
use super::failure::{BAD_ARGS, BAD_FEATURE, ERROR, Failure};
use super::flags::Kind::{Bool, Int, Text};
use super::flags::{Flag, Parsed, flag, parse_int};
use super::print;
use super::print::quote::quoted;
use super::request_size::check_size;
use super::session::{Session, Step};
use super::{DeleteCall, EtcdCall, Keys, PutCall, RangeCall, Response, SortOrder, SortTarget};

/// Time to think again before a range is deleted, [ns] – constant; etcd: 2 s.
const DELETE_PAUSE: u64 = 2_000_000_000;

pub(crate) const GET_FLAGS: &[Flag] = &[
    flag("consistency", Text, "l", "Linearizable(l) or Serializable(s)"),
    flag("count-only", Bool, "false", "Get only the count"),
    flag("from-key", Bool, "false", "Get keys that are greater than or equal to the given key using byte compare"),
    flag("keys-only", Bool, "false", "Get only the keys"),
    flag("limit", Int, "0", "Maximum number of results"),
    flag("max-create-rev", Int, "0", "Maximum create revision"),
    flag("max-mod-rev", Int, "0", "Maximum modification revision"),
    flag("min-create-rev", Int, "0", "Minimum create revision"),
    flag("min-mod-rev", Int, "0", "Minimum modification revision"),
    flag("order", Text, "", "Order of results; ASCEND or DESCEND (ASCEND by default)"),
    flag("prefix", Bool, "false", "Get keys with matching prefix"),
    flag("print-value-only", Bool, "false", "Only write values when using the \"simple\" output format"),
    flag("rev", Int, "0", "Specify the kv revision"),
    flag("sort-by", Text, "", "Sort target; CREATE, KEY, MODIFY, VALUE, or VERSION"),
];

pub(crate) const PUT_FLAGS: &[Flag] = &[
    flag("ignore-lease", Bool, "false", "updates the key using its current lease"),
    flag("ignore-value", Bool, "false", "updates the key using its current value"),
    flag("lease", Text, "0", "lease ID (in hexadecimal) to attach to the key"),
    flag("prev-kv", Bool, "false", "return the previous key-value pair before modification"),
];

pub(crate) const DEL_FLAGS: &[Flag] = &[
    flag("from-key", Bool, "false", "delete keys that are greater than or equal to the given key using byte compare"),
    flag("prefix", Bool, "false", "delete keys with matching prefix"),
    flag("prev-kv", Bool, "false", "return deleted key-value pairs"),
    flag("range", Bool, "false", "delete range of keys"),
];

/// `get KEY [RANGE_END]`
pub(crate) fn get(s: &mut Session, line: &Parsed) -> Step<()> {
    let range = range_call(line)?;
    let response = send(s, EtcdCall::Range(range))?;
    if line.on("count-only") && s.settings.format != Format::Fields {
        return Err(Failure::arguments("--count-only is only for `--write-out=fields`").into());
    }
    let value_only = line.on("print-value-only");
    if value_only && s.settings.format != Format::Simple {
        return Err(Failure::arguments("print-value-only is only for `--write-out=simple`").into());
    }
    print::kv::response(s, response, value_only)
}

/// `put KEY [VALUE]`
pub(crate) fn put(s: &mut Session, line: &Parsed) -> Step<()> {
    let put = put_call(line, s.process.stdin.as_deref())?;
    let response = send(s, EtcdCall::Put(put))?;
    print::kv::response(s, response, false)
}

/// `del KEY [RANGE_END]`
pub(crate) fn del(s: &mut Session, line: &Parsed) -> Step<()> {
    let delete = delete_call(s, line)?;
    let response = send(s, EtcdCall::DeleteRange(delete))?;
    print::kv::response(s, response, false)
}

fn send<'a>(s: &mut Session<'a>, call: EtcdCall) -> Step<&'a Response> {
    let endpoints = client(s)?;
    check_size(&call, s.settings.max_request_bytes).map_err(|why| Failure::new(ERROR, why))?;
    let deadline = s.deadline();
    let response = s.request(&endpoints, call, deadline)?;
    response.map_err(|why| Failure::new(ERROR, why).into())
}

/// The request `get` makes of its command line, alone or in a transaction.
pub(crate) fn range_call(line: &Parsed) -> Result<RangeCall, Failure> {
    let Some(key) = line.args.first() else {
        let why = "get command needs one argument as key and an optional argument as range_end";
        return Err(Failure::arguments(why));
    };
    exclusive(line, "prefix", "from-key")?;
    exclusive(line, "keys-only", "count-only")?;
    let serializable = match line.text("consistency") {
        "l" => false,
        "s" => true,
        other => return Err(unknown_consistency(other)),
    };
    let keys = keys(line, key)?;
    let order = match line.text("order").to_ascii_uppercase().as_str() {
        "" => SortOrder::None,
        "ASCEND" => SortOrder::Ascend,
        "DESCEND" => SortOrder::Descend,
        _ => return Err(Failure::new(BAD_FEATURE, format!("bad sort order {}", line.text("order")))),
    };
    let sort = match line.text("sort-by").to_ascii_uppercase().as_str() {
        "" | "KEY" => SortTarget::Key,
        "CREATE" => SortTarget::Create,
        "MODIFY" => SortTarget::Mod,
        "VALUE" => SortTarget::Value,
        "VERSION" => SortTarget::Version,
        _ => return Err(Failure::new(BAD_FEATURE, format!("bad sort target {}", line.text("sort-by")))),
    };
    // Keys come in ascending order anyway, so the client does not ask for it.
    let order = if (sort, order) == (SortTarget::Key, SortOrder::Ascend) { SortOrder::None } else { order };
    Ok(RangeCall {
        keys,
        revision: line.integer("rev").max(0),
        limit: line.integer("limit"),
        sort,
        order,
        serializable,
        keys_only: line.on("keys-only"),
        count_only: line.on("count-only"),
        min_mod_revision: line.integer("min-mod-rev"),
        max_mod_revision: line.integer("max-mod-rev"),
        min_create_revision: line.integer("min-create-rev"),
        max_create_revision: line.integer("max-create-rev"),
    })
}

/// The request `put` makes of its command line.
pub(crate) fn put_call(line: &Parsed, stdin: Option<&str>) -> Result<PutCall, Failure> {
    let needs = || Failure::arguments("put command needs 1 argument and input from stdin or 2 arguments");
    let key = line.args.first().ok_or_else(needs)?;
    let ignore_value = line.on("ignore-value");
    if ignore_value && line.args.len() > 1 {
        return Err(Failure::arguments("put command needs only 1 argument when 'ignore-value' is set"));
    }
    let value = match (ignore_value, line.args.get(1)) {
        (true, _) => None,
        (false, Some(value)) => Some(value.clone().into_bytes()),
        (false, None) => Some(stdin.filter(|text| !text.is_empty()).ok_or_else(needs)?.as_bytes().to_vec()),
    };
    let lease = parse_int(line.text("lease"), 16)
        .map_err(|why| Failure::arguments(format!("bad lease ID ({why}), expecting ID in Hex")))?;
    Ok(PutCall {
        key: key.clone().into_bytes(),
        value,
        lease,
        ignore_lease: line.on("ignore-lease"),
        prev_kv: line.on("prev-kv"),
    })
}

/// The request `del` makes of its command line.
pub(crate) fn delete_call(s: &mut Session, line: &Parsed) -> Step<DeleteCall> {
    let (1..=2, Some(key)) = (line.args.len(), line.args.first()) else {
        let why = "del command needs one argument as key and an optional argument as range_end";
        return Err(Failure::arguments(why).into());
    };
    exclusive(line, "prefix", "from-key")?;
    let keys = keys(line, key)?;
    if let (Some(end), false) = (line.args.get(1), line.on("range")) {
        s.error(&format!(
            "Warning: Keys between {} and {} will be deleted. Please interrupt the command within next 2 seconds to \
             cancel. You can provide `--range` flag to avoid the delay.\n",
            quoted(key),
            quoted(end)
        ));
        s.sleep(DELETE_PAUSE)?;
    }
    Ok(DeleteCall { keys, prev_kv: line.on("prev-kv") })
}

/// What `--consistency` other than `l` and `s` says.
pub(crate) fn unknown_consistency(given: &str) -> Failure {
    Failure::new(BAD_FEATURE, format!("unknown consistency flag {}", quoted(given)))
}

fn exclusive(line: &Parsed, one: &str, other: &str) -> Result<(), Failure> {
    match line.on(one) && line.on(other) {
        true => {
            let why = format!("`--{one}` and `--{other}` cannot be set at the same time, choose one");
            Err(Failure::new(BAD_ARGS, why))
        }
        false => Ok(()),
    }
}

fn keys(line: &Parsed, key: &str) -> Result<Keys, Failure> {
    let key = key.as_bytes().to_vec();
    let (prefix, from_key) = (line.on("prefix"), line.on("from-key"));
    match line.args.get(1) {
        Some(_) if prefix || from_key => {
            let why = "too many arguments, only accept one argument when `--prefix` or `--from-key` is set";
            Err(Failure::arguments(why))
        }
        // An empty end is no end.
        Some(end) if !end.is_empty() => Ok(Keys::Span { from: key, to: end.as_bytes().to_vec() }),
        _ if prefix => Ok(Keys::Prefix(key)),
        _ if from_key => Ok(Keys::From(key)),
        _ => Ok(Keys::One(key)),
    }
}
