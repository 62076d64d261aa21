//! `--as`, `kubectl auth can-i` and `kubectl auth whoami`: what the cluster's admin and others may do.
//!
//! The real kubectl asks the API server; here the rules are read from the stored roles and bindings and weighed by kubectl itself.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/auth/{cani,whoami}.go, plugin/pkg/auth/authorizer/rbac/{rbac,subject_locator}.go,
//! bootstrappolicy/policy.go (`cluster-admin`, `system:basic-user`, `system:discovery`, `system:public-info-viewer`). Left out: other roles
//! that a real server creates for itself, such as `view`; aggregated roles; `auth reconcile`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::describe::rbac;
use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::json::{list, strings, text};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::tabwriter::Columns;
use super::{ApiCall, ApiVerb};

pub(crate) const CAN_I_FLAGS: &[Flag] = &[
    ("all-namespaces", 'A', Takes::Bool),
    ("quiet", 'q', Takes::Bool),
    ("subresource", ' ', Takes::Text),
    ("list", ' ', Takes::Bool),
    ("no-headers", ' ', Takes::Bool),
];

pub(crate) const WHOAMI_FLAGS: &[Flag] = &[("output", 'o', Takes::Text)];

/// Who may do everything, whatever the roles say.
const MASTERS: &str = "system:masters";
const RESOURCE_VERBS: &[&str] = &[
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "impersonate",
    "*",
    "approve",
    "sign",
    "escalate",
    "attest",
];
const URL_VERBS: &[&str] = &["get", "put", "post", "head", "options", "delete", "patch", "*"];

/// A user with their groups.
#[derive(Clone, Debug)]
struct User {
    name: String,
    groups: Vec<String>,
}

impl User {
    /// Whom the command line speaks for.
    fn of(args: &Args) -> User {
        let name = args.text("as");
        let mut groups: Vec<String> = args.list("as-group");
        if name.is_empty() {
            return User {
                name: "kubernetes-admin".into(),
                groups: vec![MASTERS.into(), "system:authenticated".into()],
            };
        }
        if let Some((namespace, _)) = service_account(name).filter(|_| groups.is_empty()) {
            groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
        }
        let everybody = if name == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
        if !groups.iter().any(|group| group == everybody) {
            groups.push(everybody.into());
        }
        User { name: name.into(), groups }
    }

    fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// Whether a binding's subject is meant; `namespace` is the binding's.
    fn is(&self, subject: &Value, namespace: &str) -> bool {
        let called = name_of(subject);
        match text(subject, "/kind") {
            "User" => called == self.name,
            "Group" => self.in_group(called),
            "ServiceAccount" => {
                let of = match text(subject, "/namespace") {
                    "" => namespace,
                    of => of,
                };
                service_account(&self.name) == Some((of, called))
            }
            _ => false,
        }
    }
}

fn name_of(subject: &Value) -> &str {
    text(subject, "/name")
}

/// `system:serviceaccount:NAMESPACE:NAME`
fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// Somebody else for whom kubectl speaks (`--as`): what they may not do is refused.
#[derive(Clone, Debug)]
pub(crate) struct Acting {
    user: User,
    /// The rules for each namespace, `None` for none, as far as they were needed.
    rules: BTreeMap<Option<String>, Vec<Value>>,
}

impl Acting {
    /// Whom the command line names, if anybody.
    pub fn of(args: &Args) -> Option<Acting> {
        args.has("as").then(|| Acting { user: User::of(args), rules: BTreeMap::new() })
    }

