//! Path patterns: `GET|POST /challenge-authenticator/**`.
//!
//! A pattern is whole segments: `/login` never matches `/login-help`. `*` stands for one segment or a part of one,
//! `**` for any number of segments, none included, `{a,b}` for either.

use std::fmt;

use http::Method;

use crate::decide::matcher::Matcher;
use crate::decide::path::normalise;

/// A pattern that cannot be one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("the path does not begin with `/`")]
    NoSlash,
    /// It has more alternatives than are written down one by one.
    #[error("the braces stand for more than {MOST_ALTERNATIVES} paths")]
    TooMany,
    /// A brace that is not closed, or closed twice.
    #[error("a brace is not closed, or nested")]
    Braces,
    /// No method of HTTP that browsers use.
    #[error("{0:?} is no method")]
    Method(String),
    /// `**` is a part of a segment.
    #[error("`**` must be a segment of its own")]
    Deep,
    /// Something that no path has.
    #[error("a path holds no `?`, `#` or white space")]
    NoPath,
}

const MOST_ALTERNATIVES: usize = 64;

/// Which methods a pattern is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Methods(u16);

impl Methods {
    const NAMES: [&'static str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    /// Every method, invented ones included.
    pub const ALL: Self = Self(u16::MAX);

    /// The set that holds this method alone. A method that nobody registered is in [`Methods::ALL`] only.
    pub fn of(method: &Method) -> Self {
        let at = Self::NAMES.iter().position(|name| *name == method.as_str());
        Self(at.map_or(1 << 15, |at| 1 << at))
    }

    /// Whether requests of this one method are meant. HEAD asks for what GET would give (RFC 9110 9.3.2).
    pub const fn includes(self, one: Self) -> bool {
        self.0 & one.0 != 0 || (one.0 == 0b10 && self.0 & 0b1 != 0)
    }
}

/// One pattern as it is written, and what it stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    text: String,
    pub(super) methods: Methods,
    /// One for each way through the braces.
    pub(super) paths: Vec<Vec<Segment>>,
}

/// One part of a path between slashes. The order is that of precedence, least specific first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Segment {
    /// `**`
    Deep,
    /// `*`
    Any,
    /// Literals with anything between them: `*.js` is `["", ".js"]`.
    Parts(Vec<Box<str>>),
    /// In lower case.
    Literal(Box<str>),
}

impl Segment {
    /// How specific it is.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Deep => 0,
            Self::Any => 1,
            Self::Parts(_) => 2,
            Self::Literal(_) => 3,
        }
    }
}

