//! One access record, and the two ways to write it down.
//!
//! Whatever a client or an engine sent is escaped byte by byte: a record is one line, and nothing in it can end
//! that line, begin another, or steer a terminal.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, Version};

use crate::config::model::LogFormat;
use crate::decide::bucket::Bucket;
use crate::decide::decision::Reason;
use crate::decide::engine::Engine;
use crate::decide::redact::redact_target;
use crate::decide::subject::SubjectKind;
use crate::telemetry::access_log::text::{push_address, push_escaped, push_number, push_seconds, push_time};
use crate::telemetry::kinds::AnswerKind;
use crate::telemetry::metrics::NONE;

/// What is known about a request when it is over.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When it ended, in milliseconds since the Unix epoch.
    pub unix_millis: u64,
    /// The app, if one claims the host.
    pub app: Option<&'a str>,
    /// The workflow whose path was asked for.
    pub workflow: Option<&'a str>,
    /// The engine that was asked.
    pub engine: Option<Engine>,
    /// Why that one.
    pub reason: Option<Reason>,
    /// Where the subject's key was found; never the key.
    pub subject: Option<SubjectKind>,
    /// The subject's place on the line.
    pub bucket: Option<Bucket>,
    /// The method as it came.
    pub method: &'a Method,
    /// The host as it came.
    pub host: &'a [u8],
    /// Path and query as they came: they are redacted as they are written.
    pub target: &'a str,
    /// The answer's status code; 0 when the client left before there was one.
    pub status: u16,
    /// What we answered, when we answered ourselves.
    pub kind: Option<AnswerKind>,
    /// From the first byte of the head to the last of the answer.
    pub duration: Duration,
    /// From sending the request to the head of the response.
    pub upstream_duration: Option<Duration>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// The client, as far as the trusted proxies say.
    pub client: IpAddr,
    /// The endpoint that was asked last.
    pub endpoint: Option<&'a str>,
    /// Attempts beyond the first.
    pub retries: u32,
    /// The request id, ours or that of a trusted proxy.
    pub request_id: &'a [u8],
    /// The trace that the request belongs to.
    pub trace_id: Option<&'a str>,
    /// The protocol that the client speaks.
    pub protocol: Version,
}

impl AccessRecord<'_> {
    /// Appends the record as one line. `scratch` is there to be used again.
    pub(super) fn write(&self, format: LogFormat, scratch: &mut String, out: &mut Vec<u8>) {
        scratch.clear();
        redact_target(self.target, scratch);
        match format {
            LogFormat::Json => self.write_json(scratch.as_bytes(), out),
            LogFormat::Text => self.write_text(scratch.as_bytes(), out),
        }
        out.push(b'\n');
    }

    fn write_json(&self, path: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        push_time(self.unix_millis, out);
        out.push(b'"');
        json_text("app", self.app.unwrap_or(NONE).as_bytes(), out);
        json_text("workflow", self.workflow.unwrap_or(NONE).as_bytes(), out);
        json_text("engine", self.engine.map_or(NONE, Engine::as_str).as_bytes(), out);
        json_text("reason", self.reason.map_or(NONE, Reason::as_str).as_bytes(), out);
        json_text("subject", self.subject.map_or(NONE, SubjectKind::as_str).as_bytes(), out);
        match self.bucket {
            Some(bucket) => json_number("bucket", bucket.get().into(), out),
            None => out.extend_from_slice(b",\"bucket\":null"),
        }
        json_text("method", self.method.as_str().as_bytes(), out);
        json_text("host", self.host, out);
        json_text("path", path, out);
        json_number("status", self.status.into(), out);
        json_text("kind", self.kind.map_or(NONE, AnswerKind::as_str).as_bytes(), out);
        out.extend_from_slice(b",\"duration\":");
        push_seconds(self.duration, out);
        out.extend_from_slice(b",\"upstream_duration\":");
        match self.upstream_duration {
            Some(duration) => push_seconds(duration, out),
            None => out.extend_from_slice(b"null"),
        }
        json_number("bytes_in", self.bytes_in, out);
        json_number("bytes_out", self.bytes_out, out);
        out.extend_from_slice(b",\"client\":\"");
        push_address(self.client, out);
        out.push(b'"');
        json_text("endpoint", self.endpoint.unwrap_or(NONE).as_bytes(), out);
        json_number("retries", self.retries.into(), out);
        json_text("request_id", self.request_id, out);
        json_text("trace_id", self.trace_id.unwrap_or(NONE).as_bytes(), out);
        json_text("protocol", protocol_name(self.protocol).as_bytes(), out);
        out.push(b'}');
    }

    /// The start reads like the logs that people know; the rest is `name=value`.
    fn write_text(&self, path: &[u8], out: &mut Vec<u8>) {
        push_time(self.unix_millis, out);
        out.push(b' ');
        push_address(self.client, out);
        out.extend_from_slice(b" \"");
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        push_escaped(self.host, out);
        push_escaped(path, out);
        out.push(b' ');
        out.extend_from_slice(protocol_name(self.protocol).as_bytes());
        out.extend_from_slice(b"\" ");
        push_number(self.status.into(), 1, out);
        out.push(b' ');
        push_seconds(self.duration, out);
        text_value("app", self.app.unwrap_or(NONE).as_bytes(), out);
        text_value("workflow", self.workflow.unwrap_or(NONE).as_bytes(), out);
        text_value("engine", self.engine.map_or(NONE, Engine::as_str).as_bytes(), out);
        text_value("reason", self.reason.map_or(NONE, Reason::as_str).as_bytes(), out);
        text_value("subject", self.subject.map_or(NONE, SubjectKind::as_str).as_bytes(), out);
        out.extend_from_slice(b" bucket=");
        match self.bucket {
            Some(bucket) => push_number(bucket.get().into(), 1, out),
            None => out.extend_from_slice(NONE.as_bytes()),
        }
        text_value("kind", self.kind.map_or(NONE, AnswerKind::as_str).as_bytes(), out);
        out.extend_from_slice(b" upstream_duration=");
        match self.upstream_duration {
            Some(duration) => push_seconds(duration, out),
            None => out.extend_from_slice(NONE.as_bytes()),
        }
        text_number("bytes_in", self.bytes_in, out);
        text_number("bytes_out", self.bytes_out, out);
        text_value("endpoint", self.endpoint.unwrap_or(NONE).as_bytes(), out);
        text_number("retries", self.retries.into(), out);
        text_value("request_id", self.request_id, out);
        text_value("trace_id", self.trace_id.unwrap_or(NONE).as_bytes(), out);
    }
}

