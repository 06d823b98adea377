//! Paths in the one spelling that patterns are matched against.
//!
//! Engines differ in what they forgive. Express matches the path as it came, but for case and a slash at the end;
//! Tomcat, and so Spring, takes parameters (`;a=b`) out of the segments, decodes, joins double slashes and resolves dots;
//! ASP.NET Core decodes and resolves dots, IIS in front of it takes `\` for `/` and knows `%u006c`. Here every spelling that
//! one of them could take for a path is that path: a request that none of them understands is then in a workflow too,
//! which does no harm, while one that a single engine understands cannot pass beside it. Where engines contradict each
//! other (`/step/..%2fx` is a step to Express, and `/x` to Tomcat), workflows are asked for the path as it came as
//! well. What is forwarded stays as it came.

use std::borrow::Cow;

/// The path, decoded once, ASCII letters in lower case, without empty segments, dot segments (RFC 3986 5.2.4), path
/// parameters or a slash at the end. Of a path that is so already nothing is copied.
pub fn normalise(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path);
    }
    let mut decoded = Vec::with_capacity(path.len());
    for segment in path.split(['/', '\\']) {
        // Before anything is decoded: what an encoded slash hides behind the semicolon is no path for anybody who
        // knows of parameters.
        let segment = segment.split(';').next().unwrap_or_default();
        decoded.push(b'/');
        decode(segment.as_bytes(), &mut decoded);
    }
    let decoded = String::from_utf8_lossy(&decoded);
    let mut kept: Vec<&str> = Vec::new();
    for segment in decoded.split(['/', '\\']) {
        let segment = segment.split([';', '\0']).next().unwrap_or_default();
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    Cow::Owned(format!("/{}", kept.join("/")).to_ascii_lowercase())
}

/// Decodes `%6c` (RFC 3986 2.1) and IIS's `%u006c`; what is neither stays.
fn decode(mut rest: &[u8], out: &mut Vec<u8>) {
    while let [first, tail @ ..] = rest {
        rest = tail;
        match tail {
            [b'u' | b'U', a, b, c, d, behind @ ..] if *first == b'%' => {
                let digits = [a, b, c, d].map(|digit| char::from(*digit).to_digit(16));
                if let [Some(a), Some(b), Some(c), Some(d)] = digits {
                    let letter = char::from_u32(a << 12 | b << 8 | c << 4 | d);
                    let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
                    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = behind;
                    continue;
                }
            }
            [high, low, behind @ ..] if *first == b'%' => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) {
                    out.push(high << 4 | low);
                    rest = behind;
                    continue;
                }
            }
            [..] => {}
        }
        out.push(*first);
    }
}

