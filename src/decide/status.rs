//! Sets of status codes as operators write them: `200-399`, `502, 504`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use http::StatusCode;

/// Status codes. The default holds none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

/// A text that names no set of status codes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoStatuses;

impl Statuses {
    /// Whether a status is among them.
    pub fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|range| range.contains(&status.as_u16()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Statuses {
    type Err = NoStatuses;

    fn from_str(text: &str) -> Result<Self, NoStatuses> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let code = |text: &str| -> Result<u16, NoStatuses> {
            let text = text.trim();
            let number: u16 = text.parse().map_err(|_| NoStatuses)?;
            if text.len() == 3 && (100..=599).contains(&number) { Ok(number) } else { Err(NoStatuses) }
        };
        let ranges = text.split(',').map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = code(first)?..=code(last)?;
            if range.is_empty() { Err(NoStatuses) } else { Ok(range) }
        });
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, range) in self.0.iter().enumerate() {
            let (comma, (first, last)) = (if position > 0 { "," } else { "" }, (range.start(), range.end()));
            match first == last {
                true => write!(formatter, "{comma}{first}")?,
                false => write!(formatter, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_codes_and_ranges_and_nothing_else() {
        for (text, written, within, beyond) in [
            ("200-399", "200-399", &[200, 301, 399][..], &[199, 400][..]),
            (" 502 , 504-504,599", "502,504,599", &[502, 504, 599], &[503, 500]),
            ("", "", &[], &[200, 500]),
        ] {
            let set: Statuses = text.parse().expect("a set");
            assert_eq!((set.to_string().as_str(), set.is_empty()), (written, written.is_empty()));
            let holds = |code: &u16| set.contains(StatusCode::from_u16(*code).expect("a code"));
            assert!(within.iter().all(holds) && !beyond.iter().any(holds), "{text}");
            assert_eq!(written.parse(), Ok(set), "what is written is read again");
        }
        for text in ["2xx", "200-", "-399", "399-200", "99", "600", "0200", "200,", "ok", "+20"] {
            assert_eq!(text.parse::<Statuses>(), Err(NoStatuses), "{text}");
        }
    }
}
