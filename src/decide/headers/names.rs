//! Names of header fields, read quickly.

use http::HeaderName;
use http::header::{self, InvalidHeaderName};

/// The name that these bytes spell. Those that nearly every message has, as nearly everybody spells them, are told at a
/// glance; all others are read as `http` reads them.
pub fn header_name(bytes: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
    Ok(match bytes {
        b"Accept" | b"accept" => header::ACCEPT,
        b"Accept-Encoding" | b"accept-encoding" => header::ACCEPT_ENCODING,
        b"Accept-Language" | b"accept-language" => header::ACCEPT_LANGUAGE,
        b"Cache-Control" | b"cache-control" => header::CACHE_CONTROL,
        b"Connection" | b"connection" => header::CONNECTION,
        b"Content-Length" | b"content-length" => header::CONTENT_LENGTH,
        b"Content-Type" | b"content-type" => header::CONTENT_TYPE,
        b"Cookie" | b"cookie" => header::COOKIE,
        b"Date" | b"date" => header::DATE,
        b"Host" | b"host" => header::HOST,
        b"Referer" | b"referer" => header::REFERER,
        b"Server" | b"server" => header::SERVER,
        b"Set-Cookie" | b"set-cookie" => header::SET_COOKIE,
        b"User-Agent" | b"user-agent" => header::USER_AGENT,
        _ => return HeaderName::from_bytes(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_however_it_is_read() {
        let quick = [
            "Accept",
            "Accept-Encoding",
            "Accept-Language",
            "Cache-Control",
            "Connection",
            "Content-Length",
            "Content-Type",
            "Cookie",
            "Date",
            "Host",
            "Referer",
            "Server",
            "Set-Cookie",
            "User-Agent",
        ];
        for name in quick.into_iter().chain(["hOST", "X-Other", "etag"]) {
            for spelt in [name.to_owned(), name.to_lowercase()] {
                let read = header_name(spelt.as_bytes()).expect("a name");
                assert_eq!(read, HeaderName::from_bytes(spelt.as_bytes()).expect("a name"), "{spelt}");
            }
        }
        assert!(header_name(b"not a name").is_err());
    }
}
