//! The verbs: which words and flags each has, and how the one that is meant is found.
//!
//! Models: github.com/spf13/cobra as kubernetes v1.36.2 uses it, staging/src/k8s.io/kubectl/pkg/cmd/cmd.go.
//! Left out: help texts, kuberc, plugins.

use super::errors::Failure;
use super::flags::{Args, FILES, Flag, PRINT, first_word, parse};
use super::session::{Session, Step};
use super::{
    api_resources, apply, auth, autoscale, cordon, create, delete, describe, diff_verb, drain, duration, events_verb,
    exec, expose, get, information, label, last_applied, logs, patch_verb, rollout, run, scale, set, taint, wait,
};

/// Global flags that change who speaks to the server; the simulated user is the cluster's admin.
const NOT_SIMULATED: &[&str] = &["token", "server", "context", "cluster", "user", "kubeconfig"];

type Verb = fn(&mut Session, &Args) -> Step<()>;

/// A verb: its words, its flags, what it does.
struct Command {
    words: &'static [&'static str],
    flags: &'static [&'static [Flag]],
    verb: Verb,
}

const COMMANDS: &[Command] = &[
    Command { words: &["get"], flags: &[get::FLAGS, FILES], verb: get::get },
    Command { words: &["describe"], flags: &[describe::FLAGS, FILES], verb: describe::describe },
    Command { words: &["create"], flags: &[create::FLAGS, FILES, PRINT], verb: create::from_files },
    Command { words: &["create", "namespace"], flags: &[create::FLAGS, PRINT], verb: create::namespace },
    Command {
        words: &["create", "deployment"],
        flags: &[create::FLAGS, create::workload::DEPLOYMENT_FLAGS, PRINT],
        verb: create::workload::deployment,
    },
    Command {
        words: &["create", "job"],
        flags: &[create::FLAGS, create::workload::JOB_FLAGS, PRINT],
        verb: create::workload::job,
    },
    Command {
        words: &["create", "cronjob"],
        flags: &[create::FLAGS, create::workload::CRON_JOB_FLAGS, PRINT],
        verb: create::workload::cron_job,
    },
    Command {
        words: &["create", "configmap"],
        flags: &[create::FLAGS, create::config::DATA_FLAGS, PRINT],
        verb: create::config::config_map,
    },
    Command {
        words: &["create", "serviceaccount"],
        flags: &[create::FLAGS, PRINT],
        verb: create::config::service_account,
    },
    Command {
        words: &["create", "token"],
        flags: &[create::FLAGS, create::config::TOKEN_FLAGS, PRINT],
        verb: create::config::token,
    },
    Command {
        words: &["create", "secret", "generic"],
        flags: &[create::FLAGS, create::config::DATA_FLAGS, PRINT],
        verb: create::secret::generic,
    },
    Command {
        words: &["create", "secret", "docker-registry"],
        flags: &[create::FLAGS, create::secret::DOCKER_FLAGS, PRINT],
        verb: create::secret::docker_registry,
    },
    Command {
        words: &["create", "secret", "tls"],
        flags: &[create::FLAGS, create::secret::TLS_FLAGS, PRINT],
        verb: create::secret::tls,
    },
    Command {
        words: &["create", "service", "clusterip"],
        flags: &[create::FLAGS, create::service::FLAGS, create::service::CLUSTER_IP_FLAGS, PRINT],
        verb: create::service::cluster_ip,
    },
    Command {
        words: &["create", "service", "nodeport"],
        flags: &[create::FLAGS, create::service::FLAGS, create::service::NODE_PORT_FLAGS, PRINT],
        verb: create::service::node_port,
    },
    Command {
        words: &["create", "service", "loadbalancer"],
        flags: &[create::FLAGS, create::service::FLAGS, PRINT],
        verb: create::service::load_balancer,
    },
    Command {
        words: &["create", "service", "externalname"],
        flags: &[create::FLAGS, create::service::FLAGS, create::service::EXTERNAL_NAME_FLAGS, PRINT],
        verb: create::service::external_name,
    },
    Command {
        words: &["create", "ingress"],
        flags: &[create::FLAGS, create::ingress::FLAGS, PRINT],
        verb: create::ingress::ingress,
    },
    Command {
        words: &["create", "quota"],
        flags: &[create::FLAGS, create::policy::QUOTA_FLAGS, PRINT],
        verb: create::policy::quota,
    },
    Command {
        words: &["create", "poddisruptionbudget"],
        flags: &[create::FLAGS, create::policy::BUDGET_FLAGS, PRINT],
        verb: create::policy::budget,
    },
    Command {
        words: &["create", "priorityclass"],
        flags: &[create::FLAGS, create::policy::PRIORITY_CLASS_FLAGS, PRINT],
        verb: create::policy::priority_class,
    },
    Command {
        words: &["create", "role"],
        flags: &[create::FLAGS, create::rbac::ROLE_FLAGS, PRINT],
        verb: create::rbac::role,
    },
    Command {
        words: &["create", "clusterrole"],
        flags: &[create::FLAGS, create::rbac::ROLE_FLAGS, PRINT],
        verb: create::rbac::cluster_role,
    },
    Command {
        words: &["create", "rolebinding"],
        flags: &[create::FLAGS, create::rbac::BINDING_FLAGS, PRINT],
        verb: create::rbac::role_binding,
    },
    Command {
        words: &["create", "clusterrolebinding"],
        flags: &[create::FLAGS, create::rbac::BINDING_FLAGS, PRINT],
        verb: create::rbac::cluster_role_binding,
    },
    Command { words: &["apply"], flags: &[apply::FLAGS, FILES, PRINT], verb: apply::apply },
    Command { words: &["apply", "view-last-applied"], flags: &[last_applied::FLAGS, FILES], verb: last_applied::view },
    Command {
        words: &["apply", "edit-last-applied"],
        flags: &[last_applied::FLAGS, FILES],
        verb: last_applied::refuse,
    },
    Command { words: &["apply", "set-last-applied"], flags: &[last_applied::FLAGS, FILES], verb: last_applied::refuse },
    Command { words: &["diff"], flags: &[diff_verb::FLAGS, FILES], verb: diff_verb::diff },
    Command { words: &["replace"], flags: &[apply::FLAGS, FILES, PRINT], verb: apply::replace },
    Command { words: &["run"], flags: &[run::FLAGS, PRINT], verb: run::run_pod },
    Command { words: &["expose"], flags: &[expose::FLAGS, FILES, PRINT], verb: expose::expose },
    Command { words: &["scale"], flags: &[scale::FLAGS, FILES, PRINT], verb: scale::scale },
    Command { words: &["autoscale"], flags: &[autoscale::FLAGS, FILES, PRINT], verb: autoscale::autoscale },
    Command { words: &["set", "image"], flags: &[set::FLAGS, FILES, PRINT], verb: set::image::set_image },
    Command { words: &["set", "env"], flags: &[set::FLAGS, set::env::FLAGS, FILES, PRINT], verb: set::env::set_env },
    Command {
        words: &["set", "resources"],
        flags: &[set::FLAGS, set::resources::FLAGS, FILES, PRINT],
        verb: set::resources::set_resources,
    },
    Command {
        words: &["set", "serviceaccount"],
        flags: &[set::FLAGS, FILES, PRINT],
        verb: set::account::set_service_account,
    },
    Command { words: &["rollout", "status"], flags: &[rollout::FLAGS, FILES], verb: rollout::status::status },
    Command { words: &["rollout", "undo"], flags: &[rollout::FLAGS, FILES, PRINT], verb: rollout::undo::undo },
    Command { words: &["rollout", "history"], flags: &[rollout::FLAGS, FILES, PRINT], verb: rollout::history::history },
    Command { words: &["rollout", "pause"], flags: &[rollout::FLAGS, FILES, PRINT], verb: rollout::pause::pause },
    Command { words: &["rollout", "resume"], flags: &[rollout::FLAGS, FILES, PRINT], verb: rollout::pause::resume },
    Command { words: &["rollout", "restart"], flags: &[rollout::FLAGS, FILES, PRINT], verb: rollout::pause::restart },
    Command { words: &["delete"], flags: &[delete::FLAGS, FILES], verb: delete::delete },
    Command { words: &["cordon"], flags: &[cordon::FLAGS], verb: cordon::cordon },
    Command { words: &["uncordon"], flags: &[cordon::FLAGS], verb: cordon::uncordon },
    Command { words: &["drain"], flags: &[drain::FLAGS], verb: drain::drain },
    Command { words: &["label"], flags: &[label::FLAGS, FILES, PRINT], verb: label::label },
    Command { words: &["annotate"], flags: &[label::FLAGS, FILES, PRINT], verb: label::annotate },
    Command { words: &["taint"], flags: &[taint::FLAGS, PRINT], verb: taint::taint },
    Command { words: &["wait"], flags: &[wait::FLAGS, FILES], verb: wait::wait },
    Command { words: &["patch"], flags: &[patch_verb::FLAGS, FILES, PRINT], verb: patch_verb::patch },
    Command { words: &["events"], flags: &[events_verb::FLAGS], verb: events_verb::events },
    Command { words: &["logs"], flags: &[logs::FLAGS], verb: logs::logs },
    Command { words: &["exec"], flags: &[exec::FLAGS], verb: exec::exec },
    Command { words: &["api-resources"], flags: &[api_resources::FLAGS], verb: api_resources::api_resources },
    Command { words: &["api-versions"], flags: &[], verb: api_resources::api_versions },
    Command { words: &["version"], flags: &[information::VERSION_FLAGS], verb: information::version },
    Command { words: &["config", "current-context"], flags: &[], verb: information::current_context },
    Command { words: &["config", "get-contexts"], flags: &[information::CONTEXT_FLAGS], verb: information::contexts },
    Command { words: &["cluster-info"], flags: &[], verb: information::cluster_info },
    Command { words: &["auth", "can-i"], flags: &[auth::CAN_I_FLAGS], verb: auth::can_i },
    Command { words: &["auth", "whoami"], flags: &[auth::WHOAMI_FLAGS], verb: auth::whoami },
    Command { words: &["top", "node"], flags: &[information::TOP_FLAGS], verb: information::top },
    Command { words: &["top", "pod"], flags: &[information::TOP_FLAGS], verb: information::top },
];

