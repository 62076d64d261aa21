//! What kubectl says when it fails.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/util/helpers.go (`checkErr`, `StandardErrorMessage`,
//! `MultipleErrors`, `AddSourceToErr`).

use serde_json::Value;

use super::json::{list, text};

/// The address in kubectl's kubeconfig.
pub(crate) const SERVER: &str = "127.0.0.1:6443";

/// A failure of kubectl.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// The API server refused: a metav1.Status.
    Status(Value),
    /// kubectl itself is not content; printed after `error: `.
    Message(String),
    /// A mistake on the command line; the second field is the command whose help is recommended.
    Usage(String, String),
    /// A mistake in the flags themselves.
    Flag(String, String),
    /// Nobody listens at the server's address.
    Refused,
    /// The server cannot be reached: why.
    Unreachable(String),
    /// Several failures.
    Many(Vec<Failure>),
    /// A command in a container ended with this exit code, and so does kubectl.
    Exit(i32),
    /// Everything has been said already.
    Silent,
}

impl Failure {
    pub fn message(text: impl Into<String>) -> Failure {
        Failure::Message(text.into())
    }

    /// The failures as one, none as success.
    pub fn collect(failures: Vec<Failure>) -> Result<(), Failure> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.into_iter().next().unwrap_or(Failure::Silent)),
            _ => Err(Failure::Many(failures)),
        }
    }

    /// The reason of an API status.
    pub fn reason(&self) -> &str {
        match self {
            Failure::Status(status) => text(status, "/reason"),
            _ => "",
        }
    }

    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// Go's `err.Error()`.
    pub fn text(&self) -> String {
        match self {
            Failure::Status(status) => text(status, "/message").to_string(),
            Failure::Message(text) => text.clone(),
            Failure::Usage(text, command) => format!("{text}\nSee '{command} -h' for help and examples"),
            Failure::Flag(text, command) => format!("{text}\nSee '{command} --help' for usage."),
            Failure::Refused => format!("dial tcp {SERVER}: connect: connection refused"),
            Failure::Unreachable(why) => why.clone(),
            Failure::Many(failures) => {
                let texts: Vec<String> = failures.iter().map(Failure::text).collect();
                format!("[{}]", texts.join(", "))
            }
            Failure::Exit(code) => format!("command terminated with exit code {code}"),
            Failure::Silent => String::new(),
        }
    }

    /// `AddSourceToErr`: says which file the failure is about and what was being done with it.
    pub fn with_source(self, verb: &str, source: &str) -> Failure {
        if source.is_empty() {
            return self;
        }
        let text = format!("error when {verb} \"{source}\": {}", self.text());
        match self {
            Failure::Status(mut status) => {
                status["message"] = Value::String(text);
                Failure::Status(status)
            }
            Failure::Message(_) => Failure::Message(text),
            other => other,
        }
    }

    /// `fmt.Errorf("WHAT: %v", err)`: only the text remains.
    pub fn wrap(self, what: &str) -> Failure {
        self.prefixed(&format!("{what}:"))
    }

    /// `fmt.Errorf("PREFIX %v", err)`: only the text remains.
    pub fn prefixed(self, prefix: &str) -> Failure {
        match self {
            Failure::Refused | Failure::Unreachable(_) => self,
            other => Failure::Message(format!("{prefix} {}", other.text())),
        }
    }
}

/// The text on standard error, without the last line end; empty if there is nothing to say.
pub(crate) fn message(failure: &Failure) -> String {
    match failure {
        Failure::Status(status) if text(status, "/reason") == "Invalid" => invalid(status),
        Failure::Many(failures) => match failures.as_slice() {
            [one] => message(one),
            many => many.iter().map(one_of_many).collect::<Vec<_>>().join("\n"),
        },
        Failure::Silent => String::new(),
        Failure::Exit(_) => failure.text(),
        other => standard(other).unwrap_or_else(|| {
            let text = other.text();
            if text.starts_with("error: ") { text } else { format!("error: {text}") }
        }),
    }
}

fn one_of_many(failure: &Failure) -> String {
    standard(failure).unwrap_or_else(|| failure.text())
}

fn standard(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Status(status) => {
            let (reason, message) = (text(status, "/reason"), text(status, "/message"));
            Some(match reason {
                "Unauthorized" => format!("error: You must be logged in to the server ({message})"),
                "" => format!("Error from server: {message}"),
                reason => format!("Error from server ({reason}): {message}"),
            })
        }
        Failure::Refused => {
            Some(format!("The connection to the server {SERVER} was refused - did you specify the right host or port?"))
        }
        Failure::Unreachable(why) => Some(format!("Unable to connect to the server: {why}")),
        _ => None,
    }
}

fn invalid(status: &Value) -> String {
    let message = text(status, "/message");
    let Some(details) = status.get("details").filter(|d| d.is_object()) else {
        return format!("The request is invalid: {message}");
    };
    let (kind, name, causes) = (text(details, "/kind"), text(details, "/name"), list(details, "/causes"));
    let mut said = if !kind.is_empty() || !name.is_empty() {
        format!("The {kind} \"{name}\" is invalid")
    } else if !message.is_empty() && causes.is_empty() {
        format!("The request is invalid: {message}")
    } else {
        "The request is invalid".to_string()
    };
    let mut lines: Vec<String> = Vec::new();
    for cause in causes {
        let line = format!("{}: {}", text(cause, "/field"), text(cause, "/message"));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    match lines.as_slice() {
        [] => {}
        [one] => said.push_str(&format!(": {one}")),
        many => {
            said.push_str(": ");
            for line in many {
                said.push_str(&format!("\n* {line}"));
            }
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_read_as_kubectl_prints_them() {
        let missing = json!({"reason": "NotFound", "message": "pods \"x\" not found"});
        assert_eq!(message(&Failure::Status(missing.clone())), "Error from server (NotFound): pods \"x\" not found");
        let from_file = Failure::Status(missing.clone()).with_source("creating", "f.yaml");
        assert_eq!(
            message(&from_file),
            "Error from server (NotFound): error when creating \"f.yaml\": pods \"x\" not found"
        );
        assert_eq!(message(&Failure::Status(json!({"message": "boom"}))), "Error from server: boom");
        let two = Failure::Many(vec![Failure::Status(missing), Failure::message("other")]);
        assert_eq!(message(&two), "Error from server (NotFound): pods \"x\" not found\nother");
    }

    #[test]
    fn causes_of_an_invalid_object_are_listed_once() {
        let cause = json!({"field": "spec.a", "message": "Required value"});
        let mut status =
            json!({"reason": "Invalid", "message": "m", "details": {"kind": "Pod", "name": "x", "causes": [cause]}});
        assert_eq!(message(&Failure::Status(status.clone())), "The Pod \"x\" is invalid: spec.a: Required value");
        status["details"]["causes"] = json!([cause, cause, {"field": "spec.b", "message": "m"}]);
        assert_eq!(
            message(&Failure::Status(status)),
            "The Pod \"x\" is invalid: \n* spec.a: Required value\n* spec.b: m"
        );
    }
}
