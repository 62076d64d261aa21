//! `txn`: comparisons and operations read from standard input.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3/command/txn_command.go, util.go (Argify), client/v3/compare.go, among it that a
//! comparison of leases makes this version panic. Left out: the stack of a panic, the usage text after a mistake in an
//! operation's flags.

use super::commands::client;
use super::failure::{ERROR, Failure, INVALID_INPUT};
use super::flags::{Flag, Kind, parse, parse_int};
use super::kv::{DEL_FLAGS, GET_FLAGS, PUT_FLAGS, delete_call, put_call, range_call};
use super::print;
use super::print::quote::{quoted, unquoted};
use super::request_size::check_size;
use super::session::{Session, Step};
use super::{Compare, CompareTarget, EtcdCall, OpCall, Relation, TxnCall};

pub(crate) const FLAGS: &[Flag] = &[Flag {
    name: "interactive",
    short: "i",
    kind: Kind::Bool,
    default: "false",
    usage: "Input transaction in interactive mode",
}];

/// `txn`
pub(crate) fn txn(s: &mut Session, line: &super::flags::Parsed) -> Step<()> {
    if !line.args.is_empty() {
        return Err(Failure::arguments("txn command does not accept argument").into());
    }
    let endpoints = client(s)?;
    let interactive = line.on("interactive");
    let mut input = Input { rest: s.process.stdin.as_deref().unwrap_or("") };
    let prompt = |s: &mut Session, text: &str| {
        if interactive {
            s.print(text);
        }
    };
    let mut txn = TxnCall::default();
    prompt(s, "compares:\n");
    while let Some(line) = input.line()? {
        txn.compares.push(compare(line)?);
    }
    prompt(s, "success requests (get, put, del):\n");
    while let Some(line) = input.line()? {
        txn.success.push(operation(s, line)?);
    }
    prompt(s, "failure requests (get, put, del):\n");
    while let Some(line) = input.line()? {
        txn.failure.push(operation(s, line)?);
    }
    let call = EtcdCall::Txn(txn);
    check_size(&call, s.settings.max_request_bytes).map_err(|why| Failure::new(ERROR, why))?;
    let response = s.request(&endpoints, call, None)?.map_err(|why| Failure::new(ERROR, why))?;
    print::kv::response(s, response, false)
}

struct Input<'a> {
    rest: &'a str,
}

impl<'a> Input<'a> {
    /// The next line; None at the end of a section, which is an empty line.
    fn line(&mut self) -> Result<Option<&'a str>, Failure> {
        let Some((line, rest)) = self.rest.split_once('\n') else { return Err(Failure::new(INVALID_INPUT, "EOF")) };
        self.rest = rest;
        Ok(Some(line.trim()).filter(|line| !line.is_empty()))
    }
}

fn compare(line: &str) -> Result<Compare, Failure> {
    let malformed = |more: &str| Failure::new(INVALID_INPUT, format!("malformed comparison: {line}{more}"));
    let Some((target, terms)) = line.split_once('(') else { return Err(malformed("")) };
    let (count, key, relation, value) = scan(terms);
    if count != 3 {
        let got = format!("; got {target}({}) {relation} {}", quoted(&key), quoted(&value));
        return Err(malformed(&got));
    }
    let number = || {
        let invalid = |why| Failure::new(INVALID_INPUT, format!("invalid txn compare request: {line} ({why})"));
        parse_int(&value, 10).map_err(invalid)
    };
    let target = match target {
        "ver" | "version" => CompareTarget::Version(number()?),
        "c" | "create" => CompareTarget::Create(number()?),
        "m" | "mod" => CompareTarget::Mod(number()?),
        "val" | "value" => CompareTarget::Value(value.clone().into_bytes()),
        "lease" => {
            relation_of(&relation)?;
            return Err(Failure::panic("bad value"));
        }
        other => return Err(malformed(&format!(" (unknown target {other})"))),
    };
    Ok(Compare { key: key.into_bytes(), relation: relation_of(&relation)?, target })
}

