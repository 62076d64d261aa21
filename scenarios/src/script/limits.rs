//! What a script may use up: operations, call depth, sizes of values, output. Virtual time has its own bound, the
//! horizon.
//!
//! The bounds keep a runaway script from taking the machine with it; each error names its bound and how to raise it.
//! They are the same in every build, so a script that runs on one machine runs on all.

use rhai::Engine;

/// The bounds of one run; raise one with `--limit NAME=NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Operations the script may execute in all, closures included.
    pub operations: u64,
    /// Depth of function calls.
    pub calls: usize,
    /// Longest string. [bytes]
    pub string: usize,
    /// Most elements in an array, nested ones included. Rhai counts them after each change, so an array that grows without end
    /// costs the square of this; the pods of the biggest cluster must fit.
    pub array: usize,
    /// Most entries in a map, nested ones included. Rhai measures a map when it is given to a function; one that only
    /// grows by `m[key] = value` is held by the bound on operations.
    pub map: usize,
    /// Size of the transcript. [bytes]
    pub output: usize,
    /// Operations of one run of a function that the cluster runs: a reconcile, a plugin.
    pub reconcile: u64,
}

/// Name, default and meaning of each bound: what `--limit` takes and the reference prints.
pub const NAMES: [(&str, u64, &str); 7] = [
    ("operations", 100_000_000, "operations the script may execute in all"),
    ("calls", 64, "depth of function calls"),
    ("string", 64 << 20, "longest string, in bytes"),
    ("array", 200_000, "elements of an array, nested ones included"),
    ("map", 100_000, "entries of a map, nested ones included"),
    ("output", 64 << 20, "size of the transcript, in bytes"),
    ("reconcile", 10_000_000, "operations of one run of a reconcile or a scheduler plugin"),
];

impl Default for Limits {
    fn default() -> Self {
        let [operations, calls, string, array, map, output, reconcile] = NAMES.map(|(_, value, _)| value);
        Limits {
            operations,
            calls: calls as usize,
            string: string as usize,
            array: array as usize,
            map: map as usize,
            output: output as usize,
            reconcile,
        }
    }
}

impl Limits {
    /// Takes a `NAME=NUMBER` from the command line; the error is a sentence for the user.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let known = NAMES.map(|(name, ..)| name);
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(format!("write it as NAME=NUMBER; the names are {}", known.join(", ")));
        };
        let number = value.replace('_', "").parse::<u64>().ok().filter(|number| *number > 0);
        let Some(number) = number else { return Err(format!("\"{value}\" is not a whole number above zero")) };
        let size = usize::try_from(number).unwrap_or(usize::MAX);
        match name {
            "operations" => self.operations = number,
            "calls" => self.calls = size.min(1_000),
            "string" => self.string = size,
            "array" => self.array = size,
            "map" => self.map = size,
            "output" => self.output = size,
            "reconcile" => self.reconcile = number,
            _ => {
                let hint = super::hints::did_you_mean(name, known).unwrap_or_else(|| known.join(", "));
                return Err(format!("there is no limit \"{name}\": {hint}"));
            }
        }
        Ok(())
    }

    /// Puts the bounds Rhai watches itself onto an engine.
    pub(super) fn install(&self, engine: &mut Engine) {
        engine.set_max_call_levels(self.calls);
        engine.set_max_expr_depths(64, 64);
        engine.set_max_string_size(self.string);
        engine.set_max_array_size(self.array);
        engine.set_max_map_size(self.map);
        engine.set_max_modules(64);
        engine.set_max_functions(10_000);
        engine.set_max_variables(10_000);
    }
}

/// `64 MiB`, `100,000,000`: a bound as an error shows it.
pub(crate) fn readable(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_name() {
        let mut limits = Limits::default();
        limits.set("operations=1_000").unwrap();
        limits.set("output=5").unwrap();
        assert_eq!((limits.operations, limits.output), (1_000, 5));
        assert_eq!(
            limits.set("operation=1").unwrap_err(),
            "there is no limit \"operation\": did you mean `operations`?"
        );
        assert!(limits.set("array=0").is_err() && limits.set("array").is_err() && limits.set("array=x").is_err());
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([7, 1_000, 64_000_000].map(readable), ["7", "1,000", "64,000,000"]);
    }
}