    /// The server's refusal of a request, if it would refuse.
    pub fn refusal(&mut self, session: &mut Session, call: &ApiCall) -> Step<Option<Failure>> {
        if self.user.in_group(MASTERS) || call.raw.is_some() {
            return Ok(None);
        }
        let place = call.namespace.clone();
        if !self.rules.contains_key(&place) {
            let rules = rules(session, &self.user, place.as_deref())?;
            self.rules.insert(place.clone(), rules);
        }
        let name = if call.verb == ApiVerb::Create && call.subresource.is_none() { None } else { call.name.as_deref() };
        let asked = Asked::Resource {
            verb: call.verb.as_str(),
            group: &call.group,
            resource: &call.resource,
            subresource: call.subresource.as_deref().unwrap_or(""),
            name: name.unwrap_or(""),
        };
        let granted = self.rules.get(&place).into_iter().flatten().any(|rule| asked.granted(rule));
        Ok((!granted).then(|| forbidden(&self.user.name, call, name)))
    }
}

fn forbidden(user: &str, call: &ApiCall, name: Option<&str>) -> Failure {
    let qualified =
        if call.group.is_empty() { call.resource.clone() } else { format!("{}.{}", call.resource, call.group) };
    let about = name.map_or(qualified.clone(), |name| format!("{qualified} \"{name}\""));
    let resource = match &call.subresource {
        Some(sub) => format!("{}/{sub}", call.resource),
        None => call.resource.clone(),
    };
    let place = match &call.namespace {
        Some(namespace) => format!("in the namespace \"{namespace}\""),
        None => "at the cluster scope".to_owned(),
    };
    let message = format!(
        "{about} is forbidden: User \"{user}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
        call.verb.as_str(),
        call.group
    );
    let details = json!({"name": name, "group": call.group, "kind": call.resource});
    Failure::Status(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": "Forbidden", "details": details, "code": 403,
    }))
}

/// The rules that hold for a user in a namespace, or in all if there is none.
fn rules(session: &mut Session, user: &User, namespace: Option<&str>) -> Step<Vec<Value>> {
    let mut found = Vec::new();
    if user.in_group(MASTERS) {
        found.extend(cluster_admin());
    }
    found.extend(for_everybody(user));
    let mut bindings = vec![(Resource::CLUSTERROLEBINDINGS, None)];
    bindings.extend(namespace.map(|namespace| (Resource::ROLEBINDINGS, Some(namespace))));
    for (resource, namespace) in bindings {
        let listed = session.list(resource.call(ApiVerb::List, namespace))?;
        let bound = listed.items().filter(|binding| {
            list(binding, "/subjects").iter().any(|subject| user.is(subject, namespace.unwrap_or("")))
        });
        for binding in bound {
            let role = text(binding, "/roleRef/name");
            let (kind, of) = match text(binding, "/roleRef/kind") {
                "Role" => (Resource::ROLES, namespace),
                _ if role == "cluster-admin" => {
                    found.extend(cluster_admin());
                    continue;
                }
                _ => (Resource::CLUSTERROLES, None),
            };
            let call = ApiCall { name: Some(role.into()), ..kind.call(ApiVerb::Get, of) };
            if let Ok(role) = attempt(session.call(call))? {
                found.extend(list(role, "/rules").iter().cloned());
            }
        }
    }
    Ok(found)
}

fn cluster_admin() -> [Value; 2] {
    [json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}), json!({"nonResourceURLs": ["*"], "verbs": ["*"]})]
}

/// What the server's own bindings give to all users.
fn for_everybody(user: &User) -> Vec<Value> {
    let public =
        json!({"nonResourceURLs": ["/livez", "/readyz", "/healthz", "/version", "/version/"], "verbs": ["get"]});
    if !user.in_group("system:authenticated") {
        return vec![public];
    }
    let create =
        |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["create"]});
    let discovery = [
        "/livez",
        "/readyz",
        "/healthz",
        "/version",
        "/version/",
        "/openapi",
        "/openapi/*",
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
    ];
    vec![
        create("authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
        create("authentication.k8s.io", &["selfsubjectreviews"]),
        json!({"nonResourceURLs": discovery, "verbs": ["get"]}),
        public,
    ]
}

/// What is asked for.
enum Asked<'a> {
    Resource { verb: &'a str, group: &'a str, resource: &'a str, subresource: &'a str, name: &'a str },
    Url { verb: &'a str, path: &'a str },
}

