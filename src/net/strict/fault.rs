//! What a message can do wrong.

/// Why a message is refused. Each is a rule of RFC 9112 or RFC 9110 where our parser, or an engine's, is known to
/// look away.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Fault {
    /// RFC 9112 2.2 lets a recipient take it for a line end, or not: whoever is behind us may differ.
    #[error("a line ends in LF without CR")]
    BareLf,
    /// RFC 9112 2.2.
    #[error("CR without LF")]
    BareCr,
    /// RFC 9110 5.5: NUL above all.
    #[error("a control byte in a field value")]
    ControlByte,
    /// RFC 9112 2.2: one empty line may come before a request; some clients send two.
    #[error("too many empty lines before a request")]
    EmptyLines,
    /// RFC 9112 3: method, target and version with one space between them.
    #[error("not a request line")]
    RequestLine,
    /// RFC 9110 9.1: a method is a token.
    #[error("bad method")]
    Method,
    /// RFC 9112 3.2: visible ASCII without `#`.
    #[error("bad byte in the request target")]
    TargetByte,
    /// RFC 9112 3.2: a path; an `http` or `https` URL without user; `*` for OPTIONS.
    #[error("bad form of the request target")]
    TargetForm,
    /// RFC 9112 2.3: `HTTP/1.0` or `HTTP/1.1`, in capitals.
    #[error("bad version")]
    Version,
    /// RFC 9112 5.2, and 2.2 for a first line that begins with white space.
    #[error("a line begins with white space")]
    Fold,
    /// RFC 9112 5.1.
    #[error("white space before a colon")]
    SpaceBeforeColon,
    /// RFC 9110 5.1: a field name is a token.
    #[error("bad field name")]
    Name,
    /// A gateway that turns `-` into `_`, as CGI and its heirs do, would read it as the real one.
    #[error("a framing field spelt with an underscore")]
    Underscore,
    /// RFC 9112 3.2.
    #[error("no Host")]
    NoHost,
    /// RFC 9112 3.2.
    #[error("more than one Host")]
    SecondHost,
    /// RFC 9112 3.2.
    #[error("bad Host")]
    Host,
    /// RFC 9110 8.6.
    #[error("bad Content-Length")]
    Length,
    /// RFC 9110 8.6 lets a recipient merge equal ones, or refuse.
    #[error("more than one Content-Length")]
    SecondLength,
    /// RFC 9112 6.1 and 7: `chunked`, once, and nothing else.
    #[error("Transfer-Encoding is not exactly chunked")]
    Coding,
    /// RFC 9112 6.1.
    #[error("Transfer-Encoding in HTTP/1.0")]
    OldCoding,
    /// RFC 9112 6.3.
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndCoding,
    /// RFC 9112 7.1.
    #[error("bad chunk size")]
    ChunkSize,
    /// RFC 9112 7.1.1.
    #[error("bad chunk extension")]
    ChunkExtension,
    /// RFC 9112 7.1.
    #[error("a chunk does not end with its data")]
    ChunkEnd,
    /// RFC 9110 6.5.1: framing, routing and authentication do not come behind the body.
    #[error("a field that must not be a trailer")]
    Trailer,
    /// A chunk's size line, or a trailer, that does not end.
    #[error("a line of the body is too long")]
    LineTooLong,
}
