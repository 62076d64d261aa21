//! What a script's text tells before it runs: the names it defines, the settings it has, calls of functions nobody
//! knows.
//!
//! Finding a misspelt call here, and not when the run comes to it, spares the author a long simulation.

use super::errors::{Place, Problem, Report, Sources, unknown_function};
use super::functions::{self, Function};
use super::hints::closest;
use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// Names that mean something to a script.
#[derive(Clone, Debug, Default)]
pub struct Names {
    defined: BTreeSet<String>,
    variables: BTreeSet<String>,
    keys: BTreeSet<String>,
    calls: Vec<(String, Position)>,
    imports: bool,
    /// Settings the script reads under a literal name, with the text of their default.
    pub(super) settings: BTreeMap<String, String>,
    /// Whether a setting's name is made up at run time.
    pub(super) open_settings: bool,
    /// Where the keys of the map given to `cluster` stand.
    pub(super) cluster_keys: BTreeMap<String, Position>,
}

/// kubectl's verbs, for hints.
pub(super) const KUBECTL_VERBS: [&str; 22] = [
    "get",
    "describe",
    "create",
    "apply",
    "delete",
    "scale",
    "rollout",
    "label",
    "annotate",
    "taint",
    "cordon",
    "uncordon",
    "drain",
    "edit",
    "patch",
    "set",
    "expose",
    "logs",
    "top",
    "autoscale",
    "replace",
    "explain",
];

/// Functions of the language itself.
pub(super) const BUILTINS: &str = "Fn abs all append as_string bits blob bytes call ceiling chars chop clear contains \
    crop curry debug dedup drain end ends_with exit extract fill_with filter find find_map floor for_each format \
    fraction get get_bit get_bits int index_of insert is_anonymous is_def_fn is_def_var is_empty is_even is_exclusive \
    is_finite is_inclusive is_infinite is_nan is_odd is_shared is_zero keys len make_lower make_upper map max merge \
    min mixin name order order_by order_desc pad parse_decimal parse_float parse_int parse_json pop print push range \
    reduce reduce_rev remove replace retain reverse round round_down round_half_down round_half_up round_up set \
    set_bit set_tag shift sign some sort sort_by sort_desc splice split split_rev sqrt start starts_with sub_string \
    tag take throw to_array to_binary to_blob to_chars to_debug to_degrees to_float to_hex to_int to_json to_lower \
    to_octal to_radians to_string to_upper trim truncate type_of values zip";

