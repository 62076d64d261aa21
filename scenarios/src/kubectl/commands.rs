//! The verbs: which words and flags each has, and how the one that is meant is found.
//!
//! Models: github.com/spf13/cobra as kubernetes v1.36.2 uses it, staging/src/k8s.io/kubectl/pkg/cmd/cmd.go.
//! Left out: help texts, kuberc, plugins.

use super::duration;
use super::errors::Failure;
use super::flags::{Args, FILES, Flag, PRINT, first_word, parse};
use super::session::{Session, Step};

/// Global flags that change who speaks to the server; the simulated user is the cluster's admin.
const NOT_SIMULATED: &[&str] =
    &["as", "as-group", "as-uid", "token", "server", "context", "cluster", "user", "kubeconfig"];

type Verb = fn(&mut Session, &Args) -> Step<()>;

/// A verb: its words, its flags, what it does.
struct Command {
    words: &'static [&'static str],
    flags: &'static [&'static [Flag]],
    verb: Verb,
}

const COMMANDS: &[Command] = &[
    Command { words: &["get"], flags: &[super::get::FLAGS, FILES], verb: super::get::get },
    Command { words: &["describe"], flags: &[super::describe::FLAGS, FILES], verb: super::describe::describe },
    Command { words: &["create"], flags: &[super::create::FLAGS, FILES, PRINT], verb: super::create::from_files },
    Command { words: &["create", "namespace"], flags: &[super::create::FLAGS, PRINT], verb: super::create::namespace },
    Command { words: &["create", "ns"], flags: &[super::create::FLAGS, PRINT], verb: super::create::namespace },
    Command {
        words: &["create", "deployment"],
        flags: &[super::create::FLAGS, super::create::DEPLOYMENT_FLAGS, PRINT],
        verb: super::create::deployment,
    },
    Command {
        words: &["create", "deploy"],
        flags: &[super::create::FLAGS, super::create::DEPLOYMENT_FLAGS, PRINT],
        verb: super::create::deployment,
    },
    Command {
        words: &["create", "configmap"],
        flags: &[super::create::FLAGS, super::create::CONFIGMAP_FLAGS, PRINT],
        verb: super::create::configmap,
    },
    Command {
        words: &["create", "cm"],
        flags: &[super::create::FLAGS, super::create::CONFIGMAP_FLAGS, PRINT],
        verb: super::create::configmap,
    },
    Command {
        words: &["create", "serviceaccount"],
        flags: &[super::create::FLAGS, PRINT],
        verb: super::create::serviceaccount,
    },
    Command { words: &["create", "sa"], flags: &[super::create::FLAGS, PRINT], verb: super::create::serviceaccount },
    Command { words: &["apply"], flags: &[super::apply::FLAGS, FILES, PRINT], verb: super::apply::apply },
    Command { words: &["replace"], flags: &[super::apply::FLAGS, FILES, PRINT], verb: super::apply::replace },
    Command { words: &["run"], flags: &[super::run::FLAGS, PRINT], verb: super::run::run_pod },
    Command { words: &["scale"], flags: &[super::scale::FLAGS, FILES, PRINT], verb: super::scale::scale },
    Command {
        words: &["set", "image"],
        flags: &[super::set_image::FLAGS, FILES, PRINT],
        verb: super::set_image::set_image,
    },
    Command {
        words: &["rollout", "status"],
        flags: &[super::rollout::FLAGS, FILES],
        verb: super::rollout::status::status,
    },
    Command {
        words: &["rollout", "undo"],
        flags: &[super::rollout::FLAGS, FILES, PRINT],
        verb: super::rollout::undo::undo,
    },
    Command {
        words: &["rollout", "history"],
        flags: &[super::rollout::FLAGS, FILES, PRINT],
        verb: super::rollout::history::history,
    },
    Command {
        words: &["rollout", "pause"],
        flags: &[super::rollout::FLAGS, FILES, PRINT],
        verb: super::rollout::pause::pause,
    },
    Command {
        words: &["rollout", "resume"],
        flags: &[super::rollout::FLAGS, FILES, PRINT],
        verb: super::rollout::pause::resume,
    },
    Command {
        words: &["rollout", "restart"],
        flags: &[super::rollout::FLAGS, FILES, PRINT],
        verb: super::rollout::pause::restart,
    },
    Command { words: &["delete"], flags: &[super::delete::FLAGS, FILES], verb: super::delete::delete },
    Command { words: &["cordon"], flags: &[super::cordon::FLAGS], verb: super::cordon::cordon },
    Command { words: &["uncordon"], flags: &[super::cordon::FLAGS], verb: super::cordon::uncordon },
    Command { words: &["label"], flags: &[super::label::FLAGS, FILES, PRINT], verb: super::label::label },
    Command { words: &["annotate"], flags: &[super::label::FLAGS, FILES, PRINT], verb: super::label::annotate },
    Command { words: &["taint"], flags: &[super::taint::FLAGS, PRINT], verb: super::taint::taint },
    Command { words: &["wait"], flags: &[super::wait::FLAGS, FILES], verb: super::wait::wait },
    Command { words: &["patch"], flags: &[super::patch_verb::FLAGS, FILES, PRINT], verb: super::patch_verb::patch },
];

