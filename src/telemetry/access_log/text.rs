//! The pieces that a record is written with: escaped text, numbers, times and addresses.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

/// Appends what may stand between the quotes of a JSON string (RFC 8259 7), escaping more than that asks for: all
/// that a terminal may obey or that some readers take for the end of a line. What is not UTF-8 becomes U+FFFD.
pub(super) fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    // A fold looks at every byte, where `all` could stop: that lets the compiler look at sixteen at once.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    if bytes.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        out.extend_from_slice(bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                // Separators of lines and paragraphs, and what turns the direction of writing around.
                '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                    push(out, format_args!("\\u{:04x}", u32::from(character)));
                }
                _ if character.is_control() => {
                    push(out, format_args!("\\u{:04x}", u32::from(character)));
                }
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Seconds with six digits after the point: a proxied request takes tens of microseconds.
pub(super) fn push_seconds(duration: Duration, out: &mut Vec<u8>) {
    push_number(duration.as_secs(), 1, out);
    out.push(b'.');
    push_number(duration.subsec_micros().into(), 6, out);
}

pub(super) fn push_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                push_number(octet.into(), 1, out);
            }
        }
        IpAddr::V6(address) => push(out, format_args!("{address}")),
    }
}

/// Appends a number with at least this many digits. A record has a dozen of them, too many for the machinery
/// of `fmt`.
pub(super) fn push_number(mut value: u64, digits: usize, out: &mut Vec<u8>) {
    // u64::MAX has 20 digits.
    let mut text = [b'0'; 20];
    let mut start = text.len();
    while value > 0 || text.len() - start < digits.min(text.len()) {
        start -= 1;
        text[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&text[start..]);
}

/// RFC 3339 with milliseconds, in UTC.
pub(super) fn push_time(unix_millis: u64, out: &mut Vec<u8>) {
    let (seconds, millis) = (unix_millis / 1000, unix_millis % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days to a date, counted in eras of 400 years that begin on 1 March, so that the leap day comes last:
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    push_number(year, 4, out);
    let rest =
        [(b'-', month), (b'-', day), (b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)];
    for (separator, value) in rest {
        out.push(separator);
        push_number(value, 2, out);
    }
    out.push(b'.');
    push_number(millis, 3, out);
    out.push(b'Z');
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_in_utc() {
        for (unix_millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59.000Z"),
        ] {
            let mut out = Vec::new();
            push_time(unix_millis, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
        push_time(u64::MAX, &mut Vec::new());
    }

    #[test]
    fn numbers_and_addresses_are_written_as_the_library_would() {
        for (value, digits, expected) in
            [(0, 1, "0"), (7, 3, "007"), (1234, 2, "1234"), (u64::MAX, 1, "18446744073709551615")]
        {
            let mut out = Vec::new();
            push_number(value, digits, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
        for address in ["192.0.2.7", "0.0.0.0", "255.10.0.1", "2001:db8::1", "::ffff:192.0.2.7"] {
            let mut out = Vec::new();
            push_address(address.parse().expect("an address"), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), address);
        }
    }
}
