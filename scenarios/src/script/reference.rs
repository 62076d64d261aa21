//! The script reference, written from the tables the functions are registered from.

use super::functions::{self, Function, Group};
use super::{closures, limits, object};
use crate::spec;
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Script reference

A script is a [Rhai](https://rhai.rs/book/) program that drives one simulated cluster and reads like a lab:

```rhai
let c = cluster(#{ nodes: 3, etcd: 3, profile: \"laptop\" });
c.kubectl(\"create deployment nginx --image=nginx:1.25 --replicas=1\");
c.wait(\"deployment/nginx\", \"Available\");
mark(\"scale up\");
c.kubectl(\"scale deployment nginx --replicas=5\");
c.run_for(\"15s\");
expect(c.pods().filter(|p| p.ready).len() == 5, \"all five replicas are ready\");
```

* **Virtual time** passes only while the script waits: in `kubectl`, `run_for`, `wait` and the like. Everything \
else takes none.
* **Durations** are text with a unit, as in Go: `\"15s\"`, `\"1m30s\"`, `\"250ms\"`, `\"1.5h\"`. **Times** are \
durations since the start of the script.
* **Functions on the cluster** can be called with or without it: `c.run_for(\"15s\")` or `run_for(\"15s\")`. Inside a \
`fn` of the script, which sees only its parameters, the short form is handy.
* **Text in backticks** may span lines and take values in: `` `replicas: ${n}` ``.
* **Imports** come from the script's own folder and below: `import \"lib/steps\" as steps;`.
* Not available, because results would differ between machines or runs: clocks, `sleep`, random numbers, `eval`, `**`, \
trigonometric, exponential and logarithmic functions.
";

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    for (group, title) in TITLES {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "\n## {title}");
        for function in functions::all().filter(|function| function.group == group) {
            out.push_str(&chapter(function));
            if function.name == "controller" {
                out.push_str(&spec::keys::table(spec::keys::CONTROLLER));
            }
            if function.name == "webhook" {
                out.push_str(&spec::keys::table(spec::keys::WEBHOOK));
                out += "\nWhat `admit` may answer:\n\n| answer | says |\n|---|---|\n";
                for (answer, meaning) in closures::webhook::ANSWERS {
                    let _ = writeln!(out, "| `{answer}` | {meaning} |");
                }
            }
            if function.name == "scheduler_plugin" {
                out.push_str(&spec::keys::table(spec::keys::PLUGIN));
            }
            if function.name == "cluster" {
                out.push_str(&spec::keys::reference());
            }
        }
        if group == Group::Controllers {
            out.push_str(&inside());
        }
        if group == Group::Objects {
            out.push_str(&shortcuts());
        }
    }
    out.push_str(&bounds());
    out
}

const TITLES: [(Group, &str); 10] = [
    (Group::Cluster, "The cluster and settings"),
    (Group::Commands, "kubectl"),
    (Group::Etcd, "etcd"),
    (Group::Time, "Virtual time"),
    (Group::Faults, "Load, and what goes wrong"),
    (Group::Waiting, "Waiting for a state"),
    (Group::Controllers, "Controllers, scheduler plugins and webhooks of one's own"),
    (Group::Objects, "Reading objects"),
    (Group::Checks, "Expectations"),
    (Group::Prose, "Text for the reader"),
];

fn chapter(function: &Function) -> String {
    let signatures: Vec<String> = function.signatures.iter().map(|signature| format!("`{signature}`")).collect();
    let (name, ways) = (function.name, signatures.join(", "));
    format!("\n### {name}\n\n{ways}\n\n{}\n\n```rhai\n{}\n```\n", function.summary, function.example)
}

fn inside() -> String {
    let mut out = String::from(
        "\n### Inside a reconcile\n\nOnly these functions, those of the language and those the script defines can be called. What the API \
         server refuses is thrown: `try { … } catch (e) { … }` sees `e.code`, `e.reason` and `e.message`. A key is text such as \
         `\"default/web\"`, with `key.name`, `key.namespace` and `key.kind`; where a key is wanted, the object itself will do.\n\n\
         | call | does |\n|---|---|\n",
    );
    for function in closures::inside::TABLE {
        let _ = writeln!(out, "| `{}` | {} |", function.signature, function.summary);
    }
    out += "\n### Pods and nodes in a scheduler plugin\n\n| of | field | is |\n|---|---|---|\n";
    for (of, fields) in closures::plugin::FIELDS {
        for (name, meaning) in fields {
            let _ = writeln!(out, "| {of} | `{name}` | {meaning} |");
        }
    }
    out
}

fn shortcuts() -> String {
    let mut out = String::from(
        "\n### Fields of an object\n\nAn object has the fields of its JSON (`metadata`, `spec`, `status` …) and these \
         short cuts. A field the JSON does not have is `()`. `to_map()` gives all of it as a map.\n\n\
         | of | field | is |\n|---|---|---|\n",
    );
    for (of, fields) in object::SHORTCUTS {
        for (name, meaning) in fields {
            let _ = writeln!(out, "| {of} | `{name}` | {meaning} |");
        }
    }
    out
}

fn bounds() -> String {
    let mut out = String::from(
        "\n## Bounds\n\nA script that runs away is stopped with an error that names the bound. Raise one with `--limit \
         NAME=NUMBER`; virtual time ends at `--until` (default 1h).\n\n| limit | default | bounds |\n|---|---|---|\n",
    );
    for (name, default, meaning) in limits::NAMES {
        let _ = writeln!(out, "| `{name}` | {} | {meaning} |", limits::readable(default));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_its_chapter() {
        let text = markdown();
        for function in functions::all() {
            assert_eq!(text.matches(&format!("\n### {}\n", function.name)).count(), 1, "{}", function.name);
        }
        assert!(text.contains("| pods | `ready` |") && text.contains("| `operations` | 100,000,000 |"));
    }
}
