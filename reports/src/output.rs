//! Writing a report: the whole file or nothing.
//!
//! The bytes go to a temporary file beside the target, which is then renamed over it: a reader sees the old file or the
//! new one, never half of it, and an interrupted run leaves no truncated picture.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crate::error::ReportError;

/// Writes `bytes` to `path` whole, creating the directories above it.
pub fn write_whole(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<(), ReportError> {
    let path = path.as_ref();
    let named = |at: &Path| {
        let at = at.to_path_buf();
        move |source| ReportError::Write { path: at, source }
    };
    let Some(name) = path.file_name() else {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path names no file");
        return Err(named(path)(source));
    };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(named(parent))?;
    }
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary_name);
    let written = write_and_rename(&temporary, path, bytes.as_ref());
    if written.is_err() {
        // Best effort: the error worth reporting is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(named(path))
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, path)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "what was written is read again")]
mod tests {
    use super::*;

    fn directory(name: &str) -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("wavetank-output-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn creates_parents_replaces_and_leaves_nothing_else() {
        let root = directory("ok");
        let path = root.join("a/b/chart.svg");
        write_whole(&path, "first").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn error_names_the_path_and_leaves_no_temporary_file() {
        let root = directory("error");
        let path = root.join("taken");
        fs::create_dir_all(path.join("not-empty")).unwrap();
        let message = write_whole(&path, "x").unwrap_err().to_string();
        assert!(message.contains("taken"), "{message}");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn path_without_a_file_name_is_an_error() {
        assert!(write_whole("..", "x").is_err());
    }
}
