//! The programs behind a swarm's admission webhooks.

use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_engine::scripted::{Mistake, Scripts};

/// The webhook that changes pods.
pub(super) const MARKS: &str = "marks.wavetank.dev";
/// The image that the others refuse.
pub(super) const REFUSED: &str = "does-not-exist";

/// Native programs: one marks pods, all others refuse an image that does not exist.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programs;

impl Scripts for Programs {
    fn admit(&self, webhook: &str, request: &Arc<Value>) -> Result<Value, Mistake> {
        if webhook == MARKS {
            let mut object = request["object"].clone();
            object["metadata"]["annotations"]["swarm/marked"] = json!("yes");
            return Ok(json!({"allowed": true, "object": object}));
        }
        let images = request["object"]["spec"]["containers"].as_array().into_iter().flatten();
        let refused = images.filter_map(|container| container["image"].as_str()).any(|image| image.contains(REFUSED));
        Ok(match refused {
            true => json!({"allowed": false, "status": {"message": "there is no such image"}}),
            false => json!({"allowed": true}),
        })
    }
}
