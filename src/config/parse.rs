//! One text, and the files it names, to a configuration: syntax, then keys and types, then rules.
//!
//! Pure: files come through [`Files`], so that tests and fuzzers need no disk.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::config::files::{Asked, Content, Digest, Files, Reading, SubjectSets};
use crate::config::model::Config;
use crate::config::problem::Problem;
use crate::config::problems::Problems;
use crate::config::{raw, validate};

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Arc<Config>,
    /// What it probably does not mean to say.
    pub warnings: Vec<Problem>,
    /// Of the content of every file: a reload that finds the same one has nothing to do.
    pub digest: Digest,
    /// Sixteen hexadecimal digits over what is no secret, the text and the subjects: fit for a metric.
    pub hash: String,
    /// Every file to watch, the configuration first.
    pub files: Vec<PathBuf>,
    /// How the file was named.
    pub name: String,
    /// The text, for tools that edit it.
    pub text: Arc<str>,
    pub(super) sets: SubjectSets,
}

/// A configuration that cannot be used. Displays every problem.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// What blocks; never empty.
    pub problems: Vec<Problem>,
    /// What else was found.
    pub warnings: Vec<Problem>,
    /// Every file to watch all the same, also those that are missing, the configuration first.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().chain(&self.warnings).enumerate() {
            let separator = if index == 0 { "" } else { "\n\n" };
            write!(formatter, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejected {}

/// Reads a configuration from a text. `name` is what the file is called: relative paths start at its folder.
pub fn parse(text: &str, name: &str, files: &impl Files) -> Result<Loaded, Rejected> {
    parse_after(text, Path::new(name), files, None)
}

/// Like [`parse`], keeping the sets of subjects that `previous` already holds.
pub(super) fn parse_after(
    text: &str,
    path: &Path,
    files: &dyn Files,
    previous: Option<&Loaded>,
) -> Result<Loaded, Rejected> {
    let name = path.display().to_string();
    // Some editors begin a file with a byte order mark; no column should count it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        let hint = "a listener and one app with its two engines are the least there can be";
        return Err(Rejected::whole(path, &name, "the file is empty", hint));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut reading = Reading::new(folder, files, previous.map(|previous| &previous.sets));
    let problems = Problems::default();
    let config = read(text, &problems, &mut reading);

    let Reading { asked, sets, .. } = reading;
    let mut watched = vec![path.to_owned()];
    for asked in &asked {
        if !watched.contains(&asked.path) {
            watched.push(asked.path.clone());
        }
    }
    let is_sound = !problems.has_errors();
    let (errors, warnings) = problems.into_sorted(&name, text);
    match config {
        Some(config) if is_sound => Ok(Loaded {
            config: Arc::new(config),
            warnings,
            digest: digest(text, asked.iter()),
            hash: digest(text, asked.iter().filter(|asked| asked.content == Content::Public)).to_string()
                [..16]
                .to_owned(),
            files: watched,
            name,
            text: text.into(),
            sets,
        }),
        Some(_) | None => Err(Rejected { problems: errors, warnings, files: watched }),
    }
}

impl Rejected {
    /// A file of which nothing can be said in particular.
    pub(super) fn whole(path: &Path, name: &str, message: impl Into<String>, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then_some(hint);
        Self {
            problems: vec![Problem::of_file(name, message, hint)],
            warnings: Vec::new(),
            files: vec![path.to_owned()],
        }
    }
}

fn read(text: &str, problems: &Problems, reading: &mut Reading<'_>) -> Option<Config> {
    let (document, errors) = DeTable::parse_recoverable(text);
    syntax(errors, problems);
    // What is written for a newer program is full of things that we do not know: only that much is told.
    let newer = Problems::default();
    let raw = raw::read(document.get_ref(), problems);
    if validate::is_for_a_newer_program(&raw.schema, &newer) {
        problems.replace(newer);
        return None;
    }
    validate::validate(raw, problems, reading)
}

/// The parser's findings in our words.
fn syntax(mut errors: Vec<toml::de::Error>, problems: &Problems) {
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    // Behind an array that nobody closes every line is a mistake, and only the first of them is one.
    let is_of_array = |error: &toml::de::Error| error.message().contains("array");
    let first_of_array = errors.iter().position(is_of_array);
    if let Some(first) = first_of_array
        && errors.iter().any(|error| error.message().starts_with("unclosed array"))
    {
        errors.truncate(first + 1);
        let span = errors.pop().and_then(|error| error.span()).unwrap_or(0..0);
        problems.syntax(span, "unclosed array", "the `]` of the array before this is missing");
    }
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // The parser says what it expected behind a comma; here that is the hint.
        let (message, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
        let (message, hint) = match (message, expected) {
            ("string values must be quoted", _) if span.is_empty() => ("the value is missing", String::new()),
            ("string values must be quoted", _) => (message, "write the value in double quotes".to_owned()),
            (_, "" | "nothing") => (message, String::new()),
            (_, expected) => (message, format!("expected {expected}")),
        };
        problems.syntax(span, message, hint);
    }
}

fn digest<'a>(text: &str, asked: impl Iterator<Item = &'a Asked>) -> Digest {
    let files = asked.flat_map(|asked| {
        let content = asked.digest.as_ref().map_or(&[][..], |digest| digest.as_bytes());
        [asked.path.as_os_str().as_encoded_bytes(), content]
    });
    Digest::of_parts(std::iter::once(text.as_bytes()).chain(files))
}
