//! Files a script names: they lie in its own folder or below, so that a scenario that came from elsewhere reads only what came
//! with it.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// The path of a file or folder in `folder`; the error is a sentence.
pub fn path_in(folder: &Path, path: &str) -> Result<PathBuf, String> {
    let relative = Path::new(path);
    if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err("only files in the script's own folder can be read".to_owned());
    }
    Ok(folder.join(relative))
}

/// Reads a file in `folder`; the error is a phrase.
pub fn read_in(folder: &Path, path: &str) -> Result<String, String> {
    read(&path_in(folder, path)?)
}

/// Reads a file that the command line names; the error is a phrase.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the files of scripts and of the command line are read"
)]
pub fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
        ErrorKind::PermissionDenied => "its reading is not permitted".to_owned(),
        _ if path.is_dir() => "it is a folder".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(read_in(folder, "./Cargo.toml").unwrap().contains("[package]"));
        assert!(read_in(folder, "../README.md").unwrap_err().contains("own folder"));
        assert!(read_in(folder, "/etc/hostname").unwrap_err().contains("own folder"));
        assert_eq!(read_in(folder, "none.yaml").unwrap_err(), "no such file or directory");
        assert_eq!(read_in(folder, "src").unwrap_err(), "it is a folder");
    }
}
