//! Points in time: a date, a time and an offset in the file, seconds since the Unix epoch for the program.

use toml::value::{Datetime, Offset};

use crate::config::units::UnitError;

const DAY: i64 = 86_400;

/// 9999-12-31T23:59:59Z: TOML has no year after that.
const LAST: i64 = 253_402_300_799;

/// Seconds since the Unix epoch. A date without an offset means another moment on every machine, and is refused.
pub fn moment(date: &Datetime) -> Result<u64, UnitError> {
    let refuse = |message: &str| UnitError {
        message: message.to_owned(),
        hint: "write it such as 2027-03-01T09:00:00Z".to_owned(),
    };
    let (Some(day), Some(time)) = (date.date, date.time) else {
        return Err(refuse("the date has no time of day"));
    };
    let offset = match date.offset {
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => i64::from(minutes) * 60,
        None => return Err(refuse("the date has no offset")),
    };
    if time.nanosecond.is_some_and(|nanosecond| nanosecond != 0) {
        let hint = "write whole seconds, such as 2027-03-01T09:00:00Z".to_owned();
        return Err(UnitError { hint, ..refuse("the date has a fraction of a second") });
    }
    let days = days_before(i64::from(day.year), i64::from(day.month), i64::from(day.day));
    let second = i64::from(time.second.unwrap_or(0));
    let seconds = days * DAY + i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + second - offset;
    if seconds > LAST {
        return Err(refuse("the date lies after 9999-12-31T23:59:59Z"));
    }
    u64::try_from(seconds).map_err(|_| refuse("the date lies before 1970"))
}

/// A moment as TOML writes it, in UTC. No file holds one that lies after the last of TOML's, as which it is written.
pub fn write_moment(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(LAST).min(LAST);
    let (year, month, day) = date_of(seconds / DAY);
    let time = seconds % DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60)
}

/// Days from 1970-01-01 in the Gregorian calendar. Years are counted from March, so that a leap day comes last.
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    era * 146_097 + day_of_era - 719_468
}

/// The date that lies so many days behind 1970-01-01.
const fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_moment_that_it_names() {
        // Checked against GNU date.
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-12-01T09:00:00Z", 1_796_115_600),
            ("2024-02-29T23:59:59Z", 1_709_251_199),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            let date: Datetime = text.parse().expect("a date");
            assert_eq!(moment(&date).ok(), Some(seconds), "{text}");
            assert_eq!(write_moment(seconds), text);
        }
        let with_offset: Datetime = "2026-12-01T10:00:00+01:00".parse().expect("a date");
        assert_eq!(moment(&with_offset).ok(), Some(1_796_115_600));
        for text in [
            "2026-12-01",
            "2026-12-01T09:00:00",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-00:01",
            "2026-12-01T09:00:00.5Z",
        ] {
            let date: Datetime = text.parse().expect("a date");
            assert!(moment(&date).is_err(), "{text}");
        }
        let whole: Datetime = "2026-12-01T09:00:00.000Z".parse().expect("a date");
        assert_eq!(moment(&whole).ok(), Some(1_796_115_600));
    }

    #[test]
    fn every_moment_is_written_as_a_date_that_can_be_read() {
        for seconds in [0, 1_796_115_600, 253_402_300_799, 253_402_300_800, u64::MAX] {
            let date: Datetime = write_moment(seconds).parse().expect("a date");
            assert_eq!(moment(&date).ok(), Some(seconds.min(253_402_300_799)));
        }
    }
}
