//! From a line to what it says.

/// Commands one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct List(pub Vec<Item>);

/// A pipeline and when it is run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub condition: Condition,
    pub pipeline: Vec<Command>,
    pub background: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Condition {
    Always,
    /// `&&`
    IfGood,
    /// `||`
    IfBad,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub kind: Kind,
    pub redirects: Vec<Redirect>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Simple(Simple),
    Group(List),
    For { name: String, words: Vec<Word>, body: List },
    While { until: bool, condition: List, body: List },
    If { branches: Vec<(List, List)>, otherwise: Option<List> },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Simple {
    pub assignments: Vec<(String, Word)>,
    pub words: Vec<Word>,
}

/// Where a stream goes or comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Redirect {
    pub stream: u8,
    pub target: Target,
    pub word: Word,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    Read(String),
    Write(String),
    Append(String),
    /// Where the other stream goes.
    Merge,
    Nowhere,
}

/// A word before expansion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Word(pub Vec<Piece>);

impl Word {
    /// Whether a command's output is part of it.
    pub fn substitutes(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Output(..)))
    }
}

/// A piece of a word; `true` is quoted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String, bool),
    Variable(String, bool),
    Output(List, bool),
    Number(String),
}

/// Reads a line; the error says what it stumbled over.
pub(super) fn parse(text: &str) -> Result<List, String> {
    let mut parser = Parser { characters: text.chars().collect(), at: 0, depth: 0 };
    let list = parser.list(&[])?;
    match parser.peek() {
        None => Ok(list),
        Some(c) => Err(format!("syntax error near `{c}`")),
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
    depth: usize,
}

/// Nesting beyond this is refused.
const MAX_DEPTH: usize = 32;

impl Parser {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn ahead(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.characters.get(self.at + i) == Some(&c))
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.ahead(text);
        self.at += if found { text.chars().count() } else { 0 };
        found
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| c == ' ' || c == '\t') || self.ahead("\\\n") {
            self.at += if self.ahead("\\\n") { 2 } else { 1 };
        }
        if self.peek() == Some('#') && (self.at == 0 || self.characters[self.at - 1].is_whitespace()) {
            while self.peek().is_some_and(|c| c != '\n') {
                self.at += 1;
            }
        }
    }

    fn separators(&mut self) {
        loop {
            self.blanks();
            if self.ahead(";;") || !self.peek().is_some_and(|c| c == ';' || c == '\n') {
                return;
            }
            self.at += 1;
        }
    }

    /// Whether the reserved word stands here; takes it.
    fn word_is(&mut self, word: &str) -> bool {
        let end = self.characters.get(self.at + word.chars().count());
        let whole = end.is_none_or(|c| c.is_whitespace() || ";&|()<>".contains(*c));
        whole && self.take(word)
    }

    fn stands(&mut self, words: &[&str]) -> bool {
        let at = self.at;
        let found = words.iter().any(|word| self.word_is(word));
        self.at = at;
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        self.separators();
        if self.word_is(word) { Ok(()) } else { Err(format!("syntax error: `{word}` is missing")) }
    }

    /// Commands up to one of the reserved words, a parenthesis or the end.
    fn list(&mut self, end: &[&str]) -> Result<List, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("syntax error: nested too deeply".into());
        }
        let mut items = Vec::new();
        let mut condition = Condition::Always;
        loop {
            self.separators();
            if self.peek().is_none_or(|c| c == ')' || c == '}') || self.stands(end) {
                break;
            }
            let mut item = Item { condition, pipeline: self.pipeline()?, background: false };
            self.blanks();
            condition = if self.take("&&") {
                Condition::IfGood
            } else if self.take("||") {
                Condition::IfBad
            } else {
                item.background = self.take("&");
                Condition::Always
            };
            items.push(item);
        }
        self.depth -= 1;
        Ok(List(items))
    }

    fn pipeline(&mut self) -> Result<Vec<Command>, String> {
        let mut commands = vec![self.command()?];
        loop {
            self.blanks();
            if self.ahead("||") || !self.take("|") {
                return Ok(commands);
            }
            self.separators();
            commands.push(self.command()?);
        }
    }

    fn command(&mut self) -> Result<Command, String> {
        self.blanks();
        let kind = if self.take("(") {
            let list = self.list(&[])?;
            self.closing(')')?;
            Kind::Group(list)
        } else if self.word_is("{") {
            let list = self.list(&[])?;
            self.closing('}')?;
            Kind::Group(list)
        } else if self.word_is("for") {
            self.each()?
        } else if self.word_is("while") {
            self.repeated(false)?
        } else if self.word_is("until") {
            self.repeated(true)?
        } else if self.word_is("if") {
            self.either()?
        } else {
            return self.simple();
        };
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(Command { kind, redirects })
    }

    fn closing(&mut self, c: char) -> Result<(), String> {
        self.separators();
        if self.peek() != Some(c) {
            return Err(format!("syntax error: `{c}` is missing"));
        }
        self.at += 1;
        Ok(())
    }

    fn each(&mut self) -> Result<Kind, String> {
        self.blanks();
        let name = self.name();
        self.expect("in")?;
        let mut words = Vec::new();
        loop {
            self.blanks();
            match self.word()? {
                Some(word) => words.push(word),
                None => break,
            }
        }
        self.expect("do")?;
        let body = self.list(&["done"])?;
        self.expect("done")?;
        Ok(Kind::For { name, words, body })
    }

    fn repeated(&mut self, until: bool) -> Result<Kind, String> {
        let condition = self.list(&["do"])?;
        self.expect("do")?;
        let body = self.list(&["done"])?;
        self.expect("done")?;
        Ok(Kind::While { until, condition, body })
    }

    fn either(&mut self) -> Result<Kind, String> {
        let mut branches = Vec::new();
        let mut otherwise = None;
        loop {
            let condition = self.list(&["then"])?;
            self.expect("then")?;
            branches.push((condition, self.list(&["elif", "else", "fi"])?));
            self.separators();
            if self.word_is("elif") {
                continue;
            }
            if self.word_is("else") {
                otherwise = Some(self.list(&["fi"])?);
            }
            self.expect("fi")?;
            return Ok(Kind::If { branches, otherwise });
        }
    }

    fn simple(&mut self) -> Result<Command, String> {
        let (mut simple, mut redirects) = (Simple::default(), Vec::new());
        loop {
            self.blanks();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            if simple.words.is_empty()
                && let Some(name) = self.assigned()
            {
                simple.assignments.push((name, self.word()?.unwrap_or_default()));
                continue;
            }
            match self.word()? {
                Some(word) => simple.words.push(word),
                None => break,
            }
        }
        if simple == Simple::default() && redirects.is_empty() {
            let found = self.peek().map_or("the end".to_string(), |c| format!("`{c}`"));
            return Err(format!("syntax error near {found}"));
        }
        Ok(Command { kind: Kind::Simple(simple), redirects })
    }

    /// `NAME=`
    fn assigned(&mut self) -> Option<String> {
        let at = self.at;
        let name = self.name();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !self.take("=") {
            self.at = at;
            return None;
        }
        Some(name)
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
            self.at += 1;
        }
        name
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, String> {
        self.blanks();
        for (sign, stream, target) in [
            ("2>&1", 2, Target::Merge),
            (">&2", 1, Target::Merge),
            ("1>&2", 1, Target::Merge),
            ("2>>", 2, Target::Append(String::new())),
            ("2>", 2, Target::Write(String::new())),
            (">>", 1, Target::Append(String::new())),
            ("1>", 1, Target::Write(String::new())),
            (">", 1, Target::Write(String::new())),
            ("<", 0, Target::Read(String::new())),
        ] {
            if !self.take(sign) {
                continue;
            }
            self.blanks();
            let word = match target {
                Target::Merge => Word::default(),
                _ => self.word()?.ok_or("syntax error: a redirection needs a file")?,
            };
            return Ok(Some(Redirect { stream, target, word }));
        }
        Ok(None)
    }

    /// A word, if one begins here.
    fn word(&mut self) -> Result<Option<Word>, String> {
        let (mut pieces, mut plain, mut begun) = (Vec::new(), String::new(), false);
        while let Some(c) = self.peek() {
            if c.is_whitespace() || ";&|()<>".contains(c) {
                break;
            }
            begun = true;
            self.at += 1;
            match c {
                '\'' => {
                    flush(&mut pieces, &mut plain, false);
                    let mut text = String::new();
                    loop {
                        let c = self.peek().ok_or("syntax error: a quote ' is not closed")?;
                        self.at += 1;
                        if c == '\'' {
                            break;
                        }
                        text.push(c);
                    }
                    pieces.push(Piece::Text(text, true));
                }
                '"' => {
                    flush(&mut pieces, &mut plain, false);
                    self.quoted(&mut pieces)?;
                }
                '\\' => {
                    flush(&mut pieces, &mut plain, false);
                    if let Some(c) = self.peek() {
                        self.at += 1;
                        pieces.push(Piece::Text(c.to_string(), true));
                    }
                }
                '$' => match self.dollar(false)? {
                    Some(piece) => {
                        flush(&mut pieces, &mut plain, false);
                        pieces.push(piece);
                    }
                    None => plain.push('$'),
                },
                c => plain.push(c),
            }
        }
        flush(&mut pieces, &mut plain, false);
        Ok(begun.then_some(Word(pieces)))
    }

    fn quoted(&mut self, pieces: &mut Vec<Piece>) -> Result<(), String> {
        let mut text = String::new();
        loop {
            let c = self.peek().ok_or("syntax error: a quote \" is not closed")?;
            self.at += 1;
            match c {
                '"' => break,
                '\\' => match self.peek() {
                    Some(c @ ('"' | '\\' | '$' | '`')) => {
                        text.push(c);
                        self.at += 1;
                    }
                    Some('\n') => self.at += 1,
                    _ => text.push('\\'),
                },
                '$' => match self.dollar(true)? {
                    Some(piece) => {
                        flush(pieces, &mut text, true);
                        pieces.push(piece);
                    }
                    None => text.push('$'),
                },
                c => text.push(c),
            }
        }
        pieces.push(Piece::Text(text, true));
        Ok(())
    }

    /// What follows a dollar sign; `None` if it stands for itself.
    fn dollar(&mut self, quoted: bool) -> Result<Option<Piece>, String> {
        if self.take("((") {
            let mut text = String::new();
            while !self.ahead("))") {
                text.push(self.peek().ok_or("syntax error: `))` is missing")?);
                self.at += 1;
            }
            self.take("))");
            return Ok(Some(Piece::Number(text)));
        }
        if self.take("(") {
            let list = self.list(&[])?;
            self.closing(')')?;
            return Ok(Some(Piece::Output(list, quoted)));
        }
        if self.take("{") {
            let name = self.name();
            if !self.take("}") {
                return Err(format!("only ${{{name}}} is understood, without what follows"));
            }
            return Ok(Some(Piece::Variable(name, quoted)));
        }
        if self.take("?") {
            return Ok(Some(Piece::Variable("?".into(), quoted)));
        }
        let name = self.name();
        Ok((!name.is_empty()).then_some(Piece::Variable(name, quoted)))
    }
}

fn flush(pieces: &mut Vec<Piece>, text: &mut String, quoted: bool) {
    if !text.is_empty() {
        pieces.push(Piece::Text(std::mem::take(text), quoted));
    }
}
