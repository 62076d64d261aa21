//! The text form of label selectors, as `kubectl -l` and the `labelSelector` parameter have it: `a=b,c!=d,e in
//! (x,y),!f`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/labels/selector.go (Lexer, Parser) and their error
//! texts.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::super::labels;
use super::{Operator, Requirement, Selector, SelectorError};

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Parser { rest: text, token: Token::default() }.selector().map(Selector::of).map_err(SelectorError)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Symbol {
    #[default]
    End,
    Identifier,
    Close,
    Open,
    Comma,
    Not,
    Operator(Operator),
}

#[derive(Clone, Copy, Default)]
struct Token<'a> {
    symbol: Symbol,
    text: &'a str,
}

impl Token<'_> {
    /// `in` and `notin` are names wherever no operator can stand.
    fn is_name(self) -> bool {
        matches!(self.symbol, Symbol::Identifier | Symbol::Operator(Operator::In | Operator::NotIn))
    }
}

/// Reads from the left, one token ahead.
struct Parser<'a> {
    rest: &'a str,
    token: Token<'a>,
}

impl<'a> Parser<'a> {
    fn selector(mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        self.next();
        loop {
            if self.token.symbol == Symbol::End {
                return Ok(requirements);
            }
            if !self.token.is_name() && self.token.symbol != Symbol::Not {
                return Err(format!("found '{}', expected: !, identifier, or 'end of string'", self.token.text));
            }
            let requirement = self.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?;
            requirements.push(requirement);
            let behind = self.next();
            match behind.symbol {
                Symbol::End => return Ok(requirements),
                Symbol::Comma if self.token.is_name() || self.token.symbol == Symbol::Not => {}
                Symbol::Comma => {
                    return Err(format!("found '{}', expected: identifier after ','", self.token.text));
                }
                _ => return Err(format!("found '{}', expected: ',' or 'end of string'", behind.text)),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.token.symbol == Symbol::Not;
        if negated {
            self.next();
        }
        let key = self.next();
        if !key.is_name() {
            return Err(format!("found '{}', expected: identifier", key.text));
        }
        let broken = labels::key_errors(key.text);
        if !broken.is_empty() {
            return Err(format!("<nil>: Invalid value: {:?}: {}", key.text, broken.join("; ")));
        }
        let alone = matches!(self.token.symbol, Symbol::End | Symbol::Comma);
        let (operator, values) = match (negated, alone) {
            // Whatever follows a negated key is left for the caller to complain about.
            (true, _) => (Operator::DoesNotExist, BTreeSet::new()),
            (false, true) => (Operator::Exists, BTreeSet::new()),
            (false, false) => {
                let operator = self.operator()?;
                let listed = matches!(operator, Operator::In | Operator::NotIn);
                (operator, if listed { self.values()? } else { self.exact_value()? })
            }
        };
        Requirement::new(key.text, operator, values).map_err(|error| error.0)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let token = self.next();
        match token.symbol {
            Symbol::Operator(operator) => Ok(operator),
            _ => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", token.text)),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<&'a str>, String> {
        let open = self.next();
        if open.symbol != Symbol::Open {
            return Err(format!("found '{}' expected: '('", open.text));
        }
        match self.token.symbol {
            Symbol::Close => {
                self.next();
                Ok(BTreeSet::from([""]))
            }
            Symbol::Comma => self.identifiers(),
            _ if self.token.is_name() => self.identifiers(),
            _ => Err(format!("found '{}', expected: ',', ')' or identifier", self.token.text)),
        }
    }

    /// The names up to and with the closing parenthesis; nothing between two commas is the empty name.
    fn identifiers(&mut self) -> Result<BTreeSet<&'a str>, String> {
        let mut names = BTreeSet::new();
        loop {
            let token = self.next();
            if token.is_name() {
                names.insert(token.text);
                match self.token.symbol {
                    Symbol::Comma => {}
                    Symbol::Close => break,
                    _ => return Err(format!("found '{}', expected: ',' or ')'", self.token.text)),
                }
            } else if token.symbol == Symbol::Comma {
                if names.is_empty() || matches!(self.token.symbol, Symbol::Comma | Symbol::Close) {
                    names.insert("");
                }
                if self.token.symbol == Symbol::Close {
                    break;
                }
            } else {
                return Err(format!("found '{}', expected: ',', or identifier", token.text));
            }
        }
        self.next();
        Ok(names)
    }

    fn exact_value(&mut self) -> Result<BTreeSet<&'a str>, String> {
        if matches!(self.token.symbol, Symbol::End | Symbol::Comma) {
            return Ok(BTreeSet::from([""]));
        }
        let token = self.next();
        if token.is_name() {
            Ok(BTreeSet::from([token.text]))
        } else {
            Err(format!("found '{}', expected: identifier", token.text))
        }
    }

    /// Gives the present token and reads the one behind it.
    fn next(&mut self) -> Token<'a> {
        let text = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let special = |c: char| "=!(),<>".contains(c);
        let (symbol, length) = match text.find(|c: char| special(c) || c.is_ascii_whitespace()) {
            Some(0) => symbol_at(text),
            end => {
                let end = end.unwrap_or(text.len());
                (word(&text[..end]), end)
            }
        };
        let (token, rest) = text.split_at(length);
        self.rest = rest;
        std::mem::replace(&mut self.token, Token { symbol, text: token })
    }
}

