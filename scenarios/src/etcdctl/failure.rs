//! How etcdctl fails: exit codes and texts.
//!
//! Models: etcd v3.6.13 pkg/cobrautl/error.go, client/v3/client.go (`ContextError`), client/v3/retry.go.

use super::{Code, EtcdCall};

/// A process's end with an exit code.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub exit_code: i32,
    /// What is left to print on standard error, with its line end.
    pub text: String,
}

/// pkg/cobrautl: ExitError
pub(crate) const ERROR: i32 = 1;
/// pkg/cobrautl: ExitBadConnection
pub(crate) const BAD_CONNECTION: i32 = 2;
/// pkg/cobrautl: ExitInvalidInput
pub(crate) const INVALID_INPUT: i32 = 3;
/// pkg/cobrautl: ExitBadFeature
pub(crate) const BAD_FEATURE: i32 = 4;
/// pkg/cobrautl: ExitInterrupted
pub(crate) const INTERRUPTED: i32 = 5;
/// pkg/cobrautl: ExitBadArgs
pub(crate) const BAD_ARGS: i32 = 128;

/// What a client's expired context says.
pub(crate) const DEADLINE: &str = "context deadline exceeded";

impl Failure {
    pub fn new(exit_code: i32, text: impl AsRef<str>) -> Self {
        Failure { exit_code, text: format!("Error: {}\n", text.as_ref()) }
    }

    pub fn arguments(text: impl AsRef<str>) -> Self {
        Failure::new(BAD_ARGS, text)
    }

    /// Ends without a further word.
    pub fn silent(exit_code: i32) -> Self {
        Failure { exit_code, text: String::new() }
    }

    /// A Go panic of the tool.
    pub fn panic(value: &str) -> Self {
        Failure { exit_code: 2, text: format!("panic: {value}\n\ngoroutine 1 [running]:\n") }
    }

    pub fn unsupported(format: &str) -> Self {
        Failure::new(BAD_FEATURE, format!("{format} not supported as output format"))
    }
}

/// An error of the server as the client prints it: etcd's own messages plainly, others as gRPC's.
pub(crate) fn status_text(code: Code, message: &str) -> String {
    match message.starts_with("etcdserver: ") {
        true => message.into(),
        false => format!("rpc error: code = {code:?} desc = {message}"),
    }
}

/// Whether the client sends the request again after an answer `Unavailable`.
pub(crate) fn is_repeatable(call: &EtcdCall) -> bool {
    !matches!(
        call,
        EtcdCall::Put(_)
            | EtcdCall::DeleteRange(_)
            | EtcdCall::Txn(_)
            | EtcdCall::Compact { .. }
            | EtcdCall::Defragment
            | EtcdCall::MemberAdd { .. }
            | EtcdCall::MemberRemove { .. }
            | EtcdCall::MemberPromote { .. }
            | EtcdCall::MemberUpdate { .. }
    )
}
