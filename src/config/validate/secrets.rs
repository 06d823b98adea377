//! The files that hold secrets. Their content never gets into a message; a line number does.

use crate::config::files::Content;
use crate::config::reader::Written;
use crate::config::secret::Secret;
use crate::config::validate::{Context, shown};
use crate::decide::ticket::SigningKey;

/// The admin token.
pub(super) fn token(context: &mut Context<'_, '_>, file: &Written<String>) -> Option<Secret> {
    let text = read(context, file)?;
    let path = shown(&context.path(&file.value));
    if text.trim().contains(char::is_control) {
        context.error(&file.at, format!("{path} holds more than one line"), "a token is one line");
        return None;
    }
    let token = Secret::new(&text);
    if token.is_none() {
        context.error(&file.at, format!("{path} holds no token"), "an empty token would let everybody in");
    }
    token
}

/// The keys of a key file, the signing one first.
pub(super) fn signing_keys(context: &mut Context<'_, '_>, file: &Written<String>) -> Option<Vec<SigningKey>> {
    let text = read(context, file)?;
    let path = shown(&context.path(&file.value));
    let mut keys = Vec::new();
    let mut is_whole = true;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match SigningKey::from_base64(line) {
            Some(key) => keys.push(key),
            None => {
                is_whole = false;
                context.error(
                    &file.at,
                    format!("line {} of {path} is no key", index + 1),
                    "a key is 32 bytes or more in base64, one per line; `cutover keygen` prints one",
                );
            }
        }
    }
    if keys.is_empty() && is_whole {
        context.error(&file.at, format!("{path} holds no key"), "`cutover keygen` prints one");
    }
    Some(keys)
}

fn read(context: &mut Context<'_, '_>, file: &Written<String>) -> Option<String> {
    let (bytes, _) = context.reading.read(file, Content::Secret, context.problems)?;
    match String::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(_) => {
            let path = shown(&context.path(&file.value));
            context.error(&file.at, format!("{path} is no text"), "the content must be UTF-8");
            None
        }
    }
}
