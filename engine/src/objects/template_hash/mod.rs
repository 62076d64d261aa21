//! The pod-template-hash: what tells the ReplicaSets of a Deployment apart.
//!
//! The Deployment controller hashes the text that Go's dump of its `v1.PodTemplateSpec` gives: every field of every
//! struct in the order of the source, with its Go type, present or not. A field added to the API therefore changes all
//! hashes. Here the same text goes piece by piece into the hash and is never built.
//!
//! A template is hashed as the controller receives it: defaulted, quantities in canonical form, empty lists and maps
//! gone, for they do not survive the storage.
//!
//! Models: kubernetes v1.36.2 pkg/controller/controller_utils.go (ComputeHash), pkg/util/hash, staging/src/k8s.io/
//! apimachinery/pkg/util/dump, its dumper go-spew, and staging/src/k8s.io/api/core/v1/types.go. Left
//! out: a template whose own metadata carries timestamps or managedFields; they count as absent.

mod fields;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::quantity::Quantity;
use super::suffix::safe_encode_hash;

/// The value of the label `pod-template-hash` for a template and the Deployment's `status.collisionCount`.
pub fn pod_template_hash(template: &PodTemplateSpec, collision_count: Option<i32>) -> String {
    let mut hash = Fnv32a::default();
    dump(template, &mut |text| hash.write(text.as_bytes()));
    if let Some(count) = collision_count {
        // Eight bytes for a number of four.
        hash.write(&u64::from(count as u32).to_le_bytes());
    }
    safe_encode_hash(hash.0)
}

/// The text that is hashed, in pieces.
pub fn dump(template: &PodTemplateSpec, out: &mut dyn FnMut(&str)) {
    out("(v1.PodTemplateSpec)");
    template.body(false, out);
}

/// FNV-1a, 32 bits.
struct Fnv32a(u32);

impl Default for Fnv32a {
    fn default() -> Self {
        Fnv32a(0x811c_9dc5)
    }
}

impl Fnv32a {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    }
}

/// A value as the dump shows it, after its name and type.
trait Body {
    /// Writes the value. `pointer` tells whether its Go type is a pointer, which may be nil, or else something that has
    /// a zero value.
    fn body(&self, pointer: bool, out: &mut dyn FnMut(&str));
}

/// Declares the fields of a Go struct in their order: field here, name there, type there. A struct embedded in it,
/// whose fields the API has at the level of the outer one, stands between semicolons. Every field must be named.
macro_rules! go_struct {
    ($rust:ident { $($field:ident $name:literal $kind:literal),* $(,)? }) => {
        impl Body for $rust {
            fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
                let $rust { $($field),* } = self;
                out("{");
                let mut _between = "";
                $(
                    out(_between);
                    out(concat!($name, ":(", $kind, ")"));
                    $field.body(is_pointer($kind), out);
                    _between = " ";
                )*
                out("}");
            }
        }
    };
    ($rust:ident {
        $($before:ident $before_name:literal $before_kind:literal),*;
        $embedded:literal { $($field:ident $name:literal $kind:literal),* $(,)? };
        $($after:ident $after_name:literal $after_kind:literal),* $(,)?
    }) => {
        impl Body for $rust {
            fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
                let $rust { $($before,)* $($field,)* $($after),* } = self;
                out("{");
                $(
                    out(concat!($before_name, ":(", $before_kind, ")"));
                    $before.body(is_pointer($before_kind), out);
                    out(" ");
                )*
                out(concat!($embedded, ":(v1.", $embedded, "){"));
                let mut _between = "";
                $(
                    out(_between);
                    out(concat!($name, ":(", $kind, ")"));
                    $field.body(is_pointer($kind), out);
                    _between = " ";
                )*
                out("}");
                $(
                    out(concat!(" ", $after_name, ":(", $after_kind, ")"));
                    $after.body(is_pointer($after_kind), out);
                )*
                out("}");
            }
        }
    };
}
use go_struct;

const fn is_pointer(kind: &str) -> bool {
    matches!(kind.as_bytes(), [b'*', ..])
}

impl<T: Body + Default> Body for Option<T> {
    fn body(&self, pointer: bool, out: &mut dyn FnMut(&str)) {
        match self {
            Some(value) => value.body(false, out),
            None if pointer => out("<nil>"),
            None => T::default().body(false, out),
        }
    }
}

impl Body for String {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        out(self);
    }
}

impl Body for bool {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        out(if *self { "true" } else { "false" });
    }
}

impl Body for i32 {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        out(&self.to_string());
    }
}

impl Body for i64 {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        out(&self.to_string());
    }
}

impl<T: Body> Body for Vec<T> {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        for (place, value) in self.iter().enumerate() {
            out(if place == 0 { "[" } else { " " });
            value.body(false, out);
        }
        out(if self.is_empty() { "<nil>" } else { "]" });
    }
}

impl<T: Body> Body for BTreeMap<String, T> {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        for (place, (key, value)) in self.iter().enumerate() {
            out(if place == 0 { "map[" } else { " " });
            out(key);
            out(":");
            value.body(false, out);
        }
        out(if self.is_empty() { "<nil>" } else { "]" });
    }
}

