//! Regular expressions, as much as `grep` and recorded captures use: `.`, classes, `* + ? {n,m}`, anchors, groups, `|`, `\d \w \s \S`.

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    branches: Vec<Vec<Piece>>,
    groups: usize,
    ignore_case: bool,
}

#[derive(Clone, Debug)]
struct Piece {
    atom: Atom,
    least: usize,
    most: usize,
}

#[derive(Clone, Debug)]
enum Atom {
    One(char),
    Any,
    /// Whether these are the ones that do not match; ranges.
    Class(bool, Vec<(char, char)>),
    Begin,
    End,
    Group(usize, Vec<Vec<Piece>>),
}

/// Where a match and its groups lie, in characters.
pub type Found = Vec<Option<(usize, usize)>>;

/// Steps after which a match is given up.
const MAX_STEPS: usize = 2_000_000;
/// Repetitions of a group that are looked for.
const MAX_REPEATS: usize = 2_000;

impl Pattern {
    /// Compiles an extended (or else basic) expression; the error is a sentence.
    pub fn new(text: &str, extended: bool, ignore_case: bool) -> Result<Pattern, String> {
        let mut reader = Reader { characters: text.chars().collect(), at: 0, extended, groups: 0 };
        let branches = reader.branches()?;
        match reader.at == reader.characters.len() {
            true => Ok(Pattern { branches, groups: reader.groups, ignore_case }),
            false => Err(format!("`)` without `(` in the expression {text}")),
        }
    }

    /// A text without special characters.
    pub fn fixed(text: &str, ignore_case: bool) -> Pattern {
        let piece = |c| Piece { atom: Atom::One(c), least: 1, most: 1 };
        Pattern { branches: vec![text.chars().map(piece).collect()], groups: 0, ignore_case }
    }

    /// The first match at or after `from`: the whole and each group.
    pub fn find(&self, text: &[char], from: usize) -> Option<Found> {
        (from..=text.len()).find_map(|start| {
            let mut search = Search { text, steps: 0, ignore_case: self.ignore_case };
            let mut groups = vec![None; self.groups + 1];
            let mut end = None;
            search.branches(&self.branches, start, &mut groups, &mut |at, found| {
                found[0] = Some((start, at));
                end = Some(found.clone());
                true
            });
            end
        })
    }

    /// The text of group `group` in the first match.
    pub fn capture(&self, text: &str, group: usize) -> Option<String> {
        let characters: Vec<char> = text.chars().collect();
        let (from, to) = self.find(&characters, 0)?.get(group).copied().flatten()?;
        Some(characters.get(from..to)?.iter().collect())
    }
}

struct Reader {
    characters: Vec<char>,
    at: usize,
    extended: bool,
    groups: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    /// Takes a special sign, which in basic expressions is written with a backslash.
    fn sign(&mut self, c: char) -> bool {
        let found = match self.extended {
            true => self.peek() == Some(c),
            false => self.peek() == Some('\\') && self.characters.get(self.at + 1) == Some(&c),
        };
        self.at += if !found {
            0
        } else if self.extended {
            1
        } else {
            2
        };
        found
    }

    fn branches(&mut self) -> Result<Vec<Vec<Piece>>, String> {
        let mut branches = vec![self.sequence()?];
        while self.sign('|') {
            branches.push(self.sequence()?);
        }
        Ok(branches)
    }