/// kubectl's own verbs, for "did you mean" and for saying which are not simulated.
const ALL_VERBS: &[&str] = &[
    "annotate",
    "api-resources",
    "api-versions",
    "apply",
    "attach",
    "auth",
    "autoscale",
    "certificate",
    "cluster-info",
    "completion",
    "config",
    "cordon",
    "cp",
    "create",
    "debug",
    "delete",
    "describe",
    "diff",
    "drain",
    "edit",
    "events",
    "exec",
    "explain",
    "expose",
    "get",
    "kuberc",
    "kustomize",
    "label",
    "logs",
    "options",
    "patch",
    "plugin",
    "port-forward",
    "proxy",
    "replace",
    "rollout",
    "run",
    "scale",
    "set",
    "taint",
    "top",
    "uncordon",
    "version",
    "wait",
];

/// What `create` could generate but does not here.
const NO_GENERATORS: &[&str] = &[
    "clusterrole",
    "clusterrolebinding",
    "cronjob",
    "cj",
    "ingress",
    "ing",
    "job",
    "poddisruptionbudget",
    "pdb",
    "priorityclass",
    "pc",
    "quota",
    "resourcequota",
    "role",
    "rolebinding",
    "secret",
    "service",
    "svc",
    "token",
];

/// Finds the verb, parses its flags and runs it.
pub(crate) fn dispatch(session: &mut Session) -> Step<()> {
    let argv = &session.process.argv;
    let Some(at) = first_word(argv, &[]) else {
        return Err(Failure::message("no command given: name a verb, such as get or create").into());
    };
    let verb = argv[at].as_str();
    let mut command = COMMANDS.iter().find(|c| c.words == [verb]);
    let mut taken = vec![at];
    let rest = &argv[at + 1..];
    let parent: &[&[Flag]] = command.map_or(&[], |c| c.flags);
    if let Some(second) = first_word(rest, parent) {
        let sub = COMMANDS.iter().find(|c| c.words.len() == 2 && c.words == [verb, rest[second].as_str()]);
        if sub.is_some() {
            command = sub;
            taken.push(at + 1 + second);
        }
    }
    if let ("create", 1, Some(generator)) = (verb, taken.len(), first_word(rest, parent).and_then(|at| rest.get(at)))
        && NO_GENERATORS.contains(&generator.as_str())
    {
        return Err(Failure::message(format!("kubectl create {generator} is not simulated")).into());
    }
    let Some(command) = command else { return Err(unknown(verb, rest).into()) };
    let words: Vec<String> =
        argv.iter().enumerate().filter(|(i, _)| !taken.contains(i)).map(|(_, word)| word.clone()).collect();
    let args = parse(&words, command.words, command.flags)?;
    if let Some(flag) = NOT_SIMULATED.iter().find(|f| args.has(f)) {
        return Err(
            Failure::message(format!("--{flag} is not simulated: kubectl speaks as the cluster's admin")).into()
        );
    }
    session.globals.namespace = args.given("namespace");
    session.globals.request_timeout = request_timeout(args.text("request-timeout"))?;
    (command.verb)(session, &args)
}

fn request_timeout(text: &str) -> Result<Option<u64>, Failure> {
    let ns = match text {
        "" => 0,
        text => match text.parse::<i64>() {
            Ok(seconds) => seconds.saturating_mul(1_000_000_000),
            Err(_) => duration::parse(text).map_err(|_| {
                Failure::message(
                    "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a \
                     corresponding time unit (e.g. 1s | 2m | 3h)",
                )
            })?,
        },
    };
    Ok(Some(ns.unsigned_abs()).filter(|ns| *ns > 0))
}

fn unknown(verb: &str, rest: &[String]) -> Failure {
    if ALL_VERBS.contains(&verb) {
        let sub = rest.iter().find(|w| !w.starts_with('-')).map_or(String::new(), |w| format!(" {w}"));
        let has_subcommands = COMMANDS.iter().any(|c| c.words.len() == 2 && c.words.first() == Some(&verb));
        let sub = if has_subcommands { sub } else { String::new() };
        return Failure::message(format!("kubectl {verb}{sub} is not simulated"));
    }
    let near: Vec<&str> = ALL_VERBS
        .iter()
        .copied()
        .filter(|known| distance(verb, known) <= 2 || known.starts_with(&verb.to_lowercase()))
        .collect();
    let mut text = format!("unknown command \"{verb}\" for \"kubectl\"");
    if !near.is_empty() {
        text.push_str("\n\nDid you mean this?");
        for known in near {
            text.push_str(&format!("\n\t{known}"));
        }
    }
    Failure::Message(text)
}

/// Levenshtein distance, without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_verbs_are_told_from_those_not_simulated() {
        assert_eq!(unknown("foo", &[]).text(), "unknown command \"foo\" for \"kubectl\"\n\nDid you mean this?\n\ttop");
        assert_eq!(unknown("frobnicate", &[]).text(), "unknown command \"frobnicate\" for \"kubectl\"");
        assert_eq!(unknown("logs", &["x".into()]).text(), "kubectl logs is not simulated");
        assert_eq!(unknown("set", &["env".into()]).text(), "kubectl set env is not simulated");
    }

    #[test]
    fn a_timeout_without_a_unit_means_seconds() {
        assert_eq!(request_timeout("5"), Ok(Some(5_000_000_000)));
        assert_eq!(request_timeout("0"), Ok(None));
        assert!(request_timeout("x").is_err());
    }
}
