//! Whether bytes are JSON, and if not, what Go's decoder says.
//!
//! Models: Go's encoding/json scanner.go (checkValid).

/// Checks that the bytes are one JSON value.
///
/// # Errors
/// With Go's text: `invalid character 'o' in literal null (expecting 'u')`.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let mut scanner = Scanner { bytes, at: 0 };
    scanner.value(0)?;
    scanner.blanks();
    match scanner.bytes.get(scanner.at) {
        None => Ok(()),
        Some(byte) => Err(invalid(*byte, "after top-level value")),
    }
}

/// Deeper values are refused. Go: maxNestingDepth.
const DEEPEST: usize = 10_000;

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn invalid(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => "'\\''".to_owned(),
        b'\n' => "'\\n'".to_owned(),
        b'\t' => "'\\t'".to_owned(),
        b'\r' => "'\\r'".to_owned(),
        b'\\' => "'\\\\'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(byte)),
        0xa1..=0xac | 0xae..=0xff => format!("'{}'", char::from(byte)),
        byte => format!("'\\x{byte:02x}'"),
    };
    format!("invalid character {shown} {context}")
}

fn ended() -> String {
    "unexpected end of JSON input".to_owned()
}

impl Scanner<'_> {
    fn blanks(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = *self.bytes.get(self.at).ok_or_else(ended)?;
        self.at += 1;
        Ok(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err("exceeded max depth".to_owned());
        }
        self.blanks();
        match self.next()? {
            b'{' => self.members(depth),
            b'[' => self.items(depth),
            b'"' => self.text(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' => {
                let first = self.next()?;
                self.number(first)
            }
            first @ b'0'..=b'9' => self.number(first),
            other => Err(invalid(other, "looking for beginning of value")),
        }
    }

    fn members(&mut self, depth: usize) -> Result<(), String> {
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            match self.next()? {
                b'"' => self.text()?,
                other => return Err(invalid(other, "looking for beginning of object key string")),
            }
            self.blanks();
            match self.next()? {
                b':' => self.value(depth + 1)?,
                other => return Err(invalid(other, "after object key")),
            }
            self.blanks();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                other => return Err(invalid(other, "after object key:value pair")),
            }
        }
    }

    fn items(&mut self, depth: usize) -> Result<(), String> {
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.blanks();
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                other => return Err(invalid(other, "after array element")),
            }
        }
    }

    fn text(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let digit = self.next()?;
                            if !digit.is_ascii_hexdigit() {
                                return Err(invalid(digit, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    other => return Err(invalid(other, "in string escape code")),
                },
                control @ 0..=0x1f => return Err(invalid(control, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                let context = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(invalid(byte, &context));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            other => return Err(invalid(other, "in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn some_digits(&mut self, context: &str) -> Result<(), String> {
        let byte = self.next()?;
        if !byte.is_ascii_digit() {
            return Err(invalid(byte, context));
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_fine_and_mistakes_are_named() {
        for fine in ["{}", " [1, -2.5e3, \"a\\u00e9\", null, true] ", "0"] {
            assert_eq!(check(fine.as_bytes()), Ok(()), "{fine}");
        }
        let cases = [
            ("not json", "invalid character 'o' in literal null (expecting 'u')"),
            ("", "unexpected end of JSON input"),
            ("{auths", "invalid character 'a' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("'a'", "invalid character '\\'' looking for beginning of value"),
            ("01", "invalid character '1' after top-level value"),
        ];
        for (text, said) in cases {
            assert_eq!(check(text.as_bytes()), Err(said.to_owned()), "{text}");
        }
    }
}
