//! Admission webhooks: what their function may say, and what that means.

use rhai::{Array, Dynamic, Engine, ImmutableString, Map};
use serde_json::{Value, json};

use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem, readable_type};

/// The answers, for the reference.
pub(in crate::script) const ANSWERS: &[(&str, &str)] = &[
    ("allow()", "yes"),
    ("allow([warning])", "yes, with warnings that kubectl prints"),
    ("deny(reason)", "no: 403, and the reason in the error"),
    ("deny(reason, code)", "no, with another HTTP status"),
    (
        "patch(operations)",
        "yes, with the operations of a JSON patch: `patch([#{ op: \"add\", path: \"/metadata/labels/x\", value: \"y\" }])`",
    ),
    ("the changed object", "yes, and the object is to be like this: `let pod = request.object; pod.spec.… = …; pod`"),
    ("true, false, ()", "yes, no, yes"),
];

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("allow", || Map::from([("allowed".into(), true.into())]));
    engine.register_fn("allow", |warnings: Array| {
        Map::from([("allowed".into(), true.into()), ("warnings".into(), warnings.into())])
    });
    engine.register_fn("deny", |why: ImmutableString| denied(&why, 403));
    engine.register_fn("deny", |why: ImmutableString, code: i64| denied(&why, code));
    engine.register_fn("patch", |operations: Array| {
        Map::from([("allowed".into(), true.into()), ("patch".into(), operations.into())])
    });
}

fn denied(why: &str, code: i64) -> Map {
    let mut status = Map::from([("message".into(), why.into()), ("code".into(), code.into())]);
    if code == 403 {
        status.insert("reason".into(), "Forbidden".into());
    }
    Map::from([("allowed".into(), false.into()), ("status".into(), status.into())])
}

/// The response of the review that an answer means.
pub(super) fn response(answer: &Dynamic) -> Fallible<Value> {
    if answer.is_unit() {
        return Ok(json!({"allowed": true}));
    }
    if let Ok(allowed) = answer.as_bool() {
        return Ok(json!({ "allowed": allowed }));
    }
    let kind = readable_type(answer.type_name());
    let hint = "return allow(), deny(\"why\"), patch([…]) or the changed object";
    let value =
        to_json(answer).map_err(|problem| Problem::new(format!("the webhook's answer is no data: {problem}")))?;
    if value.get("allowed").is_some_and(Value::is_boolean) {
        return Ok(value);
    }
    if value["metadata"].is_object() {
        return Ok(json!({"allowed": true, "object": value}));
    }
    Err(Problem::new(format!("a webhook answers with yes, no or an object, not with {kind}")).hint(hint).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let said = |script: &str| {
            let mut engine = Engine::new();
            register(&mut engine);
            response(&engine.eval::<Dynamic>(script).expect("a value"))
        };
        assert_eq!(said("allow()").expect("fine"), json!({"allowed": true}));
        assert_eq!(said("()").expect("fine"), json!({"allowed": true}));
        assert_eq!(
            said("deny(\"no\")").expect("fine"),
            json!({"allowed": false, "status": {"message": "no", "code": 403, "reason": "Forbidden"}})
        );
        let object = said("#{ metadata: #{ name: \"a\" } }").expect("fine");
        assert_eq!(object["object"]["metadata"]["name"], "a");
        assert!(said("3").is_err());
    }
}
