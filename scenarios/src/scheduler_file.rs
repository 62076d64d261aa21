//! A KubeSchedulerConfiguration from where a user keeps it: a file, a text in a script, a map in a script.

use std::path::Path;

use serde_json::{Map, Value};
use wavetank_engine::scheduler::config::SchedulerConfiguration;
use wavetank_engine::scheduler::config::document::API_VERSION;

use crate::files;

/// What a script gives under `key` in `cluster(#{ … })`. The error is for the user; it names the key and the document's field.
pub fn from_script(key: &str, value: &Value, folder: &Path) -> Result<SchedulerConfiguration, String> {
    match value {
        Value::String(text) if text.contains('\n') => {
            SchedulerConfiguration::from_yaml(text).map_err(|error| format!("`{key}`: {error}"))
        }
        Value::String(path) => {
            let text = files::read_in(folder, path).map_err(|problem| {
                format!(
                    "`{key}`: cannot read the file \"{path}\": {problem}\n\
                     a text of one line is a file in the script's folder, one of several lines is the document itself"
                )
            })?;
            SchedulerConfiguration::from_yaml(&text).map_err(|error| format!("`{key}`: {path}: {error}"))
        }
        Value::Object(map) => SchedulerConfiguration::from_value(&Value::Object(complete(map)))
            .map_err(|error| format!("`{key}`: {error}")),
        other => Err(format!("`{key}` is a file, a text or a map of a KubeSchedulerConfiguration, not {other}")),
    }
}

/// Reads a file the command line names.
pub fn from_file(path: &Path) -> Result<SchedulerConfiguration, String> {
    let place = path.display();
    let text = files::read(path).map_err(|problem| format!("cannot read {place}: {problem}"))?;
    SchedulerConfiguration::from_yaml(&text).map_err(|error| format!("{place}: {error}"))
}

fn complete(map: &Map<String, Value>) -> Map<String, Value> {
    let mut map = map.clone();
    map.entry("apiVersion").or_insert_with(|| API_VERSION.into());
    map.entry("kind").or_insert_with(|| "KubeSchedulerConfiguration".into());
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PACKING: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles:\n\
        - schedulerName: packer\n  pluginConfig:\n  - name: NodeResourcesFit\n    args: {scoringStrategy: {type: MostAllocated}}\n";

    #[test]
    fn file_text_and_map_say_the_same() {
        let folder = std::env::temp_dir().join(format!("wavetank-scheduler-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("packing.yaml"), PACKING).unwrap();
        let strategy = json!({"scoringStrategy": {"type": "MostAllocated"}});
        let map = json!({"profiles": [
            {"schedulerName": "packer", "pluginConfig": [{"name": "NodeResourcesFit", "args": strategy}]}]});
        let read = |value: Value| from_script("scheduler", &value, &folder).unwrap().profiles;
        assert_eq!(read(json!("packing.yaml")), read(json!(PACKING)));
        assert_eq!(read(json!("packing.yaml")), read(map));
        assert_eq!(from_file(&folder.join("packing.yaml")).unwrap().profiles, read(json!(PACKING)));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn mistakes_name_file_and_field() {
        let folder = std::env::temp_dir();
        let wrong = |value: Value| from_script("scheduler", &value, &folder).unwrap_err();
        assert!(wrong(json!("none.yaml")).contains("cannot read the file \"none.yaml\": no such file"));
        assert!(wrong(json!("../x.yaml")).contains("own folder"));
        assert!(
            wrong(json!({"profiles": [{"plugins": {"score": {"enabled": [{"name": "X"}]}}}]}))
                .starts_with("`scheduler`: profiles[0].plugins.score.enabled[0].name: ")
        );
        assert!(wrong(json!("kind: KubeSchedulerConfiguration\n")).contains("apiVersion"));
        assert!(wrong(json!(7)).contains("a file, a text or a map"));
        assert!(from_file(Path::new("/none/x.yaml")).unwrap_err().starts_with("cannot read /none/x.yaml: "));
    }
}
