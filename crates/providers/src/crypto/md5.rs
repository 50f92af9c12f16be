//! MD5 (RFC 1321), because Alipay names certificates by it. Nothing secret depends on it.

const SHIFTS: [u32; 16] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

/// The MD5 of a text as 32 lower-case hexadecimal digits.
pub(crate) fn md5_hex(data: &[u8]) -> String {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(data).chunks_exact(64) {
        mix(&mut state, block);
    }
    hex::encode(state.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut message = data.to_vec();
    message.push(0x80);
    message.resize(message.len().next_multiple_of(64), 0);
    if message.len() - data.len() < 9 {
        message.resize(message.len() + 64, 0);
    }
    let at = message.len() - 8;
    message[at..].copy_from_slice(&(data.len() as u64).wrapping_mul(8).to_le_bytes());
    message
}

fn mix(state: &mut [u32; 4], block: &[u8]) {
    let word = |i: usize| {
        u32::from_le_bytes([block[4 * i], block[4 * i + 1], block[4 * i + 2], block[4 * i + 3]])
    };
    let [mut a, mut b, mut c, mut d] = *state;
    for i in 0..64 {
        let (f, at) = match i / 16 {
            0 => ((b & c) | (!b & d), i),
            1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
            2 => (b ^ c ^ d, (3 * i + 5) % 16),
            _ => (c ^ (b | !d), (7 * i) % 16),
        };
        let sum = a.wrapping_add(f).wrapping_add(sine(i)).wrapping_add(word(at));
        let turned = sum.rotate_left(SHIFTS[(i / 16) * 4 + i % 4]);
        (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
    }
    for (sum, part) in state.iter_mut().zip([a, b, c, d]) {
        *sum = sum.wrapping_add(part);
    }
}

/// The standard's table: the whole part of 2^32 times the sine of i + 1.
fn sine(i: usize) -> u32 {
    (((i + 1) as f64).sin().abs() * 4_294_967_296.0) as u32
}

#[cfg(test)]
mod tests {
    use super::md5_hex;

    #[test]
    fn the_standards_own_examples() {
        for (text, sum) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(md5_hex(text.as_bytes()), sum, "{text}");
        }
    }
}
