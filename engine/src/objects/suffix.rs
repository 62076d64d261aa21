//! Names the control plane makes up: random suffixes, generated names, hashes as words.
//!
//! Suffixes and encoded hashes use an alphabet without vowels and without digits that look like letters, so that no
//! rude word and no misreading comes out.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go (String, SafeEncodeString) and
//! staging/src/k8s.io/apiserver/pkg/storage/names/generate.go. Left out: trying again when a generated name is taken.

use crate::kernel::Luck;

/// The letters and digits of made-up names; Kubernetes: alphanums.
pub const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Characters of a random suffix; Kubernetes: randomLength.
const SUFFIX_LENGTH: usize = 5;
/// Longest prefix kept before a suffix, so that the whole is at most 63 long; Kubernetes: MaxGeneratedNameLength.
/// [bytes]
const MAX_PREFIX_LENGTH: usize = 63 - SUFFIX_LENGTH;
/// Suffixes there are.
const SUFFIXES: u64 = 27_u64.pow(SUFFIX_LENGTH as u32);

/// A random suffix of five characters, as in pod names: `x7k2q`.
pub fn suffix(luck: &mut Luck) -> String {
    let mut text = String::with_capacity(SUFFIX_LENGTH);
    push_suffix(&mut text, luck.bits());
    text
}

/// The name the API server makes from `metadata.generateName`: the prefix, cut to 58 bytes, and a random suffix.
pub fn generate_name(prefix: &str, luck: &mut Luck) -> String {
    generate_name_from_bits(prefix, luck.bits())
}

/// [`generate_name`] from 64 random bits.
pub fn generate_name_from_bits(prefix: &str, bits: u64) -> String {
    let kept = &prefix[..prefix.floor_char_boundary(MAX_PREFIX_LENGTH)];
    let mut name = String::with_capacity(kept.len() + SUFFIX_LENGTH);
    name.push_str(kept);
    push_suffix(&mut name, bits);
    name
}

/// Maps each character into [`ALPHABET`] by its code; hashes in names go through this. `0` becomes `4`, `9` becomes
/// `f`.
pub fn safe_encode(text: &str) -> String {
    text.chars().map(|c| letter(u64::from(c))).collect()
}

/// [`safe_encode`] of a 32-bit hash in decimal digits, as in `pod-template-hash`.
pub fn safe_encode_hash(hash: u32) -> String {
    let mut digits = [0_u8; 10];
    let (mut rest, mut first) = (hash, digits.len());
    while rest > 0 || first == digits.len() {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits[first..].iter().map(|digit| letter(u64::from(*digit))).collect()
}

/// The five digits to the base 27 of where in the range of suffixes `bits` falls.
fn push_suffix(text: &mut String, bits: u64) {
    let mut rest = ((u128::from(bits) * u128::from(SUFFIXES)) >> 64) as u64;
    for _ in 0..SUFFIX_LENGTH {
        text.push(letter(rest));
        rest /= ALPHABET.len() as u64;
    }
}

fn letter(code: u64) -> char {
    char::from(ALPHABET[(code % ALPHABET.len() as u64) as usize])
}

#[cfg(test)]
mod tests {
    //! Known encodings and the shape of generated names.
    use super::*;
    use crate::kernel::Seed;

    #[test]
    fn digits_of_hashes_are_mapped() {
        assert_eq!(safe_encode("0123456789"), "456789bcdf");
        assert_eq!(safe_encode_hash(2_726_945_366), safe_encode("2726945366"));
        assert_eq!(safe_encode_hash(0), "4");
        assert_eq!(safe_encode_hash(u32::MAX), safe_encode("4294967295"));
    }

    #[test]
    fn a_generated_name_keeps_58_bytes_of_the_prefix() {
        let mut luck = Seed(1).luck(0, 0, 0, 0);
        let name = generate_name("web-6d4c-", &mut luck);
        assert!(name.starts_with("web-6d4c-") && name.len() == 14, "{name}");
        let name = generate_name(&"a".repeat(80), &mut luck);
        assert_eq!((name.len(), name.find(|c| c != 'a')), (63, Some(58)));
        assert_eq!(generate_name_from_bits(&"ü".repeat(40), 0), format!("{}bbbbb", "ü".repeat(29)));
    }

    #[test]
    fn suffixes_use_the_whole_alphabet_at_every_place() {
        let mut luck = Seed(2).luck(0, 0, 0, 0);
        let mut seen = [[0_u32; 27]; SUFFIX_LENGTH];
        for _ in 0..2_700 {
            for (place, c) in suffix(&mut luck).bytes().enumerate() {
                let letter = ALPHABET.iter().position(|a| *a == c).expect("a letter of the alphabet");
                seen[place][letter] += 1;
            }
        }
        assert!(seen.iter().flatten().all(|count| (50..=170).contains(count)), "{seen:?}");
        assert_eq!(generate_name_from_bits("", u64::MAX), "99999");
    }
}
