//! `kubectl create secret generic`, `docker-registry` and `tls`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/create_secret{,_docker,_tls}.go.
//! Left out: whether a certificate and its key fit; data that is no text.

use serde_json::{Map, Value, json};

use super::super::base64;
use super::super::errors::Failure;
use super::super::flags::{Args, Flag, Takes};
use super::super::resources::Resource;
use super::super::session::{Session, Step};
use super::{config, generated, the_name};

fn secret(session: &mut Session, args: &Args, kind: &str, data: Vec<(String, String)>) -> Step<()> {
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": the_name(args)?}});
    if !data.is_empty() {
        let coded = |(key, value): (String, String)| (key, Value::String(base64::encode(value.as_bytes())));
        object["data"] = Value::Object(data.into_iter().map(coded).collect::<Map<_, _>>());
    }
    if !kind.is_empty() {
        object["type"] = kind.into();
    }
    generated(session, args, &Resource::SECRETS, object, "failed to create secret")
}

/// `kubectl create secret generic NAME`
pub(crate) fn generic(session: &mut Session, args: &Args) -> Step<()> {
    the_name(args)?;
    let data = config::data(session, args)?;
    secret(session, args, args.text("type"), data)
}

pub(crate) const DOCKER_FLAGS: &[Flag] = &[
    ("docker-username", ' ', Takes::Text),
    ("docker-password", ' ', Takes::Text),
    ("docker-email", ' ', Takes::Text),
    ("docker-server", ' ', Takes::Text),
    ("from-file", ' ', Takes::List),
    ("append-hash", ' ', Takes::Bool),
];

/// `kubectl create secret docker-registry NAME`
pub(crate) fn docker_registry(session: &mut Session, args: &Args) -> Step<()> {
    const KEY: &str = ".dockerconfigjson";
    the_name(args)?;
    let kind = "kubernetes.io/dockerconfigjson";
    if args.has("from-file") {
        let mut data = config::data(session, args)?;
        if let [(key, _)] = data.as_mut_slice() {
            *key = KEY.into();
        }
        return secret(session, args, kind, data);
    }
    let server = args.text_or("docker-server", "https://index.docker.io/v1/");
    let (user, password) = (args.text("docker-username"), args.text("docker-password"));
    if user.is_empty() || password.is_empty() || server.is_empty() {
        return Err(Failure::message(
            "either --from-file or the combination of --docker-username, --docker-password and --docker-server is \
             required",
        )
        .into());
    }
    let quoted = |text: &str| Value::String(text.into()).to_string();
    let mut entry = format!("\"username\":{},\"password\":{}", quoted(user), quoted(password));
    if let Some(email) = args.given("docker-email") {
        entry.push_str(&format!(",\"email\":{}", quoted(&email)));
    }
    let auth = base64::encode(format!("{user}:{password}").as_bytes());
    let content = format!("{{\"auths\":{{{}:{{{entry},\"auth\":\"{auth}\"}}}}}}", quoted(server));
    secret(session, args, kind, vec![(KEY.into(), content)])
}

pub(crate) const TLS_FLAGS: &[Flag] =
    &[("cert", ' ', Takes::Text), ("key", ' ', Takes::Text), ("append-hash", ' ', Takes::Bool)];

/// `kubectl create secret tls NAME --cert=… --key=…`
pub(crate) fn tls(session: &mut Session, args: &Args) -> Step<()> {
    the_name(args)?;
    if args.text("key").is_empty() || args.text("cert").is_empty() {
        return Err(Failure::message("key and cert must be specified").into());
    }
    let read = |flag: &str| {
        let path = args.text(flag);
        session.files.read(path).map_err(|why| Failure::message(format!("open {path}: {why}")))
    };
    let data = vec![("tls.crt".to_string(), read("cert")?), ("tls.key".to_string(), read("key")?)];
    secret(session, args, "kubernetes.io/tls", data)
}