impl Pattern {
    /// Reads `/path`, `GET /path` or `GET|POST /path`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (methods, path) = match text.split_once(' ') {
            Some((names, path)) if !names.starts_with('/') => (methods(names)?, path.trim_start()),
            _no_methods => (Methods::ALL, text),
        };
        if !path.starts_with('/') {
            return Err(PatternError::NoSlash);
        }
        if path.contains(|letter: char| letter.is_whitespace() || matches!(letter, '?' | '#')) {
            return Err(PatternError::NoPath);
        }
        let paths = alternatives(path)?.iter().map(|path| segments(path)).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), methods, paths })
    }

    /// The first path that the pattern stands for without a `*`, as it is written, when GET may ask for it.
    pub fn literal_get(&self) -> Option<String> {
        if !self.methods.includes(Methods(1)) {
            return None;
        }
        let written = self.text.rsplit(' ').next()?;
        // In the order of `paths`. Two slashes in front would name another host (RFC 3986 4.2).
        let paths = alternatives(written).ok()?;
        paths.into_iter().zip(&self.paths).find_map(|(written, path)| {
            let is_literal = path.iter().all(|segment| segment.rank() == 3);
            (is_literal && !written.starts_with("//") && !written.contains('\\')).then_some(written)
        })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this pattern and another say the same in other words, or in the same.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.paths.iter().any(|path| other.paths.contains(path)) && self.methods.0 & other.methods.0 != 0
    }

    /// Whether a normalised path is meant, whatever the method.
    pub fn matches(&self, path: &str) -> bool {
        let mut matcher = Matcher::default();
        matcher.add(self, 0);
        let mut found = false;
        matcher.find(path, |_| found = true);
        found
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn methods(names: &str) -> Result<Methods, PatternError> {
    names.split('|').try_fold(Methods(0), |all, name| {
        let at = Methods::NAMES.iter().position(|known| *known == name);
        let at = at.ok_or_else(|| PatternError::Method(name.to_owned()))?;
        Ok(Methods(all.0 | 1 << at))
    })
}

/// Every path that the braces of one stand for.
fn alternatives(path: &str) -> Result<Vec<String>, PatternError> {
    let mut all = vec![String::new()];
    let mut rest = path;
    while let Some(open) = rest.find('{') {
        let close = open + rest[open..].find('}').ok_or(PatternError::Braces)?;
        let (before, inside) = (&rest[..open], &rest[open + 1..close]);
        if before.contains('}') || inside.contains('{') {
            return Err(PatternError::Braces);
        }
        let choices: Vec<&str> = inside.split(',').collect();
        if all.len() * choices.len() > MOST_ALTERNATIVES {
            return Err(PatternError::TooMany);
        }
        all = all
            .iter()
            .flat_map(|start| choices.iter().map(move |choice| format!("{start}{before}{}", choice.trim())))
            .collect();
        rest = &rest[close + 1..];
    }
    if rest.contains('}') {
        return Err(PatternError::Braces);
    }
    for path in &mut all {
        path.push_str(rest);
    }
    Ok(all)
}

fn segments(path: &str) -> Result<Vec<Segment>, PatternError> {
    let path = normalise(path);
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| match segment {
            "**" => Ok(Segment::Deep),
            "*" => Ok(Segment::Any),
            _ if segment.contains("**") => Err(PatternError::Deep),
            _ if segment.contains('*') => Ok(Segment::Parts(segment.split('*').map(Into::into).collect())),
            literal => Ok(Segment::Literal(literal.into())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_whole_segments() {
        for (pattern, path, matches) in [
            ("/login", "/login", true),
            ("/login", "/login/", true),
            ("/login", "/LOGIN", true),
            ("/login", "/login-help", false),
            ("/login", "/login/callback", false),
            ("/", "/", true),
            ("/*", "/", false),
            ("/*", "/a", true),
            ("/*", "/a/b", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/**/*.{js,css}", "/app.js", true),
            ("/**/*.{js,css}", "/x/y/app.min.css", true),
            ("/**/*.{js,css}", "/x/y/app.jsx", false),
            ("/**/b/**", "/a/b/c", true),
            ("/a*c*e", "/abcde", true),
            ("/a*c*e", "/ace", true),
            ("/a*c*e", "/ae", false),
            ("/*a", "/a", true),
            ("/a*a", "/a", false),
            ("/{recover,reset}-{password,account}", "/reset-account", true),
            ("/manage/enroll*authenticator", "/Manage/EnrollPhoneAuthenticator", true),
            // No spelling dodges a pattern.
            ("/login", "/%6cogin", true),
            ("/login", "//login", true),
            ("/login", "/x/../login", true),
            ("/login", "/./login/.", true),
            ("/login", "/login;jsessionid=1", true),
            ("/login", "/login%00", true),
            ("/a/login", "/a%2flogin", true),
            ("/a/login", "/a\\login", true),
            ("/login", "/../../login", true),
        ] {
            let read = Pattern::parse(pattern).expect(pattern);
            assert_eq!(read.matches(&normalise(path)), matches, "{pattern} and {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, error) in [
            ("login", PatternError::NoSlash),
            ("GET login", PatternError::NoSlash),
            ("GETT /login", PatternError::Method("GETT".into())),
            ("get /login", PatternError::Method("get".into())),
            ("/a**", PatternError::Deep),
            ("/{a,b", PatternError::Braces),
            ("/a}", PatternError::Braces),
            ("/{a,{b}}", PatternError::Braces),
            ("/a?b", PatternError::NoPath),
            ("/a b", PatternError::NoPath),
            ("/{a,b,c,d,e}{a,b,c,d,e}{a,b,c}", PatternError::TooMany),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_first_literal_path_that_get_may_ask_for() {
        for (pattern, path) in [
            ("/login", Some("/login")),
            ("GET|POST /Login", Some("/Login")),
            ("GET|POST /{forgot,forgot-password}", Some("/forgot")),
            ("/{a,b}/{c,d}", Some("/a/c")),
            ("/{*,b}", Some("/b")),
            ("/", Some("/")),
            ("POST /login", None),
            ("/oauth2/authorization/*", None),
            ("/**", None),
            ("//evil.test/login", None),
            ("/\\evil.test", None),
        ] {
            let read = Pattern::parse(pattern).expect(pattern);
            assert_eq!(read.literal_get().as_deref(), path, "{pattern}");
        }
    }

    #[test]
    fn methods_are_part_of_a_pattern_and_head_is_get() {
        let pattern = Pattern::parse("GET|PUT /a").expect("a pattern");
        let allowed: Vec<&str> = ["GET", "HEAD", "POST", "PUT", "BREW"]
            .into_iter()
            .filter(|name| {
                let method = Method::from_bytes(name.as_bytes()).expect("a token");
                pattern.methods.includes(Methods::of(&method))
            })
            .collect();
        assert_eq!(allowed, ["GET", "HEAD", "PUT"]);
        let brew = Method::from_bytes(b"BREW").expect("a token");
        assert!(Methods::ALL.includes(Methods::of(&brew)));
    }
}