impl Body for Option<Time> {
    fn body(&self, pointer: bool, out: &mut dyn FnMut(&str)) {
        out(if pointer {
            "<nil>"
        } else {
            "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"
        });
    }
}

impl Body for IntOrString {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        let (kind, number, text) = match self {
            IntOrString::Int(number) => ("0", number.to_string(), ""),
            IntOrString::String(text) => ("1", "0".to_owned(), &**text),
        };
        for piece in ["{Type:(intstr.Type)", kind, " IntVal:(int32)", &number, " StrVal:(string)", text, "}"] {
            out(piece);
        }
    }
}

impl Body for ApiQuantity {
    fn body(&self, _: bool, out: &mut dyn FnMut(&str)) {
        // The API server lets no other text through; an absent quantity is zero.
        let quantity = Quantity::parse(self.0.trim()).unwrap_or(Quantity::ZERO);
        let parsed = ParsedQuantity::of(quantity);
        out("{i:(resource.int64Amount){value:(int64)");
        out(&parsed.value.to_string());
        out(" scale:(resource.Scale)");
        out(&parsed.scale.to_string());
        out("} d:(resource.infDecAmount){Dec:(*inf.Dec)");
        match parsed.big {
            None => out("<nil>"),
            Some(nanos) => big_decimal(nanos, out),
        }
        out("} s:(string)");
        out(&parsed.text);
        out(" Format:(resource.Format)");
        out(parsed.format);
        out("}");
    }
}

/// The fields of Go's `resource.Quantity` after reading a canonical text.
struct ParsedQuantity {
    value: i64,
    /// Power of ten.
    scale: i32,
    /// The number, if it is too large for the fast way. [10^-9 units]
    big: Option<i128>,
    /// The text, if Go kept it: only where it can tell at a glance that it is canonical.
    text: String,
    format: &'static str,
}

impl ParsedQuantity {
    fn of(quantity: Quantity) -> Self {
        let text = quantity.canonical();
        if text == "0" {
            return ParsedQuantity { value: 0, scale: 0, big: None, text, format: "DecimalSI" };
        }
        let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
        let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = text.split_at(start + digits);
        // The family as read from the text: without a suffix it is decimal.
        let format = match suffix.as_bytes() {
            [.., b'i'] => "BinarySI",
            [b'e', ..] => "DecimalExponent",
            _ => "DecimalSI",
        };
        match fast_amount(number, digits, suffix) {
            Some((value, scale, kept)) => {
                let text = if kept { text } else { String::new() };
                ParsedQuantity { value, scale, big: None, text, format }
            }
            None => ParsedQuantity { value: 0, scale: 0, big: Some(quantity.nanos()), text: String::new(), format },
        }
    }
}

/// Value, power of ten and whether the text is kept, if Go reads a number of so many digits without arbitrary
/// precision.
fn fast_amount(number: &str, digits: usize, suffix: &str) -> Option<(i64, i32, bool)> {
    const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    let value = number.parse::<i64>().ok()?;
    if let Some(prefix) = suffix.strip_suffix('i') {
        let steps = "KMGTPE".find(prefix)? + 1;
        let fits = digits + 3 * steps < 15;
        let amount = value.checked_mul(1 << (10 * steps)).filter(|_| fits)?;
        return Some((amount, 0, value & 7 != 0));
    }
    let scale = match suffix.strip_prefix('e') {
        Some(exponent) => exponent.parse().ok()?,
        None => 3 * (i32::try_from(DECIMAL.iter().position(|known| *known == suffix)?).ok()? - 3),
    };
    (digits <= 18).then_some((value, scale, !number.ends_with("000")))
}

/// Go's `inf.Dec` rounded to nine decimals: the digits as 64-bit words, the lowest first.
fn big_decimal(nanos: i128, out: &mut dyn FnMut(&str)) {
    out("{unscaled:(big.Int){neg:(bool)");
    out(if nanos < 0 { "true" } else { "false" });
    out(" abs:(big.nat)[");
    let magnitude = nanos.unsigned_abs();
    out(&(magnitude as u64).to_string());
    if let high @ 1.. = (magnitude >> 64) as u64 {
        out(" ");
        out(&high.to_string());
    }
    out("]} scale:(inf.Scale)9}");
}

#[cfg(test)]
mod tests {
    //! Known hashes of well-known templates, and quantities the dump shows in different ways.
    use serde_json::{Value, json};

    use super::*;

    /// A template of one container with the defaults of the API server, and what else is given.
    fn template(labels: Value, image: &str, container: Value, spec: Value) -> PodTemplateSpec {
        let mut defaulted_container = json!({
            "name": "nginx", "image": image, "imagePullPolicy": "IfNotPresent", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        });
        let mut defaulted_spec = json!({
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30,
        });
        for (onto, from) in [(&mut defaulted_container, container), (&mut defaulted_spec, spec)] {
            let (Some(onto), Value::Object(from)) = (onto.as_object_mut(), from) else { panic!("an object") };
            onto.extend(from);
        }
        defaulted_spec["containers"] = json!([defaulted_container]);
        serde_json::from_value(json!({ "metadata": { "labels": labels }, "spec": defaulted_spec })).expect("a template")
    }

