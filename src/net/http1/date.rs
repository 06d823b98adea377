//! The `Date` of answers (RFC 9110 6.6.1).

use std::cell::Cell;
use std::time::{Duration, UNIX_EPOCH};

/// A date as it is written: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type Text = [u8; 29];

/// Writes each second's date once.
#[derive(Debug)]
pub struct Date(Cell<(u64, Text)>);

impl Default for Date {
    fn default() -> Self {
        Self(Cell::new((0, written(0))))
    }
}

impl Date {
    /// The date of a second since the Unix epoch.
    pub fn at(&self, wall: u64) -> Text {
        let (second, text) = self.0.get();
        if second == wall {
            return text;
        }
        let text = written(wall);
        self.0.set((wall, text));
        text
    }
}

fn written(wall: u64) -> Text {
    // Beyond the year 9999 there is no way to write one: such a clock is wrong in any case.
    let wall = wall.min(253_402_300_799);
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(wall));
    text.as_bytes().try_into().unwrap_or(*b"Thu, 01 Jan 1970 00:00:00 GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_one_date_whatever_came_before() {
        let date = Date::default();
        for (wall, text) in [
            (784_111_777, b"Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, b"Sun, 06 Nov 1994 08:49:38 GMT"),
            (784_111_777, b"Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
            (u64::MAX, b"Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(date.at(wall), *text);
        }
    }
}
