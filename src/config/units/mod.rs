//! Exact types from what operators write: `"30s"`, `"12.5%"`, `"10MiB"`, `"10.0.0.0/8"`, `"http://host:port"`.
//!
//! Every parser is pure, takes any text at all, runs in one pass and computes in integers. A text that is
//! refused says why, and mostly what to write instead.

mod address;
mod date;
mod schedule;

use std::time::Duration;

use crate::config::problems::excerpt;
use crate::decide::bucket::Share;

pub use address::{bind_address, endpoint_url, host_port, network};
pub use date::{moment, write_moment};
pub use schedule::{write_schedule, write_share, write_stage};

/// Why a text is not what it should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    /// What is wrong.
    pub message: String,
    /// What to write instead; empty when there is nothing to say.
    pub hint: String,
}

fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, UnitError> {
    Err(UnitError { message: message.into(), hint: hint.into() })
}

/// No duration here needs to be longer, and none so long that it would overflow a clock. Browsers keep no
/// cookie longer either (RFC 6265bis 5.5).
pub const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Units of time, from long to short, in milliseconds.
const TIME: [(&str, u64); 5] =
    [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];

/// Units of size, from large to small.
const SIZE: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// Reads `30s`, `1h30m`, `250ms` or `0`.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    const EXAMPLES: &str = "write a duration such as \"30s\", \"1h30m\", \"250ms\" or \"0\"";
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return refuse("the duration is empty", EXAMPLES);
    }
    if rest.starts_with('-') {
        return refuse("a duration cannot be negative", EXAMPLES);
    }
    let mut milliseconds = 0u64;
    let mut longer_than = u64::MAX;
    while !rest.is_empty() {
        let (digits, tail) = split_digits(rest);
        let (unit, tail) = tail.split_at(tail.bytes().take_while(u8::is_ascii_alphabetic).count());
        if digits.is_empty() || (unit.is_empty() && !tail.is_empty()) {
            return refuse(format!("{} is no duration", excerpt(text)), EXAMPLES);
        }
        let Some(&(_, factor)) = TIME.iter().find(|(name, _)| *name == unit) else {
            return match unit {
                "" => refuse(
                    format!("{} has no unit", excerpt(text)),
                    format!("write {digits}s for seconds, or {digits}ms, {digits}m, {digits}h, {digits}d"),
                ),
                unit => {
                    refuse(format!("{} is no unit of time", excerpt(unit)), "the units are d, h, m, s and ms")
                }
            };
        };
        if factor >= longer_than {
            return refuse(
                format!("the units of {} are not in order", excerpt(text)),
                "each unit once, longer ones first, as in \"1h30m\"",
            );
        }
        longer_than = factor;
        let part = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor));
        match part.and_then(|part| milliseconds.checked_add(part)) {
            Some(sum) if sum <= LONGEST.as_secs() * 1000 => milliseconds = sum,
            Some(_) | None => {
                return refuse(format!("{} is too long", excerpt(text)), "the longest is \"400d\"");
            }
        }
        rest = tail;
    }
    Ok(Duration::from_millis(milliseconds))
}

/// Writes a duration as [`duration`] reads it, in the longest unit that leaves no rest. One minute is `60s` and
/// one day `24h`, as people write them.
pub fn write_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = |(unit, factor): &&(&str, u64)| {
        let is_lone = milliseconds == *factor && matches!(*unit, "m" | "d");
        milliseconds != 0 && milliseconds.is_multiple_of(*factor) && !is_lone
    };
    match TIME.iter().find(fits) {
        Some((unit, factor)) => format!("{}{unit}", milliseconds / factor),
        None => "0".to_owned(),
    }
}

