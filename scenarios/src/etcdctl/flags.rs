//! Flags as `spf13/pflag` parses them, with its error texts.
//!
//! Models: github.com/spf13/pflag (flag.go, int64.go, duration.go, string_slice.go), Go strconv and time.ParseDuration.
//! Left out: quotes in lists.

use super::print::quote::quoted;

/// A flag a command knows.
#[derive(Debug)]
pub(crate) struct Flag {
    pub name: &'static str,
    /// One letter, or empty.
    pub short: &'static str,
    pub kind: Kind,
    /// As shown by `--help`.
    pub default: &'static str,
    pub usage: &'static str,
}

/// What a flag's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Uint,
    Text,
    List,
    Duration,
}

pub(crate) const fn flag(name: &'static str, kind: Kind, default: &'static str, usage: &'static str) -> Flag {
    Flag { name, short: "", kind, default, usage }
}

/// A parsed command line.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    known: Vec<&'static Flag>,
    values: Vec<(&'static str, String)>,
    /// What is no flag.
    pub args: Vec<String>,
    /// Where `--` stood among `args`.
    pub dash: Option<usize>,
    /// Whether `--help` was given.
    pub help: bool,
}

impl Parsed {
    /// Whether the flag was given.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.iter().any(|(n, _)| *n == name)
    }

    /// The flag's value, or its default.
    pub fn text(&self, name: &str) -> &str {
        let given = self.values.iter().rev().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        given.or_else(|| self.known.iter().find(|f| f.name == name).map(|f| f.default)).unwrap_or("")
    }

    pub fn on(&self, name: &str) -> bool {
        truth(self.text(name)).unwrap_or(false)
    }

    pub fn integer(&self, name: &str) -> i64 {
        parse_int(self.text(name), 0).unwrap_or(0)
    }

    /// The elements of a list; one given several times is one list.
    pub fn list(&self, name: &str) -> Vec<String> {
        let mut given = self.values.iter().filter(|(n, _)| *n == name).map(|(_, value)| value.as_str()).peekable();
        let elements = |text: &str| -> Vec<String> {
            if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_string).collect() }
        };
        match given.peek() {
            Some(_) => given.flat_map(elements).collect(),
            None => elements(self.text(name).trim_matches(['[', ']'])),
        }
    }

    /// [ns]
    pub fn duration(&self, name: &str) -> u64 {
        parse_duration(self.text(name)).and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0)
    }

    /// Sets a flag that was not given, as an environment variable does.
    pub fn set_default(&mut self, flag: &'static Flag, value: &str) -> Result<(), String> {
        match self.is_set(flag.name) {
            true => Ok(()),
            false => self.set(flag, value),
        }
    }

    fn set(&mut self, flag: &'static Flag, value: &str) -> Result<(), String> {
        let why = match flag.kind {
            Kind::Bool if truth(value).is_none() => {
                format!("strconv.ParseBool: parsing {}: invalid syntax", quoted(value))
            }
            Kind::Int => parse_int(value, 0).err().unwrap_or_default(),
            Kind::Uint => parse_uint(value, 0).err().unwrap_or_default(),
            Kind::Duration if parse_duration(value).is_none() => format!("time: invalid duration {}", quoted(value)),
            _ => String::new(),
        };
        if !why.is_empty() {
            let name = match flag.short {
                "" => format!("--{}", flag.name),
                short => format!("-{short}, --{}", flag.name),
            };
            return Err(format!("invalid argument {} for {} flag: {why}", quoted(value), quoted(&name)));
        }
        self.values.push((flag.name, value.into()));
        Ok(())
    }
}

/// Parses `argv`, in which flags and arguments may be mixed.
pub(crate) fn parse(argv: &[String], known: Vec<&'static Flag>) -> Result<Parsed, String> {
    let mut parsed = Parsed { known, ..Parsed::default() };
    let mut rest = argv.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            parsed.dash = Some(parsed.args.len());
            parsed.args.extend(rest.by_ref().cloned());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let Some(flag) = parsed.known.iter().copied().find(|f| f.name == name) else {
                if name == "help" {
                    parsed.help = true;
                    continue;
                }
                return Err(format!("unknown flag: --{name}"));
            };
            match (value, flag.kind) {
                (Some(value), _) => parsed.set(flag, value)?,
                (None, Kind::Bool) => parsed.set(flag, "true")?,
                (None, _) => match rest.next() {
                    Some(value) => parsed.set(flag, value)?,
                    None => return Err(format!("flag needs an argument: --{name}")),
                },
            }
        } else if word.len() > 1 && word.starts_with('-') {
            shorthands(word, &mut rest, &mut parsed)?;
        } else {
            parsed.args.push(word.clone());
        }
    }
    Ok(parsed)
}

