//! Whether a text is a quantity, and its canonical form.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go (`ParseQuantity`, errors).
//! Left out: rounding of what is finer than a thousandth.

use super::describe::quantity::Quantity;

const FORMAT: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// The quantity as the server would write it, or Go's complaint.
pub(crate) fn canonical(text: &str) -> Result<String, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    if number.is_empty() || number.matches('.').count() > 1 || number == "." {
        return Err(FORMAT.into());
    }
    let letters = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let digits = letters.strip_prefix(['+', '-']).unwrap_or(letters);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FORMAT.into());
    }
    if let Some(exponent) = suffix.strip_prefix(['e', 'E']) {
        // Powers of ten stay as they are written.
        let is_exponent = exponent.parse::<i32>().is_ok();
        return if is_exponent { Ok(text.into()) } else { Err("unable to parse quantity's suffix".into()) };
    }
    match suffix {
        "n" | "u" => Ok(text.into()),
        _ => Quantity::parse(text)
            .map(|quantity| quantity.to_string())
            .ok_or_else(|| "unable to parse quantity's suffix".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_told_from_other_texts() {
        assert_eq!(canonical("1000m").as_deref(), Ok("1"));
        assert_eq!(canonical("1Gi").as_deref(), Ok("1Gi"));
        assert_eq!(canonical("5").as_deref(), Ok("5"));
        assert_eq!(canonical("x"), Err(FORMAT.to_string()));
        assert_eq!(canonical(""), Err(FORMAT.to_string()));
        assert_eq!(canonical("1Gk"), Err("unable to parse quantity's suffix".to_string()));
    }
}
