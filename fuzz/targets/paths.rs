//! Paths of requests and the patterns of workflows: no spelling of a path gets beside its pattern.
//!
//! Invariant: a normal path has no dot segment, no empty one, no `\`, `;`, NUL or capital letter, and is its own normal
//! path unless it still holds a `%`; what every server forgives (a slash more, a dot segment, a parameter, an escape, a
//! capital) does not change it; and the matcher finds the patterns that a plain reading segment by segment finds.
//!
//! The first line is a path, each other line a pattern.

#![no_main]

use cutover::decide::matcher::Matcher;
use cutover::decide::path::normalise;
use cutover::decide::pattern::Pattern;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (path, patterns) = text.split_once('\n').unwrap_or((text, ""));
    let normal = normalise(path).into_owned();
    check_form(&normal);
    if !normal.contains('%') {
        assert_eq!(normalise(&normal), normal, "of {path:?}");
    }
    for spelled in spellings(path) {
        assert_eq!(normalise(&spelled), normal, "{spelled:?} and {path:?} are one");
    }

    let mut matcher = Matcher::default();
    let mut expected = Vec::new();
    // As many as fit into one walk, whatever they are.
    for (number, line) in patterns.lines().take(4).enumerate() {
        let Ok(pattern) = Pattern::parse(line) else { continue };
        let Some(ways) = ways(line) else { continue };
        matcher.add(&pattern, number);
        let segments: Vec<&str> = normal.split('/').filter(|segment| !segment.is_empty()).collect();
        let is_meant = ways.iter().any(|way| is_way(way, &segments));
        assert_eq!(pattern.matches(&normal), is_meant, "{line:?} and {normal:?}");
        if is_meant {
            expected.push(number);
        }
    }
    let mut found = Vec::new();
    matcher.find(&normal, |end| found.push(end.value));
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, expected, "{patterns:?} and {normal:?}");
});

fn check_form(normal: &str) {
    assert!(normal.starts_with('/') && (normal == "/" || !normal.ends_with('/')), "{normal:?}");
    for segment in normal[1..].split('/').filter(|_| normal != "/") {
        assert!(!matches!(segment, "" | "." | ".."), "{normal:?}");
        assert!(!segment.contains(['\\', ';', '\0']), "{normal:?}");
        assert!(!segment.bytes().any(|byte| byte.is_ascii_uppercase()), "{normal:?}");
    }
}

/// Other ways to write a path, each of which some server takes for the same.
fn spellings(path: &str) -> Vec<String> {
    let mut all = vec![
        format!("/{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/x/..;a=b{path}"),
        format!("/x%2f%2E%2e{path}"),
        format!("{path}/"),
        format!("{path}/."),
        format!("{path}/x/.."),
        path.replace('/', "//"),
        path.replace('/', "/./"),
        path.replace('/', "\\"),
        path.to_ascii_uppercase(),
    ];
    // What is in front stands alone only before a slash, and a parameter ends where the next segment begins.
    if !path.starts_with(['/', '\\']) {
        all.drain(..5);
    }
    all.push(path.split('/').map(|segment| format!("{segment};a=b")).collect::<Vec<_>>().join("/"));
    // Escaped, a path is the same, but for what is an escape already and for what parameters take along.
    if !path.contains(['%', ';']) {
        all.push(path.bytes().map(|byte| format!("%{byte:02x}")).collect());
        all.push(path.bytes().map(|byte| format!("%{byte:02X}")).collect());
        if path.is_ascii() {
            all.push(path.bytes().map(|byte| format!("%u{byte:04x}")).collect());
        }
    }
    all
}

/// A pattern's paths as segments in lower case, if all that it holds is plain: letters, digits, `*` and braces.
fn ways(line: &str) -> Option<Vec<Vec<String>>> {
    let path = line.rsplit(' ').next()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/*{},-.".contains(&byte);
    if !path.bytes().all(is_plain) {
        return None;
    }
    let mut all = vec![path.to_owned()];
    while let Some((open, close)) = all[0].find('{').zip(all[0].find('}')) {
        let one_more = |path: &String| {
            let (before, inside, behind) = (&path[..open], &path[open + 1..close], &path[close + 1..]);
            inside.split(',').map(|choice| format!("{before}{choice}{behind}")).collect::<Vec<_>>()
        };
        // All have the same beginning only until the first choice: so one at a time, and few of them.
        all = if all.len() == 1 { one_more(&all[0]) } else { return None };
    }
    let segments = |path: &String| -> Vec<String> {
        let mut kept: Vec<String> = Vec::new();
        for segment in path.to_ascii_lowercase().split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(kept.pop()),
                other => kept.push(other.to_owned()),
            }
        }
        kept
    };
    Some(all.iter().map(segments).collect())
}

/// Whether a path is one that a pattern stands for, tried in every way.
fn is_way(pattern: &[String], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([first, rest @ ..], _) if first == "**" => {
            is_way(rest, path) || path.split_first().is_some_and(|(_, behind)| is_way(pattern, behind))
        }
        ([first, rest @ ..], [segment, behind @ ..]) => {
            is_part(first.as_bytes(), segment.as_bytes()) && is_way(rest, behind)
        }
        ([], _) | (_, []) => false,
    }
}

/// Whether a segment is what its pattern says; `*` alone is one segment, which is never empty.
fn is_part(pattern: &[u8], segment: &[u8]) -> bool {
    match pattern.split_first() {
        None => segment.is_empty(),
        Some((b'*', rest)) => (0..=segment.len()).any(|at| is_part(rest, &segment[at..])),
        Some((first, rest)) => {
            segment.split_first().is_some_and(|(byte, behind)| first == byte && is_part(rest, behind))
        }
    }
}
