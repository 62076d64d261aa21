//! The identities of members and clusters: the first eight bytes of a SHA-1.
//!
//! Models: etcd v3.6 server/etcdserver/api/membership/member.go (`computeMemberID`), cluster.go (`genID`).

/// The identity of a member with these peer URLs (comma-separated) in the cluster of this token; one that joins later
/// adds the second of its joining. [s since 1970]
pub fn member_id(peer_urls: &str, token: &str, joined: Option<u64>) -> u64 {
    let mut urls: Vec<&str> = peer_urls.split(',').collect();
    urls.sort_unstable();
    let mut text = urls.concat();
    text.push_str(token);
    if let Some(second) = joined {
        text.push_str(&second.to_string());
    }
    first_bytes(text.as_bytes())
}

/// The identity of the cluster that begins with these members.
pub fn cluster_id(members: &[u64]) -> u64 {
    let mut ids = members.to_vec();
    ids.sort_unstable();
    first_bytes(&ids.iter().flat_map(|id| id.to_be_bytes()).collect::<Vec<u8>>())
}

fn first_bytes(data: &[u8]) -> u64 {
    let [a, b, ..] = sha1(data);
    u64::from(a) << 32 | u64::from(b)
}

/// SHA-1 (FIPS 180-4); the five words of the digest.
fn sha1(data: &[u8]) -> [u32; 5] {
    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize((data.len() + 9).next_multiple_of(64), 0);
    let bits = (data.len() as u64 * 8).to_be_bytes();
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&bits);
    padded.chunks_exact(64).fold([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0], round)
}

fn round(state: [u32; 5], block: &[u8]) -> [u32; 5] {
    let mut words = [0u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    for i in 16..80 {
        words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = state;
    for (i, word) in words.iter().enumerate() {
        let (mixed, constant) = match i / 20 {
            0 => (b & c | !b & d, 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6u32),
        };
        let next = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    let add = |i: usize, word: u32| state[i].wrapping_add(word);
    [add(0, a), add(1, b), add(2, c), add(3, d), add(4, e)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        assert_eq!(sha1(b"abc"), [0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d]);
        assert_eq!(sha1(b""), [0xda39_a3ee, 0x5e6b_4b0d, 0x3255_bfef, 0x9560_1890, 0xafd8_0709]);
        let long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(sha1(long)[0], 0x8498_3e44, "56 bytes need a second block");
        assert_eq!(sha1(&[b'a'; 64])[0], 0x0098_ba82);
    }

    /// As recorded from etcd 3.6.13.
    #[test]
    fn identities_are_etcd_s() {
        assert_eq!(member_id("http://localhost:2380", "etcd-cluster", None), 0x8e9e_05c5_2164_694d);
        let ids: Vec<u64> =
            (2..=4).map(|port| member_id(&format!("http://127.0.0.1:{port}380"), "demo", None)).collect();
        assert_eq!(ids, [0xd9f1_11f0_45b4_f22f, 0x39e4_fce3_d1b2_e663, 0x00c8_f66a_5aba_87b8]);
        assert_eq!(cluster_id(&[ids[0], ids[1], ids[2]]), 0x5a7c_9b27_507d_e0fb);
        assert_eq!(cluster_id(&[0x8e9e_05c5_2164_694d]), 0xcdf8_1819_4e3a_8c32);
    }
}