    fn sequence(&mut self) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        loop {
            let at = self.at;
            if self.peek().is_none() || self.sign('|') || self.sign(')') {
                self.at = at;
                return Ok(pieces);
            }
            let atom = self.atom(pieces.is_empty())?;
            let (mut least, mut most) = (1, 1);
            if self.peek() == Some('*') {
                self.at += 1;
                (least, most) = (0, usize::MAX);
            } else if self.sign('+') {
                most = usize::MAX;
            } else if self.sign('?') {
                least = 0;
            } else if self.sign('{') {
                (least, most) = self.bounds()?;
            }
            pieces.push(Piece { atom, least, most });
        }
    }

    fn bounds(&mut self) -> Result<(usize, usize), String> {
        let mut text = String::new();
        while !self.sign('}') {
            text.push(self.peek().ok_or("a `{` is not closed")?);
            self.at += 1;
        }
        let wrong = || format!("`{{{text}}}` is no number of repetitions");
        let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
        match text.split_once(',') {
            None => number(&text).map(|n| (n, n)),
            Some((least, "")) => Ok((number(least)?, usize::MAX)),
            Some((least, most)) => Ok((number(least)?, number(most)?)),
        }
    }

    fn atom(&mut self, first: bool) -> Result<Atom, String> {
        if self.sign('(') {
            self.groups += 1;
            let number = self.groups;
            let branches = self.branches()?;
            return if self.sign(')') { Ok(Atom::Group(number, branches)) } else { Err("a `(` is not closed".into()) };
        }
        let c = self.peek().ok_or("the expression ends too early")?;
        self.at += 1;
        Ok(match c {
            '.' => Atom::Any,
            '^' if first || self.extended => Atom::Begin,
            '$' if self.peek().is_none_or(|c| c == '|' || c == ')' || c == '\\') => Atom::End,
            '[' => self.class()?,
            '\\' => {
                let c = self.peek().ok_or("the expression ends in a backslash")?;
                self.at += 1;
                match c {
                    'd' => Atom::Class(false, vec![('0', '9')]),
                    'w' => Atom::Class(false, WORD.to_vec()),
                    'W' => Atom::Class(true, WORD.to_vec()),
                    's' => Atom::Class(false, BLANK.to_vec()),
                    'S' => Atom::Class(true, BLANK.to_vec()),
                    c => Atom::One(c),
                }
            }
            c => Atom::One(c),
        })
    }

    fn class(&mut self) -> Result<Atom, String> {
        let not = self.peek() == Some('^');
        self.at += usize::from(not);
        let mut ranges = Vec::new();
        loop {
            let c = self.peek().ok_or("a `[` is not closed")?;
            self.at += 1;
            if c == ']' && !ranges.is_empty() {
                return Ok(Atom::Class(not, ranges));
            }
            if c == '[' && self.peek() == Some(':') {
                let rest: String = self.characters[self.at + 1..].iter().collect();
                let (name, _) = rest.split_once(":]").ok_or("a `[:` is not closed")?;
                self.at += name.chars().count() + 3;
                ranges.extend(named(name)?);
                continue;
            }
            match (self.peek(), self.characters.get(self.at + 1).copied()) {
                (Some('-'), Some(end)) if end != ']' => {
                    self.at += 2;
                    ranges.push((c, end));
                }
                _ => ranges.push((c, c)),
            }
        }
    }
}

const WORD: [(char, char); 4] = [('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')];
const BLANK: [(char, char); 2] = [(' ', ' '), ('\t', '\r')];

fn named(name: &str) -> Result<Vec<(char, char)>, String> {
    Ok(match name {
        "digit" => vec![('0', '9')],
        "alpha" => vec![('a', 'z'), ('A', 'Z')],
        "alnum" => WORD[..3].to_vec(),
        "space" => BLANK.to_vec(),
        "upper" => vec![('A', 'Z')],
        "lower" => vec![('a', 'z')],
        _ => return Err(format!("there is no class [:{name}:]")),
    })
}

struct Search<'a> {
    text: &'a [char],
    steps: usize,
    ignore_case: bool,
}

type Then<'a> = &'a mut dyn FnMut(usize, &mut Found) -> bool;