fn word(text: &str) -> Symbol {
    match text {
        "" => Symbol::End,
        "in" => Symbol::Operator(Operator::In),
        "notin" => Symbol::Operator(Operator::NotIn),
        _ => Symbol::Identifier,
    }
}

/// The symbol at the start of `text`, which is a symbol character, and its length.
fn symbol_at(text: &str) -> (Symbol, usize) {
    match text.as_bytes() {
        [b'=', b'=', ..] => (Symbol::Operator(Operator::DoubleEquals), 2),
        [b'!', b'=', ..] => (Symbol::Operator(Operator::NotEquals), 2),
        [b'=', ..] => (Symbol::Operator(Operator::Equals), 1),
        [b'!', ..] => (Symbol::Not, 1),
        [b'(', ..] => (Symbol::Open, 1),
        [b')', ..] => (Symbol::Close, 1),
        [b',', ..] => (Symbol::Comma, 1),
        [b'<', ..] => (Symbol::Operator(Operator::LessThan), 1),
        _ => (Symbol::Operator(Operator::GreaterThan), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        text.parse::<Selector>().map(|selector| selector.to_string()).map_err(|error| error.0)
    }

    #[test]
    fn what_is_read_is_printed_in_canonical_form() {
        let cases = [
            ("", ""),
            ("x=a,y=b,z=c", "x=a,y=b,z=c"),
            ("z==c, a != b", "a!=b,z==c"),
            ("x in (b,a,a),!y", "x in (a,b),!y"),
            ("x notin ( ),y", "x notin (),y"),
            ("x in (,a),y in (a,,b),z in (a,)", "x in (,a),y in (,a,b),z in (,a)"),
            ("x=,y=", "x=,y="),
            ("x>5,y<7", "x>5,y<7"),
            ("in in (in,notin)", "in in (in,notin)"),
            ("!in", "!in"),
            (" a ", "a"),
            ("a,a=b", "a,a=b"),
            ("example.com/a in(x)", "example.com/a in (x)"),
        ];
        for (text, canonical) in cases {
            assert_eq!(read(text).as_deref(), Ok(canonical), "{text}");
        }
    }

    #[test]
    fn mistakes_have_the_servers_texts() {
        let cases = [
            (",", "found ',', expected: !, identifier, or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            ("a,,b", "found ',', expected: identifier after ','"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
            ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
            ("a=!b", "unable to parse requirement: found '!', expected: identifier"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            (
                "a>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value \
                 must be an integer",
            ),
        ];
        for (text, error) in cases {
            assert_eq!(read(text).unwrap_err(), error, "{text}");
        }
        assert!(
            read("a$=b")
                .unwrap_err()
                .starts_with("unable to parse requirement: <nil>: Invalid value: \"a$\": name part")
        );
        assert!(
            read("a=$")
                .unwrap_err()
                .starts_with("unable to parse requirement: values[0][a]: Invalid value: \"$\": a valid")
        );
    }
}
