//! Bytes as text: base64, hexadecimal, sizes.
//!
//! Models: Go encoding/base64, encoding/hex; github.com/dustin/go-humanize bytes.go (Bytes);
//! etcd v3.6.13 etcdctl/ctlv3/command/util.go (addHexPrefix).

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// `\x66\x6f\x6f`
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// `20 kB`, `2.1 GB`: decimal units, two digits.
pub(crate) fn size(bytes: i64) -> String {
    let bytes = bytes.max(0);
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut unit, mut scale) = (0, 1_i64);
    while unit + 1 < units.len() && bytes / scale >= 1000 {
        (unit, scale) = (unit + 1, scale * 1000);
    }
    let value = (bytes as f64 / scale as f64 * 10.0 + 0.5).floor() / 10.0;
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_digits() {
        let cases = [
            (0, "0 B"),
            (82, "82 B"),
            (1000, "1.0 kB"),
            (16_384, "16 kB"),
            (20_480, "20 kB"),
            (24_576, "25 kB"),
            (929_792, "930 kB"),
            (2_097_152, "2.1 MB"),
            (2_147_483_648, "2.1 GB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn base64_is_padded() {
        assert_eq!([base64(b""), base64(b"a"), base64(b"fo"), base64(b"foo")], ["", "YQ==", "Zm8=", "Zm9v"]);
        assert_eq!(hex(b"foo"), "\\x66\\x6f\\x6f");
    }
}
