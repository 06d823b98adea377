//! The two text formats a scrape may ask for: Prometheus 0.0.4 and OpenMetrics 1.0.

use std::fmt::{Display, Write};

use crate::telemetry::metrics::cells::{BOUNDS, HistogramSum};
use crate::telemetry::metrics::families::{Family, Kind};

/// A text format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The format that an `Accept` header asks for (RFC 9110 12.5.1); text for whoever asks for nothing we have, since
/// a scrape in the wrong format is worth more than a 406.
pub fn negotiate(accept: Option<&str>) -> Format {
    let mut best = (0, 0, Format::Text);
    for range in accept.unwrap_or_default().split(',') {
        let mut parts = range.split(';').map(str::trim);
        let (specificity, format, version) = match parts.next().map(str::to_ascii_lowercase).as_deref() {
            Some("application/openmetrics-text") => (2, Format::OpenMetrics, "1.0.0"),
            Some("text/plain") => (2, Format::Text, "0.0.4"),
            Some("text/*") => (1, Format::Text, ""),
            Some("*/*") => (0, Format::Text, ""),
            Some(_) | None => continue,
        };
        let mut quality = 1000;
        let mut is_ours = true;
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            if name.eq_ignore_ascii_case("q") {
                quality = thousandths(value);
            } else if name.eq_ignore_ascii_case("version") {
                is_ours = value.trim_matches('"') == version;
            }
        }
        if is_ours && quality > 0 && (quality, specificity) > (best.0, best.1) {
            best = (quality, specificity, format);
        }
    }
    best.2
}

/// `0.75` → 750; 0 for what is no weight.
fn thousandths(weight: &str) -> u32 {
    weight.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight)).map_or(0, |weight| {
        // In range, so the cast cannot lose anything but the fraction.
        (weight * 1000.0).round() as u32
    })
}

/// A scrape while it is being written.
#[derive(Debug)]
pub(super) struct Exposition {
    format: Format,
    out: String,
}

impl Exposition {
    pub(super) fn new(format: Format, capacity: usize) -> Self {
        Self { format, out: String::with_capacity(capacity) }
    }

    /// Begins a family. Its samples must follow before the next one begins; there may be none.
    pub(super) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let name = match self.format {
            Format::Text => family.name,
            Format::OpenMetrics => family.stem(),
        };
        let kind = match (self.format, family.kind) {
            (Format::Text, Kind::Info) => Kind::Gauge.as_str(),
            (_, kind) => kind.as_str(),
        };
        self.out.push_str("# HELP ");
        self.out.push_str(name);
        self.out.push(' ');
        match self.format {
            Format::Text => push_escaped(&family.help(), false, &mut self.out),
            Format::OpenMetrics => push_escaped(&family.help(), true, &mut self.out),
        }
        push(&mut self.out, format_args!("\n# TYPE {name} {kind}\n"));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, family.unit()) {
            push(&mut self.out, format_args!("# UNIT {name} {unit}\n"));
        }
        Samples { family, format: self.format, out: &mut self.out }
    }

    pub(super) fn finish(mut self) -> String {
        match self.format {
            Format::Text => {}
            Format::OpenMetrics => self.out.push_str("# EOF\n"),
        }
        self.out
    }
}

/// The samples of one family.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    family: &'static Family,
    format: Format,
    out: &'a mut String,
}

impl Samples<'_> {
    /// One series: the values of the family's labels, in their order, and its number.
    pub(super) fn add(&mut self, labels: &[&str], value: impl Display) {
        self.out.push_str(self.family.name);
        self.labels(labels, None);
        push(self.out, format_args!(" {value}\n"));
    }

    /// The series of one histogram; none while it is empty.
    pub(super) fn add_histogram(&mut self, labels: &[&str], histogram: &HistogramSum) {
        let count = histogram.count();
        if count == 0 {
            return;
        }
        // The labels are the same in all fifteen lines but for `le`: written once, copied from there.
        let mut prefix = String::with_capacity(128);
        std::mem::swap(self.out, &mut prefix);
        self.out.push_str(self.family.name);
        self.out.push_str("_bucket");
        self.labels(labels, Some("le"));
        std::mem::swap(self.out, &mut prefix);

        let mut total = 0;
        let bounds = BOUNDS.iter().map(|(_, text, open_metrics)| match self.format {
            Format::Text => *text,
            Format::OpenMetrics => *open_metrics,
        });
        for (bound, bucket) in bounds.chain(["+Inf"]).zip(histogram.buckets) {
            total += bucket;
            self.out.push_str(&prefix);
            push(self.out, format_args!("{bound}\"}} {total}\n"));
        }
        self.out.push_str(self.family.name);
        self.out.push_str("_sum");
        self.labels(labels, None);
        let (seconds, rest) = (histogram.nanoseconds / 1_000_000_000, histogram.nanoseconds % 1_000_000_000);
        push(self.out, format_args!(" {seconds}.{rest:09}\n"));
        self.out.push_str(self.family.name);
        self.out.push_str("_count");
        self.labels(labels, None);
        push(self.out, format_args!(" {count}\n"));
    }

    /// `{app="portal",engine="classic"}`; with `open`, another label begins and its value is still to come.
    fn labels(&mut self, values: &[&str], open: Option<&str>) {
        debug_assert_eq!(values.len(), self.family.labels.len(), "labels of {}", self.family.name);
        if values.is_empty() && open.is_none() {
            return;
        }
        let mut separator = '{';
        for (name, value) in self.family.labels.iter().zip(values) {
            self.out.push(separator);
            self.out.push_str(name);
            self.out.push_str("=\"");
            push_escaped(value, true, self.out);
            self.out.push('"');
            separator = ',';
        }
        match open {
            Some(name) => {
                self.out.push(separator);
                self.out.push_str(name);
                self.out.push_str("=\"");
            }
            None => self.out.push('}'),
        }
    }
}

