//! `$((…))`: whole numbers, variables, `+ - * / %`, comparisons, parentheses.

use std::collections::BTreeMap;

/// The value; what makes no sense counts as 0, as an unset variable does.
pub(super) fn value(text: &str, variables: &BTreeMap<String, String>) -> i64 {
    let mut reader = Reader { characters: text.chars().filter(|c| !c.is_whitespace()).collect(), at: 0, variables };
    reader.level(0)
}

struct Reader<'a> {
    characters: Vec<char>,
    at: usize,
    variables: &'a BTreeMap<String, String>,
}

/// Operators, the loosest first.
const LEVELS: [&[&str]; 3] = [&["<=", ">=", "==", "!=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

impl Reader<'_> {
    fn level(&mut self, level: usize) -> i64 {
        let Some(operators) = LEVELS.get(level) else { return self.atom() };
        let mut left = self.level(level + 1);
        while let Some(operator) = operators.iter().find(|operator| self.ahead(operator)) {
            self.at += operator.len();
            let right = self.level(level + 1);
            left = match *operator {
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                "/" => left.checked_div(right).unwrap_or(0),
                "%" => left.checked_rem(right).unwrap_or(0),
                "<" => i64::from(left < right),
                ">" => i64::from(left > right),
                "<=" => i64::from(left <= right),
                ">=" => i64::from(left >= right),
                "==" => i64::from(left == right),
                _ => i64::from(left != right),
            };
        }
        left
    }

    fn ahead(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.characters.get(self.at + i) == Some(&c))
    }

    fn atom(&mut self) -> i64 {
        match self.characters.get(self.at) {
            Some('(') => {
                self.at += 1;
                let value = self.level(0);
                self.at += 1;
                value
            }
            Some('-') => {
                self.at += 1;
                self.atom().wrapping_neg()
            }
            _ => {
                let start = self.at;
                while self.characters.get(self.at).is_some_and(|c| c.is_ascii_alphanumeric() || "_$".contains(*c)) {
                    self.at += 1;
                }
                let word: String = self.characters[start..self.at].iter().filter(|c| **c != '$').collect();
                let known = || self.variables.get(&word)?.trim().parse().ok();
                word.parse().ok().or_else(known).unwrap_or(0)
            }
        }
    }
}