    fn nginx(image: &str) -> PodTemplateSpec {
        template(json!({ "app": "nginx" }), image, json!({}), json!({}))
    }

    fn hash(template: &PodTemplateSpec) -> String {
        pod_template_hash(template, None)
    }

    #[test]
    fn hashes_are_those_of_the_real_controller() {
        assert_eq!(hash(&nginx("nginx:1.25")), "7cd5cff77d");
        assert_eq!(hash(&nginx("nginx:1.26")), "857899445");
        assert_eq!(hash(&nginx("nginx:does-not-exist")), "5fdc5d458f");
        let port = |port: u16| json!({ "ports": [{ "containerPort": port, "protocol": "TCP" }] });
        let with_port = |app| template(json!({ "app": app }), "nginx:1.25", port(80), json!({}));
        assert_eq!(hash(&with_port("web")), "57794f8f99");
        assert_eq!(hash(&with_port("lifecycle-demo")), "7648b97fc");
        let toleration =
            |key| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30 });
        let tolerations = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map(toleration);
        let spec = json!({ "tolerations": tolerations });
        assert_eq!(hash(&template(json!({ "app": "web" }), "nginx:1.25", port(80), spec)), "768587c9f5");
        let probe = |path, period: i32| {
            json!({
                "httpGet": { "path": path, "port": 80, "scheme": "HTTP" },
                "timeoutSeconds": 1, "periodSeconds": period, "successThreshold": 1, "failureThreshold": 3,
            })
        };
        let mut readiness = probe("/", 5);
        readiness["initialDelaySeconds"] = json!(1);
        let container = json!({
            "ports": [{ "containerPort": 80, "protocol": "TCP" }],
            "resources": {
                "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "cpu": "500m", "memory": "256Mi" },
            },
            "readinessProbe": readiness, "livenessProbe": probe("/healthz", 10),
        });
        let labels = json!({ "app": "web", "tier": "front" });
        assert_eq!(hash(&template(labels, "nginx:1.27", container, json!({}))), "85445bfc67");
    }

    #[test]
    fn a_collision_gives_another_hash_and_a_count_of_zero_does_too() {
        let template = nginx("nginx:1.25");
        let hashes = [None, Some(0), Some(1)].map(|count| pod_template_hash(&template, count));
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2], "{hashes:?}");
    }

    #[test]
    fn empty_lists_and_maps_are_as_absent_ones() {
        let mut template = nginx("nginx:1.25");
        let before = hash(&template);
        let spec = template.spec.as_mut().expect("a spec");
        (spec.node_selector, spec.volumes) = (Some(BTreeMap::new()), Some(Vec::new()));
        assert_eq!(hash(&template), before);
    }

    fn quantity(text: &str) -> String {
        let mut dump = String::new();
        ApiQuantity(text.to_owned()).body(false, &mut |piece| dump.push_str(piece));
        dump
    }

    #[test]
    fn quantities_show_the_parts_go_keeps() {
        let small = |value: &str, scale: &str, text: &str, format: &str| {
            format!(
                "{{i:(resource.int64Amount){{value:(int64){value} scale:(resource.Scale){scale}}} \
                 d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} s:(string){text} Format:(resource.Format){format}}}"
            )
        };
        assert_eq!(quantity("0.5"), small("500", "-3", "500m", "DecimalSI"));
        assert_eq!(quantity("1024Mi"), small("1073741824", "0", "1Gi", "BinarySI"));
        assert_eq!(quantity("0.5Ki"), small("512", "0", "512", "DecimalSI"));
        assert_eq!(quantity("99Ti"), small("108851651149824", "0", "99Ti", "BinarySI"));
        assert_eq!(quantity("12e6"), small("12", "6", "12e6", "DecimalExponent"));
        assert_eq!(quantity("-3k"), small("-3", "3", "-3k", "DecimalSI"));
        assert_eq!(quantity("0Gi"), small("0", "0", "0", "DecimalSI"));
        // Divisible by eight, or ending in three zeros: for all Go knows these could be written shorter.
        assert_eq!(quantity("64Mi"), small("67108864", "0", "", "BinarySI"));
        assert_eq!(quantity("1000E"), small("1000", "18", "", "DecimalSI"));
        assert_eq!(quantity(""), quantity("0"));
    }

    #[test]
    fn quantities_that_go_reads_with_arbitrary_precision_show_its_words() {
        let big = |words: &str| {
            format!(
                "{{i:(resource.int64Amount){{value:(int64)0 scale:(resource.Scale)0}} d:(resource.infDecAmount){{\
                 Dec:(*inf.Dec){{unscaled:(big.Int){{neg:(bool)false abs:(big.nat)[{words}]}} scale:(inf.Scale)9}}}} \
                 s:(string) Format:(resource.Format)BinarySI}}"
            )
        };
        // 2^50 · 10^9 = 61035 · 2^64 + 2882303761517117440
        assert_eq!(quantity("1Pi"), big("2882303761517117440 61035"));
    }
}
