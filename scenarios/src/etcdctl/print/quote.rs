//! Go's quoted strings.
//!
//! Models: Go strconv (Quote, Unquote), fmt's `%q`. Left out: the full table of printable runes.

/// `%q` of a string.
pub(crate) fn quoted(text: &str) -> String {
    quoted_bytes(text.as_bytes())
}

/// `%q` of bytes that may be no UTF-8.
pub(crate) fn quoted_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(&mut out, c));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

fn push(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if c != ' ' && (c.is_control() || c.is_whitespace()) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push(c),
    }
}

/// The string literal `text` begins with, and what follows it.
pub(crate) fn unquoted(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        return raw.split_once('`').map(|(inside, rest)| (inside.to_string(), rest));
    }
    let mut rest = text.strip_prefix('"')?;
    let mut out: Vec<u8> = Vec::new();
    loop {
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some((String::from_utf8_lossy(&out).into_owned(), rest)),
            '\n' => return None,
            '\\' => rest = escape(&mut out, rest)?,
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Reads what follows a backslash.
fn escape<'a>(out: &mut Vec<u8>, text: &'a str) -> Option<&'a str> {
    let c = text.chars().next()?;
    let rest = &text[c.len_utf8()..];
    let digits = |text: &'a str, count: usize, base: u32| {
        let digits = text.get(..count)?;
        Some((u32::from_str_radix(digits, base).ok()?, &text[count..]))
    };
    let byte = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' | '"' => c as u8,
        'x' => {
            let (value, rest) = digits(rest, 2, 16)?;
            out.push(u8::try_from(value).ok()?);
            return Some(rest);
        }
        '0'..='7' => {
            let (value, rest) = digits(text, 3, 8)?;
            out.push(u8::try_from(value).ok()?);
            return Some(rest);
        }
        'u' | 'U' => {
            let (value, rest) = digits(rest, if c == 'u' { 4 } else { 8 }, 16)?;
            out.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(rest);
        }
        _ => return None,
    };
    out.push(byte);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_is_go_s() {
        assert_eq!(quoted("a \"b\"\\\n\u{1}é"), r#""a \"b\"\\\n\x01é""#);
        assert_eq!(quoted_bytes(b"k8s\x00\xff"), r#""k8s\x00\xff""#);
    }

    #[test]
    fn unquoting_reads_escapes_and_stops_at_the_end() {
        assert_eq!(unquoted(r#""a\x41\t\101\u00e9" rest"#), Some(("aA\tAé".into(), " rest")));
        assert_eq!(unquoted("`raw\\`x"), Some(("raw\\".into(), "x")));
        assert_eq!(unquoted(r#""open"#), None);
        assert_eq!(unquoted(r#""bad\q""#), None);
    }
}
