//! `import "lib/steps" as steps;`: modules from the script's own folder and below, nothing else.
//!
//! A path that is absolute, climbs out with `..` or leaves through a link is refused: a scenario that came from
//! elsewhere reads only what came with it. A module is read once per run.

use super::errors::Problem;
use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared as SharedModule};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest file a script may consist of or import. [bytes]
pub(super) const MAX_FILE: u64 = 4 << 20;

/// Texts of the modules read so far, by file name.
pub(super) type Texts = Arc<Mutex<BTreeMap<String, String>>>;

/// Finds modules below one folder.
pub(super) struct Imports {
    folder: PathBuf,
    texts: Texts,
    loaded: Mutex<BTreeMap<String, SharedModule<Module>>>,
    /// Modules that are being read, outermost first.
    open: Mutex<Vec<String>>,
}

impl Imports {
    /// Modules below `folder`; their texts are put into `texts` for error reports.
    pub(super) fn new(folder: PathBuf, texts: Texts) -> Self {
        Imports { folder, texts, loaded: Mutex::default(), open: Mutex::default() }
    }

    fn read(&self, path: &str) -> Result<String, Problem> {
        let relative = PathBuf::from(file_name(path));
        let climbs = relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
        if climbs || path.contains('\\') {
            return Err(outside(path));
        }
        let file = self.folder.join(&relative);
        let missing = |_| {
            Problem::new(format!("there is no module `{path}`"))
                .hint(format!("the file would be {} in the script's folder", relative.display()))
        };
        let real = file.canonicalize().map_err(missing)?;
        let folder = self.folder.canonicalize().map_err(missing)?;
        if !real.starts_with(&folder) {
            return Err(outside(path));
        }
        read_text(&real).map_err(|problem| Problem::new(format!("cannot read the module `{path}`: {problem}")))
    }
}

/// Reads a script file, if it is text of a reasonable size.
#[expect(clippy::disallowed_methods, reason = "scripts and their modules are files")]
pub(super) fn read_text(file: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(file).map_err(|error| in_words(&error))?;
    match metadata.len() {
        _ if metadata.is_dir() => Err("it is a folder".to_string()),
        size if size > MAX_FILE => Err(format!("it has {size} bytes; a script may have {MAX_FILE}")),
        _ => std::fs::read_to_string(file).map_err(|error| in_words(&error)),
    }
}

/// What the system says, without its number.
fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_string(),
        ErrorKind::PermissionDenied => "its reading is not permitted".to_string(),
        ErrorKind::InvalidData => "it is not text in UTF-8".to_string(),
        _ => error.to_string(),
    }
}

/// The file a module's name means, relative to the script's folder.
pub(super) fn file_name(path: &str) -> String {
    let path = path.trim_start_matches("./");
    if path.ends_with(".rhai") { path.to_string() } else { format!("{path}.rhai") }
}

fn outside(path: &str) -> Problem {
    Problem::new(format!("the import \"{path}\" leaves the script's folder"))
        .hint("a script imports only from its own folder and the folders below it")
}

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<SharedModule<Module>, Box<EvalAltResult>> {
        let name = file_name(path);
        if let Some(module) = lock(&self.loaded).get(&name) {
            return Ok(module.clone());
        }
        let raise = |problem: Problem| {
            let mut error: Box<EvalAltResult> = problem.into();
            error.set_position(position);
            error
        };
        if lock(&self.open).contains(&name) {
            return Err(raise(Problem::new(format!(
                "the module `{path}` imports itself, directly or through another"
            ))));
        }
        let text = self.read(path).map_err(raise)?;
        lock(&self.texts).insert(name.clone(), text.clone());
        let in_module = |error: Box<EvalAltResult>| EvalAltResult::ErrorInModule(path.to_string(), error, position);
        let mut ast = engine.compile(&text).map_err(|error| in_module(error.into()))?;
        ast.set_source(&name);
        lock(&self.open).push(name.clone());
        let module = Module::eval_ast_as_new(Scope::new(), &ast, engine);
        lock(&self.open).pop();
        let mut module = module.map_err(in_module)?;
        module.set_id(&name);
        let module = SharedModule::new(module);
        lock(&self.loaded).insert(name, module.clone());
        Ok(module)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