impl Search<'_> {
    fn branches(&mut self, branches: &[Vec<Piece>], at: usize, groups: &mut Found, then: Then<'_>) -> bool {
        branches.iter().any(|pieces| self.sequence(pieces, at, 0, groups, then))
    }

    /// Matches the pieces from `at` on, `done` repetitions of the first having been found.
    fn sequence(&mut self, pieces: &[Piece], at: usize, done: usize, groups: &mut Found, then: Then<'_>) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return false;
        }
        let Some((piece, rest)) = pieces.split_first() else { return then(at, groups) };
        if let Some(length) = self.run_of(piece, at, done) {
            // What takes one character each needs no recursion: as many as there are, then fewer.
            let least = piece.least.saturating_sub(done);
            return (least..=length).rev().any(|n| self.sequence(rest, at + n, 0, groups, then));
        }
        if done < piece.most.min(MAX_REPEATS) && self.group_again(piece, pieces, at, done, groups, then) {
            return true;
        }
        done >= piece.least && self.sequence(rest, at, 0, groups, then)
    }

    fn group_again(
        &mut self,
        piece: &Piece,
        pieces: &[Piece],
        at: usize,
        done: usize,
        groups: &mut Found,
        then: Then<'_>,
    ) -> bool {
        match &piece.atom {
            Atom::Begin => at == 0 && self.sequence(&pieces[1..], at, 0, groups, then),
            Atom::End => at == self.text.len() && self.sequence(&pieces[1..], at, 0, groups, then),
            Atom::Group(number, branches) => {
                let before = groups.get(*number).copied().flatten();
                let (text, ignore_case) = (self.text, self.ignore_case);
                let mut inner = Search { text, steps: self.steps, ignore_case };
                let found = inner.branches(branches, at, groups, &mut |end, groups| {
                    if end == at && done > 0 {
                        return false;
                    }
                    if let Some(group) = groups.get_mut(*number) {
                        *group = Some((at, end));
                    }
                    self.sequence(pieces, end, done + 1, groups, then)
                });
                if let (false, Some(group)) = (found, groups.get_mut(*number)) {
                    *group = before;
                }
                found
            }
            _ => false,
        }
    }

    /// How many characters in a row match an atom of one; `None` for other atoms.
    fn run_of(&self, piece: &Piece, at: usize, done: usize) -> Option<usize> {
        if matches!(piece.atom, Atom::Begin | Atom::End | Atom::Group(..)) {
            return None;
        }
        let most = piece.most.saturating_sub(done);
        let rest = self.text.get(at..).unwrap_or_default();
        Some(rest.iter().take(most).take_while(|c| self.matches(&piece.atom, **c)).count())
    }

    fn matches(&self, atom: &Atom, c: char) -> bool {
        let is = |c: char| match atom {
            Atom::One(one) => *one == c || self.ignore_case && one.eq_ignore_ascii_case(&c),
            Atom::Any => true,
            Atom::Class(not, ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
            _ => false,
        };
        is(c) || self.ignore_case && (is(c.to_ascii_lowercase()) || is(c.to_ascii_uppercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(pattern: &str, text: &str) -> Option<String> {
        Pattern::new(pattern, true, false).unwrap().capture(text, 0)
    }

    #[test]
    fn expressions_find_what_grep_finds() {
        for (pattern, text, found) in [
            ("\"revision\":[0-9]*", "{\"revision\":42,", Some("\"revision\":42")),
            ("^a.c$", "abc", Some("abc")),
            ("^b", "ab", None),
            ("(ab)+c", "xababc", Some("ababc")),
            ("a|bc", "xbc", Some("bc")),
            ("lea(se)?s? \\S+", "leases 12x y", Some("leases 12x")),
            ("[^a-c]+", "abcde", Some("de")),
            ("x{2,3}", "xxxx", Some("xxx")),
            ("[[:digit:]]+", "a12", Some("12")),
            ("(a*)*b", "aaac", None),
        ] {
            assert_eq!(first(pattern, text).as_deref(), found, "{pattern} in {text}");
        }
        let lease = Pattern::new("lease (\\S+) granted", true, false).unwrap();
        assert_eq!(lease.capture("lease 12ab granted with", 1).as_deref(), Some("12ab"));
        let basic = Pattern::new("a+\\(b\\|c\\)", false, false).unwrap();
        assert_eq!(basic.capture("a+c", 1).as_deref(), Some("c"));
        assert!(Pattern::new("(a", true, false).is_err() && Pattern::new("[a", true, false).is_err());
        assert!(Pattern::new("ABC", true, true).unwrap().capture("xabc", 0).is_some());
    }
}