impl Asked<'_> {
    /// Whether a rule grants it.
    fn granted(&self, rule: &Value) -> bool {
        let says = |field: &str, word: &str| strings(rule, field).iter().any(|said| *said == "*" || *said == word);
        match *self {
            Asked::Resource { verb, group, resource, subresource, name } => {
                let (full, any) = match subresource {
                    "" => (resource.to_string(), None),
                    sub => (format!("{resource}/{sub}"), Some(format!("*/{sub}"))),
                };
                let named = strings(rule, "/resourceNames");
                says("/verbs", verb)
                    && says("/apiGroups", group)
                    && (says("/resources", &full) || any.is_some_and(|any| says("/resources", &any)))
                    && (named.is_empty() || named.contains(&name))
            }
            Asked::Url { verb, path } => {
                let fits = |said: &&str| match said.strip_suffix('*') {
                    Some(beginning) => path.starts_with(beginning),
                    None => *said == path,
                };
                says("/verbs", verb) && strings(rule, "/nonResourceURLs").iter().any(fits)
            }
        }
    }
}

/// `kubectl auth can-i VERB RESOURCE`, `kubectl auth can-i --list`
pub(crate) fn can_i(session: &mut Session, args: &Args) -> Step<()> {
    let user = User::of(args);
    let place = session.globals.namespace().to_string();
    if args.bool("list") {
        return print_list(session, args, &user, &place);
    }
    let [verb, what] = args.words.as_slice() else {
        let text = "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth \
                    can-i -h' for help and examples.";
        return Err(Failure::message(text).into());
    };
    let all = args.bool("all-namespaces");
    let mut known: &[&str] = RESOURCE_VERBS;
    let (word, name) = what.split_once('/').unwrap_or((what, ""));
    let found =
        if word == "*" || what.starts_with('/') { None } else { Resource::find_among(word, &session.discovered).ok() };
    let asked = if what.starts_with('/') {
        if args.has("subresource") {
            return Err(Failure::message("--subresource can not be used with NonResourceURL").into());
        }
        known = URL_VERBS;
        Asked::Url { verb, path: what }
    } else {
        let subresource = args.text("subresource");
        match &found {
            Some(found) => Asked::Resource { verb, group: found.group, resource: found.plural, subresource, name },
            None => {
                if !["*", "users", "groups"].contains(&word) {
                    let (kind, group) = word.split_once('.').unwrap_or((word, ""));
                    let group = if group.is_empty() { String::new() } else { format!(" in group '{group}'") };
                    session.warn(&format!("the server doesn't have a resource type '{kind}'{group}\n"));
                }
                Asked::Resource { verb, group: "", resource: word, subresource, name }
            }
        }
    };
    if let Some(found) = found.as_ref().filter(|found| !found.namespaced && !all) {
        let group = if found.group.is_empty() { String::new() } else { format!(" in group '{}'", found.group) };
        session.warn(&format!("resource '{}' is not namespace scoped{group}\n", found.plural));
    }
    let url = matches!(asked, Asked::Url { .. });
    if !known.contains(&verb.as_str()) && (url || !all) {
        session.warn(&format!("verb '{verb}' is not a known verb\n"));
    }
    if args.bool("no-headers") {
        return Err(Failure::message("--no-headers cannot be set without --list specified").into());
    }
    let allowed = user.in_group(MASTERS) || {
        let namespace = Some(place.as_str()).filter(|_| !all && !url);
        rules(session, &user, namespace)?.iter().any(|rule| asked.granted(rule))
    };
    if !args.bool("quiet") {
        session.print_line(if allowed { "yes" } else { "no" });
    }
    if allowed { Ok(()) } else { Err(Failure::Silent.into()) }
}

