//! `--sort-by`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/get/sorter.go.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::errors::Failure;
use super::super::flags::Args;
use super::super::go_sort;

/// Sorts by the field named on the command line; objects without the field come first.
pub(crate) fn sort(args: &Args, objects: &mut [&Value]) -> Result<(), Failure> {
    let Some(field) = args.given("sort-by") else { return Ok(()) };
    let template = super::relaxed(&field)?;
    if !objects.is_empty() && objects.iter().all(|o| template.values(o).is_empty()) {
        return Err(Failure::message(format!(
            "couldn't find any field with path \"{{{field}}}\" in the list of objects"
        )));
    }
    let mut keyed: Vec<(Option<&Value>, &Value)> =
        objects.iter().map(|object| (template.values(object).first().copied(), *object)).collect();
    go_sort::sort(&mut keyed, |(a, _), (b, _)| match (a, b) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(a), Some(b)) => compare(a, b).is_lt(),
    });
    for (place, (_, object)) in objects.iter_mut().zip(keyed) {
        *place = object;
    }
    Ok(())
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) => natural(a, b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

/// Runs of digits compare as numbers, the rest byte by byte.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, digits_b) = (digits(a), digits(b));
        if digits_a > 0 && digits_b > 0 {
            let number = |t: &str, n: usize| t.get(..n).unwrap_or("").trim_start_matches('0').to_string();
            let (x, y) = (number(a, digits_a), number(b, digits_b));
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(&y)).then_with(|| digits_a.cmp(&digits_b));
            if order.is_ne() {
                return order;
            }
            (a, b) = (a.get(digits_a..).unwrap_or(""), b.get(digits_b..).unwrap_or(""));
            continue;
        }
        let (mut chars_a, mut chars_b) = (a.chars(), b.chars());
        match (chars_a.next(), chars_b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x != y => return x.cmp(&y),
            _ => (a, b) = (chars_a.as_str(), chars_b.as_str()),
        }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_inside_names_count_as_numbers() {
        assert_eq!(natural("pod-2", "pod-10"), Ordering::Less);
        assert_eq!(natural("a", "b"), Ordering::Less);
        assert_eq!(natural("a1b", "a1"), Ordering::Greater);
    }
}