/// Backslash and line feed are escaped everywhere, quotes in label values and in the HELP of OpenMetrics.
fn push_escaped(text: &str, quotes_too: bool, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\n', '"']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ if quotes_too => "\\\"",
            _ => "\"",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::families::{BUILD, PROCESS_CPU, UPSTREAM_DURATION};

    #[test]
    fn the_format_is_the_one_that_the_scraper_prefers() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
                          q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html, image/png"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("Application/OpenMetrics-Text; version=\"1.0.0\"; escaping=values"), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=0.0.1"), Format::Text),
            (Some("application/openmetrics-text; version=2.0.0, text/plain"), Format::Text),
            (Some("application/openmetrics-text; q=0"), Format::Text),
            (Some("application/openmetrics-text; q=0.5, text/plain; q=0.6"), Format::Text),
            (Some("application/openmetrics-text; q=0.5, */*; q=0.6"), Format::Text),
            (Some("*/*, application/openmetrics-text"), Format::OpenMetrics),
            (Some("text/plain, application/openmetrics-text"), Format::Text),
            (Some(";;,=,q=1"), Format::Text),
        ] {
            assert_eq!(negotiate(accept), expected, "Accept: {accept:?}");
        }
    }

    #[test]
    fn a_label_value_cannot_break_its_line() {
        let mut exposition = Exposition::new(Format::Text, 0);
        exposition.family(&BUILD).add(&["a\"b\\c\nd", "é"], 1);
        assert_eq!(
            exposition.finish(),
            "# HELP cutover_build_info The running program.\n# TYPE cutover_build_info gauge\n\
             cutover_build_info{version=\"a\\\"b\\\\c\\nd\",revision=\"é\"} 1\n"
        );
    }

    #[test]
    fn a_histogram_is_written_in_both_formats() {
        let mut histogram = HistogramSum { nanoseconds: 1_002_000_000, ..Default::default() };
        histogram.buckets[0] = 1;
        histogram.buckets[7] = 1;
        let render = |format| {
            let mut exposition = Exposition::new(format, 0);
            exposition.family(&UPSTREAM_DURATION).add_histogram(&["portal", "classic"], &histogram);
            exposition.finish()
        };
        let text = render(Format::Text);
        let labels = "app=\"portal\",engine=\"classic\"";
        let name = "cutover_upstream_duration_seconds";
        assert!(
            text.contains(&format!("\n# TYPE {name} histogram\n{name}_bucket{{{labels},le=\"0.005\"}} 1\n"))
        );
        assert!(text.contains(&format!("\n{name}_bucket{{{labels},le=\"1\"}} 2\n")));
        assert!(text.ends_with(&format!(
            "\n{name}_bucket{{{labels},le=\"+Inf\"}} 2\n{name}_sum{{{labels}}} 1.002000000\n\
             {name}_count{{{labels}}} 2\n"
        )));
        let open_metrics = render(Format::OpenMetrics);
        assert!(open_metrics.contains(&format!("\n# UNIT {name} seconds\n")), "{open_metrics}");
        assert!(open_metrics.contains(&format!("\n{name}_bucket{{{labels},le=\"1.0\"}} 2\n")));
        assert!(open_metrics.ends_with("\n# EOF\n"));
    }

    #[test]
    fn counters_and_infos_lose_their_suffix_in_the_metadata_of_open_metrics() {
        let mut exposition = Exposition::new(Format::OpenMetrics, 0);
        exposition.family(&PROCESS_CPU).add(&[], 1.5);
        exposition.family(&BUILD).add(&["1", "2"], 1);
        let expected = "# HELP process_cpu_seconds Processor time used.\n# TYPE process_cpu_seconds counter\n\
                        # UNIT process_cpu_seconds seconds\nprocess_cpu_seconds_total 1.5\n\
                        # HELP cutover_build The running program.\n# TYPE cutover_build info\n\
                        cutover_build_info{version=\"1\",revision=\"2\"} 1\n# EOF\n";
        assert_eq!(exposition.finish(), expected);
    }
}