fn relation_of(text: &str) -> Result<Relation, Failure> {
    match text {
        "=" => Ok(Relation::Equal),
        "!=" => Ok(Relation::NotEqual),
        ">" => Ok(Relation::Greater),
        "<" => Ok(Relation::Less),
        _ => Err(Failure::panic("Unknown result op")),
    }
}

/// Go's Sscanf with `%q) %s %q`: how many were read, and what.
fn scan(text: &str) -> (usize, String, String, String) {
    let none = String::new;
    let Some((key, rest)) = unquoted(text.trim_start()) else { return (0, none(), none(), none()) };
    let Some(rest) = rest.strip_prefix(')') else { return (1, key, none(), none()) };
    let rest = rest.trim_start();
    let (relation, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    if relation.is_empty() {
        return (1, key, none(), none());
    }
    match unquoted(rest.trim_start()) {
        Some((value, _)) => (3, key, relation.into(), value),
        None => (2, key, relation.into(), none()),
    }
}

fn operation(s: &mut Session, line: &str) -> Step<OpCall> {
    let words = argify(line)?;
    if words.len() < 2 {
        return Err(Failure::new(INVALID_INPUT, format!("invalid txn compare request: {line}")).into());
    }
    let invalid = || Failure::new(INVALID_INPUT, format!("invalid txn request: {line}"));
    let with = |flags: &'static [Flag]| parse(&words[1..], flags.iter().collect()).map_err(|_| invalid());
    match words[0].as_str() {
        "get" => Ok(OpCall::Range(range_call(&with(GET_FLAGS)?)?)),
        "put" => Ok(OpCall::Put(put_call(&with(PUT_FLAGS)?, None)?)),
        "del" => Ok(OpCall::Delete(delete_call(s, &with(DEL_FLAGS)?)?)),
        _ => Err(invalid().into()),
    }
}

/// Splits a line into words; quotes hold a word together at its beginning only.
fn argify(line: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if first == '\''
            && let Some(end) = rest[1..].find('\'')
        {
            words.push(rest[1..=end].to_string());
            rest = &rest[end + 2..];
        } else if first == '"'
            && let Some(end) = closing_quote(rest)
        {
            let (word, _) = unquoted(&rest[..=end]).ok_or_else(|| Failure::new(INVALID_INPUT, "invalid syntax"))?;
            words.push(word);
            rest = &rest[end + 1..];
        } else if first.is_whitespace() || first == '"' || first == '\'' {
            rest = &rest[first.len_utf8()..];
        } else {
            let (word, tail) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
            words.push(word.into());
            rest = tail;
        }
    }
    Ok(words)
}

/// Where the double quote that opens `text` is closed. [byte]
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_read_as_go_scans_them() {
        let read = compare(r#"mod("key 1") > "3""#).expect("valid");
        assert_eq!(read.key, b"key 1");
        assert_eq!((read.relation, read.target), (Relation::Greater, CompareTarget::Mod(3)));
        let text = |line: &str| compare(line).expect_err("invalid").text;
        assert_eq!(text("nonsense"), "Error: malformed comparison: nonsense\n");
        assert_eq!(
            text(r#"value("a") = 1"#),
            "Error: malformed comparison: value(\"a\") = 1; got value(\"a\") = \"\"\n"
        );
        assert_eq!(
            text(r#"mod("a") = "x""#),
            "Error: invalid txn compare request: mod(\"a\") = \"x\" \
             (strconv.ParseInt: parsing \"x\": invalid syntax)\n"
        );
        assert_eq!(compare(r#"value("a") ~ "1""#).expect_err("panics").exit_code, 2);
    }

    #[test]
    fn words_may_be_quoted() {
        let words = argify(r#"put key1 "two words" 'and more' x"y"#).expect("valid");
        assert_eq!(words, ["put", "key1", "two words", "and more", "x\"y"]);
    }
}
