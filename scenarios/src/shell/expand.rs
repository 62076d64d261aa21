//! From words as written to words as programs see them.

use super::parse::{Piece, Word};
use super::{Machine, Shell, arithmetic};

impl Shell {
    /// The words that one becomes: what is not quoted and comes from a variable or a command is split at blanks.
    pub(super) fn words(&mut self, word: &Word, machine: &mut dyn Machine) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut open: Option<String> = None;
        for piece in &word.0 {
            let (text, whole) = self.piece(piece, machine);
            if whole {
                open.get_or_insert_default().push_str(&text);
                continue;
            }
            if text.starts_with(char::is_whitespace) {
                words.extend(open.take());
            }
            let mut parts = text.split_whitespace().peekable();
            while let Some(part) = parts.next() {
                open.get_or_insert_default().push_str(part);
                if parts.peek().is_some() || text.ends_with(char::is_whitespace) {
                    words.extend(open.take());
                }
            }
        }
        words.extend(open);
        words
    }

    /// The word as one text.
    pub(super) fn text(&mut self, word: &Word, machine: &mut dyn Machine) -> String {
        word.0.iter().map(|piece| self.piece(piece, machine).0).collect()
    }

    /// A piece's text, and whether it stays whole.
    fn piece(&mut self, piece: &Piece, machine: &mut dyn Machine) -> (String, bool) {
        match piece {
            Piece::Text(text, _) => (text.clone(), true),
            Piece::Variable(name, quoted) => (self.variables.get(name).cloned().unwrap_or_default(), *quoted),
            Piece::Number(text) => (arithmetic::value(text, &self.variables).to_string(), true),
            Piece::Output(list, quoted) => {
                let output = self.list(list, None, machine);
                self.variables.insert("?".into(), output.code.to_string());
                (output.stdout.trim_end_matches('\n').to_owned(), *quoted)
            }
        }
    }
}