/// Reads `10MiB`, `32KiB`, `5MB`, `1024` or `0`: bytes.
pub fn size(text: &str) -> Result<u64, UnitError> {
    const EXAMPLES: &str = "write a size such as \"10MiB\", \"32KiB\", \"5MB\" or \"1024\" (bytes)";
    let text = text.trim();
    if text.is_empty() {
        return refuse("the size is empty", EXAMPLES);
    }
    if text.starts_with('-') {
        return refuse("a size cannot be negative", EXAMPLES);
    }
    let (digits, unit) = split_digits(text);
    if digits.is_empty() || unit.starts_with(['.', ',', '_']) {
        return refuse(format!("{} is no size", excerpt(text)), EXAMPLES);
    }
    let factor = match unit {
        "" => 1,
        unit => match SIZE.iter().find(|(name, _)| *name == unit) {
            Some(&(_, factor)) => factor,
            None => {
                return refuse(
                    format!("{} is no unit of size", excerpt(unit.trim())),
                    "the units are B, KiB, MiB, GiB, TiB and kB, MB, GB, TB, without a space before them",
                );
            }
        },
    };
    // The largest is what a signed 64-bit length can say: content-length is held in one in many places.
    match digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor)) {
        Some(bytes) if i64::try_from(bytes).is_ok() => Ok(bytes),
        Some(_) | None => refuse(format!("{} is too large", excerpt(text)), ""),
    }
}

/// Writes a size as [`size`] reads it, in the largest binary unit that leaves no rest.
pub fn write_size(bytes: u64) -> String {
    let binary = SIZE.iter().filter(|(unit, _)| unit.len() == 3);
    match binary.into_iter().find(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// Reads `10`, `12.5` or `12.5%`, exactly: a share has a resolution of 0.001 %, and what is finer is refused
/// rather than rounded. `text` is what was written, never a float: 0.29 × 1000 is not 290 in binary.
pub fn percent(text: &str) -> Result<Share, UnitError> {
    const EXAMPLES: &str = "write a percentage between 0 and 100, such as 12.5 or \"12.5%\"";
    let trimmed = text.trim();
    let number = trimmed.strip_suffix('%').unwrap_or(trimmed).trim_end();
    if number.starts_with('-') {
        return refuse("percent is negative", EXAMPLES);
    }
    let number = number.strip_prefix('+').unwrap_or(number);
    if number.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) && number.contains(['e', 'E']) {
        return refuse(format!("{} is written with an exponent", excerpt(text)), EXAMPLES);
    }
    if number.contains(',') {
        return refuse(format!("{} is no percentage", excerpt(text)), "write a point instead of the comma");
    }
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => ("", ""),
        None => (number, "0"),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return refuse(format!("{} is no percentage", excerpt(text)), EXAMPLES);
    }
    let fraction = fraction.trim_end_matches('0');
    let whole = whole.trim_start_matches('0');
    // Four digits are more than 100 whatever they say, and at most three always fit.
    let thousands = if whole.len() > 3 { u32::MAX } else { whole.parse().unwrap_or(0) };
    if thousands > 100 || (thousands == 100 && !fraction.is_empty()) {
        return refuse("percent is above 100", EXAMPLES);
    }
    if fraction.len() > 3 {
        return refuse(
            format!("{} is finer than 0.001 %", excerpt(text)),
            format!("write {}.{}", if whole.is_empty() { "0" } else { whole }, &fraction[..3]),
        );
    }
    // At most three digits, padded to three on the right.
    let thousandths = fraction.parse::<u32>().unwrap_or(0) * 10u32.pow(3 - fraction.len() as u32);
    match Share::from_parts(thousands * 1000 + thousandths) {
        Some(share) => Ok(share),
        None => refuse("percent is above 100", EXAMPLES),
    }
}