fn json_number(name: &str, value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    push_number(value, 1, out);
}

fn text_number(name: &str, value: u64, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    push_number(value, 1, out);
}

fn json_text(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    push_escaped(value, out);
    out.push(b'"');
}

/// Values that hold a space are quoted; quotes inside are escaped in any case.
fn text_value(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    let quote: &[u8] = if value.is_empty() || value.contains(&b' ') { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    push_escaped(value, out);
    out.extend_from_slice(quote);
}

fn protocol_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        // The crate's type is open; HTTP/0.9 is not served.
        _ => "HTTP/0.9",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::telemetry::access_log) fn record() -> AccessRecord<'static> {
        AccessRecord {
            unix_millis: 1_796_122_800_123,
            app: Some("portal"),
            workflow: None,
            engine: Some(Engine::Identity),
            reason: Some(Reason::Cohort),
            subject: Some(SubjectKind::Cookie),
            bucket: Bucket::new(71_213),
            method: &Method::GET,
            host: b"portal.example.com",
            target: "/login/callback?code=abc&lang=en",
            status: 200,
            kind: None,
            duration: Duration::from_micros(12_345),
            upstream_duration: Some(Duration::from_micros(11_000)),
            bytes_in: 0,
            bytes_out: 1234,
            client: IpAddr::from([192, 0, 2, 7]),
            endpoint: Some("http://10.0.1.11:8080"),
            retries: 0,
            request_id: b"7f3a",
            trace_id: None,
            protocol: Version::HTTP_11,
        }
    }

    fn write(record: &AccessRecord<'_>, format: LogFormat) -> String {
        let mut out = Vec::new();
        record.write(format, &mut String::from("left over"), &mut out);
        String::from_utf8(out).expect("UTF-8, whatever came")
    }

    #[test]
    fn a_record_is_one_json_object_a_line() {
        assert_eq!(
            write(&record(), LogFormat::Json),
            "{\"time\":\"2026-12-01T11:00:00.123Z\",\"app\":\"portal\",\"workflow\":\"none\",\"engine\":\"identity\",\
             \"reason\":\"cohort\",\"subject\":\"cookie\",\"bucket\":71213,\"method\":\"GET\",\
             \"host\":\"portal.example.com\",\"path\":\"/login/callback?code=[redacted]&lang=en\",\"status\":200,\
             \"kind\":\"none\",\"duration\":0.012345,\"upstream_duration\":0.011000,\"bytes_in\":0,\
             \"bytes_out\":1234,\"client\":\"192.0.2.7\",\"endpoint\":\"http://10.0.1.11:8080\",\"retries\":0,\
             \"request_id\":\"7f3a\",\"trace_id\":\"none\",\"protocol\":\"HTTP/1.1\"}\n"
        );
    }

    #[test]
    fn a_record_is_one_line_for_people() {
        assert_eq!(
            write(&record(), LogFormat::Text),
            "2026-12-01T11:00:00.123Z 192.0.2.7 \"GET portal.example.com/login/callback?code=[redacted]&lang=en \
             HTTP/1.1\" 200 0.012345 app=portal workflow=none engine=identity reason=cohort subject=cookie \
             bucket=71213 kind=none upstream_duration=0.011000 bytes_in=0 bytes_out=1234 \
             endpoint=http://10.0.1.11:8080 retries=0 request_id=7f3a trace_id=none\n"
        );
    }

    #[test]
    fn nothing_that_a_client_sends_can_write_a_line_of_its_own() {
        let hostile: &[u8] =
            b"a\"\\,\"app\":\"x\"}\r\n{\x00\x1b[31m\x7f\xc2\x85\xe2\x80\xa8\xe2\x80\xae\xff\xfe caf\xc3\xa9";
        let mut record = record();
        record.host = hostile;
        record.request_id = hostile;
        record.bucket = None;
        record.target = "/\u{85}\n\u{2028}é";
        for format in [LogFormat::Json, LogFormat::Text] {
            let line = write(&record, format);
            assert_eq!(line.lines().count(), 1, "{line:?}");
            let body = line.trim_end_matches('\n');
            assert!(!body.chars().any(char::is_control), "{line:?}");
            assert!(!body.contains(['\u{2028}', '\u{202e}']) && body.contains("café"), "{line:?}");
        }
        let parsed: serde_json::Value = serde_json::from_str(&write(&record, LogFormat::Json)).expect("JSON");
        assert_eq!(parsed["app"], "portal");
        assert_eq!(parsed["path"], "/\u{85}\n\u{2028}é");
        assert_eq!(parsed["host"].as_str(), Some(&*String::from_utf8_lossy(hostile)));
        assert!(parsed["bucket"].is_null());
    }
}