/// Other names of subcommands: the command above, the alias, the name.
const ALIASES: &[(&str, &str, &str)] = &[
    ("create", "cj", "cronjob"),
    ("create", "cm", "configmap"),
    ("create", "deploy", "deployment"),
    ("create", "ing", "ingress"),
    ("create", "ns", "namespace"),
    ("create", "pc", "priorityclass"),
    ("create", "pdb", "poddisruptionbudget"),
    ("create", "resourcequota", "quota"),
    ("create", "sa", "serviceaccount"),
    ("create", "svc", "service"),
    ("set", "sa", "serviceaccount"),
    ("top", "no", "node"),
    ("top", "nodes", "node"),
    ("top", "po", "pod"),
    ("top", "pods", "pod"),
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

/// Verbs that are not there: why, and what to do.
const INSTEAD: &[(&[&str], &str)] = &[
    (
        &["attach", "cp", "debug"],
        "containers execute nothing; the pod's annotation wavetank.dev/run says what they do (\"5s exit 1\"), kubectl logs \
         shows what wavetank.dev/log has them print, and kubectl exec runs what wavetank.dev/exec.COMMAND describes",
    ),
    (&["port-forward", "proxy"], "no traffic flows; kubectl get endpointslices tells which pods a Service leads to"),
    (&["edit"], "there is no editor; use kubectl patch, kubectl set, or kubectl apply -f FILE"),
    (
        &["explain"],
        "it has no field descriptions; kubectl api-resources lists the kinds, and kubectl create --dry-run=client -o yaml shows \
         their fields",
    ),
    (&["kustomize"], "write the manifests out and use kubectl apply -f FILE"),
    (&["certificate"], "no certificates are issued"),
    (&["plugin", "completion", "kuberc", "options"], "it has no bearing on a cluster"),
];

/// Finds the verb, parses its flags and runs it.
pub(crate) fn dispatch(session: &mut Session) -> Step<()> {
    let argv = &session.process.argv;
    let Some(at) = first_word(argv, &[]) else {
        return Err(Failure::message("no command given: name a verb, such as get or create").into());
    };
    let verb = argv[at].as_str();
    let (mut names, mut taken) = (vec![verb], vec![at]);
    // Subcommands: as long as the next word names one.
    loop {
        let from = taken.last().map_or(0, |last| last + 1);
        let rest = argv.get(from..).unwrap_or_default();
        let flags: &[&[Flag]] = COMMANDS.iter().find(|c| c.words == names).map_or(&[], |c| c.flags);
        let Some(next) = first_word(rest, flags) else { break };
        let word = rest.get(next).map_or("", String::as_str);
        let word = ALIASES.iter().find(|(of, alias, _)| *of == verb && *alias == word).map_or(word, |(.., name)| name);
        names.push(word);
        if !COMMANDS.iter().any(|c| c.words.starts_with(&names)) {
            names.pop();
            break;
        }
        taken.push(from + next);
    }
    let rest = argv.get(taken.last().map_or(0, |last| last + 1)..).unwrap_or_default();
    let Some(command) = COMMANDS.iter().find(|c| c.words == names) else { return Err(unknown(&names, rest).into()) };
    let words: Vec<String> =
        argv.iter().enumerate().filter(|(i, _)| !taken.contains(i)).map(|(_, word)| word.clone()).collect();
    let args = parse(&words, command.words, command.flags)?;
    if let Some(flag) = NOT_SIMULATED.iter().find(|f| args.has(f)) {
        return Err(
            Failure::message(format!("--{flag} is not simulated: kubectl speaks as the cluster's admin")).into()
        );
    }
    session.globals.namespace = args.given("namespace");
    if names[0] != "auth" {
        session.acting = auth::Acting::of(&args);
    }
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

/// `names` is what was understood, `rest` what follows it.
fn unknown(names: &[&str], rest: &[String]) -> Failure {
    let verb = names.first().copied().unwrap_or("");
    if ALL_VERBS.contains(&verb) {
        let has_subcommands = COMMANDS.iter().any(|c| c.words.len() > names.len() && c.words.starts_with(names));
        let next = rest.iter().find(|w| !w.starts_with('-')).filter(|_| has_subcommands);
        let names = names.join(" ");
        return Failure::message(match next {
            Some(next) => format!("kubectl {names} {next} is not simulated"),
            None if has_subcommands => format!("kubectl {names} needs a subcommand"),
            None => match INSTEAD.iter().find(|(verbs, _)| verbs.contains(&verb)) {
                Some((_, instead)) => format!("kubectl {names} is not simulated: {instead}"),
                None => format!("kubectl {names} is not simulated"),
            },
        });
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
        assert_eq!(
            unknown(&["foo"], &[]).text(),
            "unknown command \"foo\" for \"kubectl\"\n\nDid you mean this?\n\ttop"
        );
        assert_eq!(unknown(&["frobnicate"], &[]).text(), "unknown command \"frobnicate\" for \"kubectl\"");
        for verb in ["attach", "cp", "explain", "port-forward", "edit"] {
            let text = unknown(&[verb], &["x".into()]).text();
            assert!(
                text.starts_with(&format!("kubectl {verb} is not simulated: ")) && text.contains("kubectl "),
                "{text}"
            );
        }
        assert_eq!(unknown(&["set"], &["subject".into()]).text(), "kubectl set subject is not simulated");
    }

    #[test]
    fn a_timeout_without_a_unit_means_seconds() {
        assert_eq!(request_timeout("5"), Ok(Some(5_000_000_000)));
        assert_eq!(request_timeout("0"), Ok(None));
        assert!(request_timeout("x").is_err());
    }
}