fn print_list(session: &mut Session, args: &Args, user: &User, place: &str) -> Step<()> {
    if !args.words.is_empty() {
        return Err(Failure::message("list option must be specified with no arguments").into());
    }
    if args.bool("quiet") || args.bool("all-namespaces") || args.has("subresource") {
        let text = "list option can't be specified with neither quiet, all-namespaces nor subresource options";
        return Err(Failure::message(text).into());
    }
    let rules = rules(session, user, Some(place))?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !args.bool("no-headers") {
        rows.push(["Resources", "Non-Resource URLs", "Resource Names", "Verbs"].map(str::to_string).into());
    }
    rows.extend(rbac::rows(&rules).into_iter().map(Vec::from));
    let text = Columns::default().lay_out(&rows);
    session.print(&text);
    Ok(())
}

/// `kubectl auth whoami`
pub(crate) fn whoami(session: &mut Session, args: &Args) -> Step<()> {
    let user = User::of(args);
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
        "metadata": {"creationTimestamp": super::duration::rfc3339(session.now)},
        "status": {"userInfo": {"groups": user.groups, "username": user.name}},
    });
    let text = match args.text("output") {
        "" => {
            let rows = [
                vec!["ATTRIBUTE".to_string(), "VALUE".into()],
                vec!["Username".into(), user.name],
                vec!["Groups".into(), format!("[{}]", user.groups.join(" "))],
            ];
            Columns::default().lay_out(&rows)
        }
        output @ ("json" | "yaml") => super::get::output::print(&review, output, true),
        other => return Err(Failure::message(format!("output format {other} is not simulated")).into()),
    };
    session.print(&text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_grant_verbs_names_subresources_and_urls() {
        let rule = json!({"apiGroups": ["", "apps"], "resources": ["pods", "*/scale"], "verbs": ["get"]});
        let asked =
            |verb, resource, subresource, name| Asked::Resource { verb, group: "apps", resource, subresource, name };
        assert!(asked("get", "pods", "", "").granted(&rule));
        assert!(!asked("list", "pods", "", "").granted(&rule));
        assert!(!asked("get", "pods", "log", "").granted(&rule));
        assert!(asked("get", "deployments", "scale", "web").granted(&rule));
        let named = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "resourceNames": ["web"]});
        assert!(asked("delete", "pods", "", "web").granted(&named) && !asked("delete", "pods", "", "").granted(&named));
        let urls = json!({"nonResourceURLs": ["/apis/*", "/healthz"], "verbs": ["get"]});
        let url = |path| Asked::Url { verb: "get", path };
        assert!(
            url("/apis/apps").granted(&urls) && url("/healthz").granted(&urls) && !url("/healthz/x").granted(&urls)
        );
    }

    #[test]
    fn a_refusal_names_user_verb_resource_and_place() {
        let call = ApiCall { namespace: Some("dev".into()), ..Resource::DEPLOYMENTS.call(ApiVerb::Get, Some("dev")) };
        assert_eq!(
            forbidden("bob", &call, Some("web")).text(),
            "deployments.apps \"web\" is forbidden: User \"bob\" cannot get resource \"deployments\" in API group \"apps\" in \
             the namespace \"dev\""
        );
        let call = Resource::NODES.call(ApiVerb::List, None);
        assert_eq!(
            forbidden("alice", &call, None).text(),
            "nodes is forbidden: User \"alice\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
        );
    }

    #[test]
    fn subjects_are_users_groups_and_service_accounts() {
        let user =
            User { name: "system:serviceaccount:dev:ci".into(), groups: vec!["system:serviceaccounts:dev".into()] };
        assert!(user.is(&json!({"kind": "ServiceAccount", "name": "ci", "namespace": "dev"}), "prod"));
        assert!(user.is(&json!({"kind": "ServiceAccount", "name": "ci"}), "dev"));
        assert!(!user.is(&json!({"kind": "ServiceAccount", "name": "ci"}), "prod"));
        assert!(user.is(&json!({"kind": "Group", "name": "system:serviceaccounts:dev"}), ""));
        assert!(!user.is(&json!({"kind": "User", "name": "jane"}), ""));
    }
}
