//! A stable hash of everything that was recorded.

use std::hash::Hasher;

use crate::kernel::random::mix;

/// A 64-bit hash that is the same on every machine: numbers are taken as 64-bit words whatever the platform's width and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fingerprint(u64);

impl Fingerprint {
    fn word(&mut self, word: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.word(value.into());
    }

    fn write_u16(&mut self, value: u16) {
        self.word(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.word(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.word(value as u64);
    }

    fn write_i32(&mut self, value: i32) {
        self.word(value as u64);
    }

    fn write_i64(&mut self, value: i64) {
        self.word(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hash;

    #[test]
    fn the_hash_is_pinned_and_tells_neighbours_apart() {
        let of = |value: &dyn Fn(&mut Fingerprint)| {
            let mut hash = Fingerprint::default();
            value(&mut hash);
            hash.finish()
        };
        assert_ne!(of(&|h| ("ab", "c").hash(h)), of(&|h| ("a", "bc").hash(h)));
        assert_ne!(of(&|h| (1u32, 2u32).hash(h)), of(&|h| (2u32, 1u32).hash(h)));
        assert_eq!(of(&|h| ("nginx", 7u64).hash(h)), 2_450_314_197_662_510_420);
    }
}