/// Writes a share as a TOML number that [`percent`] reads: `12.5`, without the sign.
pub fn write_percent(share: Share) -> String {
    share.to_string().trim_end_matches('%').to_owned()
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_share_is_read_as_it_is_printed() {
        for parts in 0..=100_000 {
            let share = Share::from_parts(parts).expect("within the whole");
            for text in
                [share.to_string(), write_percent(share), format!("{}.{:03}", parts / 1000, parts % 1000)]
            {
                assert_eq!(percent(&text), Ok(share), "text {text:?}");
            }
        }
    }

    #[test]
    fn what_is_no_percentage_is_refused() {
        for (text, message) in [
            ("100.001", "percent is above 100"),
            ("100.0000001", "percent is above 100"),
            ("1000", "percent is above 100"),
            ("99999999999999999999999", "percent is above 100"),
            ("-1", "percent is negative"),
            ("-0.0", "percent is negative"),
            ("0.0001", "`0.0001` is finer than 0.001 %"),
            ("12.34567", "`12.34567` is finer than 0.001 %"),
            ("1e1", "`1e1` is written with an exponent"),
            ("nan", "`nan` is no percentage"),
            ("inf", "`inf` is no percentage"),
            ("", "an empty text is no percentage"),
            ("%", "`%` is no percentage"),
            (".5", "`.5` is no percentage"),
            ("5.", "`5.` is no percentage"),
            ("1_0", "`1_0` is no percentage"),
            ("10%%", "`10%%` is no percentage"),
            ("0x10", "`0x10` is no percentage"),
            ("٣", "`٣` is no percentage"),
        ] {
            assert_eq!(percent(text).expect_err("refused").message, message, "text {text:?}");
        }
        for text in ["+12.5", "12.5 %", " 12.500000000 ", "012.5"] {
            assert_eq!(percent(text).map(Share::parts), Ok(12_500), "text {text:?}");
        }
    }

    #[test]
    fn durations_are_sums_of_units() {
        for (text, milliseconds) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("30s", Some(30_000)),
            ("250ms", Some(250)),
            ("1h30m", Some(5_400_000)),
            ("1d2h3m4s5ms", Some(93_784_005)),
            ("400d", Some(34_560_000_000)),
            ("400d1ms", None),
            ("99999999999999999999d", None),
            ("213503982335d", None),
            ("30", None),
            ("30 s", None),
            ("s", None),
            ("1.5s", None),
            ("1m1h", None),
            ("1s1s", None),
            ("-1s", None),
            ("1S", None),
            ("1м", None),
            ("", None),
        ] {
            assert_eq!(duration(text).ok(), milliseconds.map(Duration::from_millis), "text {text:?}");
        }
        for (milliseconds, text) in [
            (0, "0"),
            (75_000, "75s"),
            (5_400_000, "90m"),
            (86_400_000, "24h"),
            (172_800_000, "2d"),
            (60_000, "60s"),
            (1500, "1500ms"),
        ] {
            assert_eq!(write_duration(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn sizes_are_bytes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("32KiB", Some(32_768)),
            ("10MiB", Some(10_485_760)),
            ("5kB", Some(5000)),
            ("5MB", Some(5_000_000)),
            ("1B", Some(1)),
            ("8388607TiB", Some(8_388_607 << 40)),
            ("8388608TiB", None),
            ("99999999999999999999", None),
            ("10 MiB", None),
            ("10mb", None),
            ("1.5MiB", None),
            ("-1", None),
            ("MiB", None),
            ("", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "text {text:?}");
        }
        for (bytes, text) in [(0, "0"), (32_768, "32KiB"), (1_000_000, "1000000"), (1 << 40, "1TiB")] {
            assert_eq!(write_size(bytes), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_again(milliseconds in 0u64..=34_560_000_000, bytes in 0u64..=i64::MAX as u64) {
            let written = Duration::from_millis(milliseconds);
            prop_assert_eq!(duration(&write_duration(written)), Ok(written));
            prop_assert_eq!(size(&write_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>(), near in "[-+0-9.,%a-zA-Z:/@\\[\\]*# ]{0,24}") {
            for text in [text, near] {
                let _ = (duration(&text), size(&text), percent(&text), host_port(&text));
                let _ = (endpoint_url(&text), bind_address(&text), network(&text));
            }
        }
    }
}