/// Most paths are as they should be, and one look says so.
fn is_plain(path: &str) -> bool {
    const PLAIN: u8 = 0;
    const POINT: u8 = 1;
    const SLASH: u8 = 2;
    const ODD: u8 = 4;
    // One look-up per byte: every request's path comes by here.
    const KINDS: [u8; 256] = {
        let mut kinds = [PLAIN; 256];
        let mut byte = b'A';
        while byte <= b'Z' {
            kinds[byte as usize] = ODD;
            byte += 1;
        }
        kinds[b'%' as usize] = ODD;
        kinds[b';' as usize] = ODD;
        kinds[b'\\' as usize] = ODD;
        kinds[b'/' as usize] = SLASH;
        kinds[b'.' as usize] = POINT;
        kinds
    };
    let bytes = path.as_bytes();
    let mut before = PLAIN;
    for byte in bytes {
        let kind = KINDS[usize::from(*byte)];
        if kind == ODD || (before == SLASH && kind != PLAIN) {
            return false;
        }
        before = kind;
    }
    bytes.first() == Some(&b'/') && (before != SLASH || bytes.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spellings of one path, and who takes them for it.
    #[test]
    fn a_path_is_one_path_however_it_is_spelt() {
        for (spelling, path) in [
            ("/login", "/login"),
            ("/", "/"),
            ("", "/"),
            // Express, ASP.NET: case, and a slash at the end.
            ("/Login/", "/login"),
            ("/LOGIN//", "/login"),
            // Everybody who decodes before matching: Spring, ASP.NET.
            ("/%6cogin", "/login"),
            ("/%6Cogin", "/login"),
            ("/%4c%4F%47%49%4e", "/login"),
            // Decoded once, as all of them do.
            ("/%256cogin", "/%6cogin"),
            ("/%25252f", "/%252f"),
            // IIS.
            ("/%u006cogin", "/login"),
            ("/%U006Cogin", "/login"),
            ("/a%u002flogin", "/a/login"),
            ("/%ud800login", "/\u{fffd}login"),
            // What is no escape stays: Tomcat refuses it, Express passes it on.
            ("/%", "/%"),
            ("/%6", "/%6"),
            ("/%zz%6cogin", "/%zzlogin"),
            ("/%u006", "/%u006"),
            ("/%%36cogin", "/%6cogin"),
            // Empty segments: Tomcat, nginx.
            ("//login", "/login"),
            ("/a//login///", "/a/login"),
            ("/%2flogin", "/login"),
            // Dot segments, as each of them resolves them, encoded or not.
            ("/x/../login", "/login"),
            ("/./login/.", "/login"),
            ("/../../login", "/login"),
            ("/login/x/..", "/login"),
            ("/%2e%2e/login", "/login"),
            ("/x/%2E%2e/login", "/login"),
            ("/x/.%2e/login", "/login"),
            ("/x/..%2flogin", "/login"),
            ("/x%2f..%2flogin", "/login"),
            ("/x/%2e%2e%2flogin", "/login"),
            ("/x/%u002e%u002e/login", "/login"),
            // Three points are a name, and so is a point beside others.
            ("/.../login", "/.../login"),
            ("/.login", "/.login"),
            ("/login.", "/login."),
            ("/%2e%2e%2e/login", "/.../login"),
            // Parameters: Tomcat, Spring. They go before the dots are looked at.
            ("/login;jsessionid=1", "/login"),
            ("/login;", "/login"),
            ("/;x/login", "/login"),
            ("/;/login", "/login"),
            ("/x/..;/login", "/login"),
            ("/x/..;a=b/login", "/login"),
            ("/x/.;/login;a", "/x/login"),
            ("/x/%2e%2e;/login", "/login"),
            ("/login;a/../callback", "/callback"),
            ("/login%3ba=b", "/login"),
            // Behind the semicolon nothing is a path, whatever it decodes to.
            ("/login;%2f..%2fcallback", "/login"),
            ("/login;a%2fb/callback", "/login/callback"),
            // Backslashes: IIS, and browsers.
            ("/a\\login", "/a/login"),
            ("\\login", "/login"),
            ("/a%5clogin", "/a/login"),
            ("/x\\..\\login", "/login"),
            ("/x/..%5Clogin", "/login"),
            // NUL ends a name for who is written in C; the named engines refuse it.
            ("/login%00", "/login"),
            ("/login%00.css", "/login"),
            ("/x/..%00/login", "/login"),
            ("/%u0000login", "/"),
            // Not ASCII: as it is, and in no case but its own.
            ("/%C3%A9", "/\u{e9}"),
            ("/%C3%89", "/\u{c9}"),
            ("/%e9", "/\u{fffd}"),
            ("/%c0%af", "/\u{fffd}\u{fffd}"),
            ("/\u{212a}", "/\u{212a}"),
            // Encoded, these are part of a name.
            ("/login%3fa", "/login?a"),
            ("/login%23a", "/login#a"),
            ("/login%20", "/login "),
            ("/login+", "/login+"),
            // The target of OPTIONS, and nothing that begins with a slash.
            ("*", "/*"),
        ] {
            assert_eq!(normalise(spelling), path, "{spelling}");
        }
    }

    #[test]
    fn a_plain_path_is_not_copied() {
        for (path, is_borrowed) in [
            ("/", true),
            ("/a/b-c_d.e~f", true),
            ("/a.b/c", true),
            ("/A", false),
            ("/a/", false),
            ("/a/.b", false),
        ] {
            assert_eq!(matches!(normalise(path), Cow::Borrowed(_)), is_borrowed, "{path}");
        }
    }
}