fn shorthands<'a>(word: &str, rest: &mut impl Iterator<Item = &'a String>, parsed: &mut Parsed) -> Result<(), String> {
    let mut letters = word.trim_start_matches('-');
    while let Some(letter) = letters.chars().next() {
        let after = &letters[letter.len_utf8()..];
        let mut buffer = [0; 4];
        let name: &str = letter.encode_utf8(&mut buffer);
        let Some(flag) = parsed.known.iter().copied().find(|f| f.short == name) else {
            if letter == 'h' {
                parsed.help = true;
                letters = after;
                continue;
            }
            return Err(format!("unknown shorthand flag: '{letter}' in -{letters}"));
        };
        if let Some(value) = after.strip_prefix('=') {
            return parsed.set(flag, value);
        }
        if flag.kind == Kind::Bool {
            parsed.set(flag, "true")?;
            letters = after;
            continue;
        }
        if !after.is_empty() {
            return parsed.set(flag, after);
        }
        return match rest.next() {
            Some(value) => parsed.set(flag, value),
            None => Err(format!("flag needs an argument: '{letter}' in -{letters}")),
        };
    }
    Ok(())
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// strconv.ParseInt with 64 bits; the error is its text. Base 0 takes the base from the prefix.
pub(crate) fn parse_int(text: &str, base: u32) -> Result<i64, String> {
    parse_number(text, base, "ParseInt", true).and_then(|n| i64::try_from(n).map_err(|_| range("ParseInt", text)))
}

/// strconv.ParseUint with 64 bits; the error is its text.
pub(crate) fn parse_uint(text: &str, base: u32) -> Result<u64, String> {
    parse_number(text, base, "ParseUint", false).and_then(|n| u64::try_from(n).map_err(|_| range("ParseUint", text)))
}

fn parse_number(text: &str, base: u32, function: &str, signed: bool) -> Result<i128, String> {
    let syntax = || format!("strconv.{function}: parsing {}: invalid syntax", quoted(text));
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') if signed => (true, &text[1..]),
        Some(b'+') if signed => (false, &text[1..]),
        _ => (false, text),
    };
    let prefix = digits.get(..2).unwrap_or("").to_ascii_lowercase();
    let (base, digits) = match (base, prefix.as_str()) {
        (0, "0x") => (16, &digits[2..]),
        (0, "0o") => (8, &digits[2..]),
        (0, "0b") => (2, &digits[2..]),
        (0, _) if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        (0, _) => (10, digits),
        (base, _) => (base, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(syntax());
    }
    let value = digits.trim_start_matches('0');
    let value = if value.is_empty() { "0" } else { value };
    let magnitude = i128::from_str_radix(value, base).map_err(|_| range(function, text))?;
    Ok(if negative { -magnitude } else { magnitude })
}

fn range(function: &str, text: &str) -> String {
    format!("strconv.{function}: parsing {}: value out of range", quoted(text))
}

/// time.ParseDuration. [ns]
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (value, tail) = rest.split_at(number);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        if whole.len() + fraction.len() == 0 || whole.len() > 18 || fraction.contains('.') {
            return None;
        }
        total += whole.parse::<i128>().unwrap_or(0) * scale;
        let fraction = fraction.get(..fraction.len().min(12))?;
        if !fraction.is_empty() {
            let digits = u32::try_from(fraction.len()).ok()?;
            total += fraction.parse::<i128>().ok()? * scale / 10_i128.pow(digits);
        }
        rest = tail;
    }
    i64::try_from(total * sign).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        flag("rev", Kind::Int, "0", ""),
        flag("prefix", Kind::Bool, "false", ""),
        Flag { name: "write-out", short: "w", kind: Kind::Text, default: "simple", usage: "" },
        flag("endpoints", Kind::List, "[127.0.0.1:2379]", ""),
    ];

    fn parsed(line: &str) -> Result<Parsed, String> {
        let argv: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        parse(&argv, FLAGS.iter().collect())
    }

    #[test]
    fn flags_and_arguments_may_be_mixed() {
        let line = parsed("foo -wjson --rev 3 bar --prefix --endpoints=a,b -- --x").expect("valid");
        assert_eq!(line.args, ["foo", "bar", "--x"]);
        assert_eq!(
            (line.dash, line.integer("rev"), line.on("prefix"), line.text("write-out")),
            (Some(2), 3, true, "json")
        );
        assert_eq!(line.list("endpoints"), ["a", "b"]);
        assert_eq!(parsed("").expect("valid").list("endpoints"), ["127.0.0.1:2379"]);
        assert!(parsed("--endpoints=").expect("valid").list("endpoints").is_empty());
    }

    #[test]
    fn mistakes_are_named_as_pflag_names_them() {
        let error = |line: &str| parsed(line).expect_err("invalid");
        assert_eq!(error("--foo"), "unknown flag: --foo");
        assert_eq!(error("-1"), "unknown shorthand flag: '1' in -1");
        assert_eq!(error("--rev"), "flag needs an argument: --rev");
        assert_eq!(
            error("--rev=x"),
            r#"invalid argument "x" for "--rev" flag: strconv.ParseInt: parsing "x": invalid syntax"#
        );
    }

    #[test]
    fn durations_and_numbers_are_go_s() {
        assert_eq!(parse_duration("1m1.5s"), Some(61_500_000_000));
        assert_eq!(parse_duration("5"), None);
        assert_eq!(parse_int("7fffffffffffffff", 16), Ok(i64::MAX));
        assert!(parse_int("8000000000000000", 16).expect_err("too large").ends_with("value out of range"));
        assert!(parse_uint("-1", 16).is_err());
    }
}