impl Names {
    /// Reads a script's text.
    pub(super) fn of(ast: &AST) -> Self {
        let mut names = Names::default();
        for function in ast.iter_functions() {
            names.defined.insert(function.name.to_string());
            names.variables.extend(function.params.iter().map(|name| name.to_string()));
        }
        ast.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(statement)) => names.statement(statement),
                Some(ASTNode::Expr(expression)) => names.expression(expression),
                _ => {}
            }
            true
        });
        names
    }

    /// Functions a call can mean: the host's, the language's, the script's.
    pub(super) fn functions(&self) -> impl Iterator<Item = &str> {
        let host = functions::all().map(|function| function.name);
        let inside = super::closures::inside::alone().map(|name| -> &str { name });
        host.chain(inside)
            .chain(["allow", "deny", "patch"])
            .chain(BUILTINS.split_whitespace())
            .chain(self.defined.iter().map(String::as_str))
    }

    /// Variables and parameters anywhere in the script.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(String::as_str)
    }

    /// Whether a call of this name can mean something.
    pub(super) fn is_function(&self, name: &str) -> bool {
        self.functions().any(|known| known == name)
    }

    /// The host function of this name.
    pub(super) fn host_function(&self, name: &str) -> Option<&'static Function> {
        functions::all().find(|function| function.name == name)
    }

    /// Calls that can only be misspelt ones of the host's functions.
    pub(super) fn misspelt(&self, file: &str, sources: &Sources) -> Vec<Report> {
        if self.imports {
            return Vec::new();
        }
        let host: Vec<&str> = functions::all().map(|function| function.name).collect();
        let suspicious = self.calls.iter().filter(|(name, _)| {
            let known = self.is_function(name) || self.keys.contains(name) || self.variables.contains(name);
            !known && (closest(name, host.iter().copied()).is_some() || KUBECTL_VERBS.contains(&name.as_str()))
        });
        suspicious
            .map(|(name, position)| Report::at(unknown_function(name, self), Place::new(file, *position), sources))
            .collect()
    }

    /// Whether the script imports modules, whose text is not read here.
    pub(super) fn has_imports(&self) -> bool {
        self.imports
    }

    /// The problem of a `--set` key the script does not have.
    pub(super) fn unknown_setting(&self, key: &str) -> Problem {
        let known: Vec<String> =
            self.settings.iter().map(|(name, default)| format!("{name} (default {default})")).collect();
        let problem = Problem::new(format!("--set {key}: the script has no such setting"));
        match known.is_empty() {
            true => problem.hint(format!("it has none at all; a script reads one with setting(\"{key}\", default)")),
            false => problem.hint(format!("it has {}", known.join(", "))),
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Var(definition, ..) => {
                self.variables.insert(definition.0.name.to_string());
            }
            Stmt::For(details, ..) => {
                self.variables.insert(details.0.name.to_string());
            }
            Stmt::FnCall(call, position) => self.call(call, *position),
            Stmt::Import(..) => self.imports = true,
            _ => {}
        }
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            // `api.delete(…)` is no misspelt function of the host's.
            Expr::MethodCall(call, _) if super::closures::inside::is_method(&call.name) => {}
            Expr::FnCall(call, position) | Expr::MethodCall(call, position) => self.call(call, *position),
            Expr::Map(fields, _) => self.keys.extend(fields.0.iter().map(|(name, _)| name.name.to_string())),
            Expr::Property(property, _) => {
                self.keys.insert(property.2.to_string());
            }
            _ => {}
        }
    }

    /// Notes where the keys of a map stand, and of the maps in it; a key that stands in several places stands nowhere.
    fn cluster_keys(&mut self, value: &Expr, seen: &mut BTreeSet<String>) {
        match value {
            Expr::Map(fields, _) => {
                for (name, value) in &fields.0 {
                    match seen.insert(name.name.to_string()) {
                        true => self.cluster_keys.insert(name.name.to_string(), name.pos),
                        false => self.cluster_keys.remove(name.name.as_str()),
                    };
                    self.cluster_keys(value, seen);
                }
            }
            Expr::Array(items, _) => items.iter().for_each(|item| self.cluster_keys(item, seen)),
            _ => {}
        }
    }

    fn call(&mut self, call: &FnCallExpr, position: Position) {
        if call.op_token.is_none() && call.namespace.is_empty() {
            self.calls.push((call.name.to_string(), position));
        }
        match (call.name.as_str(), call.args.first()) {
            ("setting", Some(Expr::StringConstant(key, _))) => {
                let default = call.args.get(1).and_then(Expr::get_literal_value_text).unwrap_or("computed".into());
                self.settings.insert(key.to_string(), default);
            }
            ("setting", Some(_)) => self.open_settings = true,
            ("cluster", Some(description)) => self.cluster_keys(description, &mut BTreeSet::new()),
            _ => {}
        }
    }
}

/// A literal as the script's author wrote it.
trait LiteralText {
    fn get_literal_value_text(&self) -> Option<String>;
}

impl LiteralText for Expr {
    fn get_literal_value_text(&self) -> Option<String> {
        match self {
            Expr::StringConstant(text, _) => Some(format!("{text:?}")),
            Expr::IntegerConstant(number, _) => Some(number.to_string()),
            Expr::BoolConstant(flag, _) => Some(flag.to_string()),
            Expr::FloatConstant(number, _) => Some(number.to_string()),
            _ => None,
        }
    }
}
