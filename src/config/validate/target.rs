//! The rules of targets, and the reading of their subjects.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::config::files::{Content, Digest};
use crate::config::model::{Proof, SubjectList};
use crate::config::problems::excerpt;
use crate::config::raw::{RawHeader, RawTarget, Texts};
use crate::config::reader::Written;
use crate::config::validate::{Context, shown};
use crate::decide::engine::Engine;
use crate::decide::subject::KeySource;
use crate::decide::target::{HeaderTarget, Subjects, Target};

/// What the targets of one app need to know of it.
pub(super) struct Setting<'s> {
    pub(super) keys: &'s [KeySource],
    /// Who can prove who a user is.
    pub(super) proof: Proof,
}

pub(super) fn targets(
    context: &mut Context<'_, '_>,
    raw: Vec<RawTarget>,
    setting: &Setting<'_>,
) -> (Vec<Target>, Vec<SubjectList>) {
    let mut first: HashMap<String, String> = HashMap::new();
    let mut targets = Vec::new();
    for raw in raw {
        if let Some(name) = &raw.name {
            if name.value.trim().is_empty() {
                context.error(&name.at, "the name is empty", "`explain` and the logs use it");
            } else if let Some(first) = first.get(&name.value) {
                let message = format!("{} is the name of two targets", excerpt(&name.value));
                context.error(&name.at, message, format!("{first} is the first"));
            }
            first.entry(name.value.clone()).or_insert_with(|| name.at.key.clone());
        }
        targets.extend(target(context, raw, setting));
    }
    targets.into_iter().unzip()
}

fn target(
    context: &mut Context<'_, '_>,
    raw: RawTarget,
    setting: &Setting<'_>,
) -> Option<(Target, SubjectList)> {
    let RawTarget { at, name, engine, subjects, subjects_file, networks, header, claimed } = raw;
    let lists = [&subjects, &networks];
    let names_somebody = lists.iter().any(|list| list.as_ref().is_some_and(|list| !list.is_empty()));
    if !names_somebody && subjects_file.is_none() && header.is_none() {
        let hint = "add `subjects`, `subjects_file`, `networks` or `header`";
        context.problems.missing(&at, "this target names nobody", hint);
    }
    let claimed = context.flag(&claimed, false);

    let place =
        subjects.as_ref().map(|list| &list.at).or(subjects_file.as_ref().map(|file| &file.at)).cloned();
    if let Some(place) = &place
        && !subjects_can_match(setting.keys, claimed, setting.proof)
    {
        let hint = why_not(setting, claimed);
        context.problems.warning(place, "these subjects can never match", hint);
    }
    if let Some(RawHeader { name: Some(name), value: _ }) = &header
        && !claimed
        && !setting.proof.proxies
    {
        let hint = "list the proxies that set this header in trust.proxies, or write claimed = true";
        context.problems.warning(&name.at, "this header can never match: nobody is trusted to set it", hint);
    }

    let inline = self::inline(context, &subjects);
    let set = self::read(context, &inline, subjects_file.as_ref());
    let networks = context.networks(&networks);
    let header = header.and_then(|raw| self::header(context, raw));
    let engines = Engine::BOTH.map(|engine| (engine.as_str(), engine));
    let engine = context.choice(&engine, &engines, Engine::Classic);
    let file = subjects_file.map(|file| context.path(&file.value));
    let target = Target { name: name?.value, engine, claimed, subjects: set?, networks, header };
    Some((target, SubjectList { inline, file }))
}

/// Whether a list of subjects can name anybody: some key must exist whose finding is believed.
pub(in crate::config) fn subjects_can_match(keys: &[KeySource], claimed: bool, proof: Proof) -> bool {
    keys.iter().any(|key| match key {
        KeySource::Header(_) => proof.proxies,
        KeySource::ClientCert(_) => proof.certificates,
        KeySource::Cookie(_) | KeySource::Query(_) | KeySource::Jwt(_) => claimed,
        KeySource::Device => false,
    })
}

fn why_not(setting: &Setting<'_>, claimed: bool) -> &'static str {
    let has_header = setting.keys.iter().any(|key| matches!(key, KeySource::Header(_)));
    let has_certificate = setting.keys.iter().any(|key| matches!(key, KeySource::ClientCert(_)));
    let has_claimed = setting.keys.iter().any(|key| key.kind().is_claimed());
    if has_claimed && !claimed {
        "the app's keys are claimed by clients; write claimed = true to believe them here"
    } else if has_header {
        "the app's key is a header, and trust.proxies is empty"
    } else if has_certificate {
        "the app's key is in a client's certificate, and no listener has a client_ca"
    } else {
        "the app's only key is `device`, which names no subject; add one such as \"cookie:uid\" to `keys`"
    }
}

fn inline(context: &Context<'_, '_>, subjects: &Texts) -> Vec<String> {
    let items = subjects.iter().flat_map(|list| &list.items);
    items
        .filter_map(|item| {
            if item.value.trim().is_empty() {
                context.error(&item.at, "the subject is empty", "an empty key is an absent key");
                return None;
            }
            Some(item.value.clone())
        })
        .collect()
}

/// The set of a target's subjects; the one of the last reading, if nothing it was made of has changed.
fn read(
    context: &mut Context<'_, '_>,
    inline: &[String],
    file: Option<&Written<String>>,
) -> Option<Arc<Subjects>> {
    let Some(file) = file else {
        return Subjects::read(inline.iter().map(String::as_str)).map(Arc::new);
    };
    let (bytes, content) = context.reading.read(file, Content::Public, context.problems)?;
    let parts = inline.iter().map(String::as_bytes);
    let digest = Digest::of_parts(std::iter::once(&content.as_bytes()[..]).chain(parts));
    if let Some(set) = context.reading.known_set(&digest) {
        context.reading.sets.insert(digest, set.clone());
        return Some(set);
    }
    let path = shown(&context.path(&file.value));
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let line = memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count() + 1;
            context.error(&file.at, format!("line {line} of {path} is not UTF-8"), "save the file as UTF-8");
            return None;
        }
    };
    let set = Subjects::read(text.lines().chain(inline.iter().map(String::as_str))).map(Arc::new);
    match &set {
        Some(set) => {
            context.reading.sets.insert(digest, set.clone());
        }
        None => context.error(&file.at, format!("{path} holds more than 4 GiB of subjects"), ""),
    }
    set
}

fn header(context: &Context<'_, '_>, raw: RawHeader) -> Option<HeaderTarget> {
    let RawHeader { name, value } = raw;
    let name = name.and_then(|name| {
        let parsed = HeaderName::from_bytes(name.value.as_bytes()).ok();
        if parsed.is_none() {
            let message = format!("{} is no header name", excerpt(&name.value));
            context.error(&name.at, message, "letters, digits and `-`");
        }
        parsed
    });
    let value = value.and_then(|value| {
        let refusal = if value.value.is_empty() {
            "the value is empty"
        } else if value.value.trim_matches([' ', '\t']) != value.value {
            "the value begins or ends with white space, and no header that arrives does"
        } else if HeaderValue::from_bytes(value.value.as_bytes()).is_err() {
            "the value holds control characters, and no header that arrives does"
        } else {
            return Some(value.value);
        };
        context.error(&value.at, refusal, "write the whole value as it arrives");
        None
    });
    Some(HeaderTarget { name: name?, value: value? })
}
