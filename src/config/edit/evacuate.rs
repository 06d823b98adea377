//! Adds an order to a text, in place: into the list where one is written, as a line of the app's table where not.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::config::edit::{EditError, Splice, added, find_app, newline_of, syntax};
use crate::config::print;
use crate::decide::evacuate::Order;

/// The key that holds orders.
const KEY: &str = "evacuate";

/// The text with one more order for an app.
pub fn add_order(text: &str, app: &str, order: &Order) -> Result<String, EditError> {
    let document = DeTable::parse(text).map_err(|error| syntax(text, &error))?;
    let found = find_app(document.get_ref(), app)?;
    let written = print::order(order);
    let edited = match found.get_ref().get(KEY) {
        None => added(text, found, &format!("{KEY} = [{written}]")).and_then(|splice| splice.apply(text)),
        Some(list) => list.get_ref().as_array().and_then(|array| into_list(text, list, array, app, order)),
    };
    let unsupported = || EditError::Unsupported { key: KEY, app: app.to_owned() };
    let edited = edited.ok_or_else(unsupported)?;
    if is_only_addition(text, &edited, app, &written) { Ok(edited) } else { Err(unsupported()) }
}

/// The lines that an edit adds or changes, as they are afterwards, and the number of the first, from 1.
pub fn changed_lines<'e>(before: &str, after: &'e str) -> (usize, Vec<&'e str>) {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let first = old.iter().zip(&new).take_while(same).count();
    let rest = old.len().min(new.len()) - first;
    let last = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
    (first + 1, new[first..new.len() - last].to_vec())
}

fn into_list(
    text: &str,
    list: &Spanned<DeValue<'_>>,
    array: &DeArray<'_>,
    app: &str,
    order: &Order,
) -> Option<String> {
    let written = print::order(order);
    let newline = newline_of(text);
    let span = list.span();
    let is_inline = text.get(span.clone())?.starts_with('[') && text.get(span.clone())?.ends_with(']');
    let is_header = array.iter().any(|item| text.get(item.span()).is_some_and(|item| item.starts_with("[[")));
    if is_header || !is_inline {
        // Written as [[apps.NAME.evacuate]]: another one may stand anywhere, so also at the end.
        let end = if text.ends_with('\n') { "" } else { newline };
        let lines = print::order_lines(order).join(newline);
        return Some(format!("{text}{end}{newline}[[apps.{app}.{KEY}]]{newline}{lines}{newline}"));
    }
    let close = span.end - 1;
    let insert = |at: usize, with: String| Splice { span: at..at, with };
    let Some(last) = array.iter().map(Spanned::span).max_by_key(|span| span.end) else {
        let inside = text.get(span.start + 1..close)?;
        if inside.trim().is_empty() {
            return Splice { span, with: format!("[{written}]") }.apply(text);
        }
        // Only comments are in it, and each ends its line.
        let line = text.get(..close)?.rfind('\n')? + 1;
        return insert(line, format!("  {written},{newline}")).apply(text);
    };
    let comma = last.end + comma_in(text.get(last.end..close)?).unwrap_or(0);
    let has_comma = comma > last.end;
    match text.get(comma..close)?.find('\n') {
        // On lines of their own, and the last one may have a comment behind it.
        Some(end) => {
            let start = text.get(..last.start)?.rfind('\n').map_or(0, |newline| newline + 1);
            let lead = text.get(start..last.start)?;
            let indent = &lead[..lead.len() - lead.trim_start().len()];
            let edited = insert(comma + end + 1, format!("{indent}{written},{newline}")).apply(text)?;
            if has_comma { Some(edited) } else { insert(last.end, ",".to_owned()).apply(&edited) }
        }
        None if has_comma => insert(comma, format!(" {written}")).apply(text),
        None => insert(last.end, format!(", {written}")).apply(text),
    }
}

/// Where the comma ends that stands behind an item; what comments say is no comma.
fn comma_in(rest: &str) -> Option<usize> {
    let mut in_comment = false;
    for (at, letter) in rest.char_indices() {
        match letter {
            '\n' => in_comment = false,
            '#' => in_comment = true,
            ',' if !in_comment => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The proof: both texts say the same, but for this order behind all others.
fn is_only_addition(before: &str, after: &str, app: &str, written: &str) -> bool {
    let (Ok(before), Ok(mut after)) = (before.parse::<toml::Table>(), after.parse::<toml::Table>()) else {
        return false;
    };
    let Ok(order) = format!("order = {written}").parse::<toml::Table>() else { return false };
    let apps = |document: &mut toml::Table| -> Option<toml::Value> {
        let app = document.get_mut("apps")?.get_mut(app)?.as_table_mut()?;
        let list = app.get_mut(KEY)?.as_array_mut()?;
        let last = list.pop();
        if list.is_empty() {
            app.remove(KEY);
        }
        last
    };
    let last = apps(&mut after);
    let mut before = before;
    if let Some(app) = before.get_mut("apps").and_then(|apps| apps.get_mut(app)?.as_table_mut())
        && app.get(KEY).and_then(toml::Value::as_array).is_some_and(Vec::is_empty)
    {
        app.remove(KEY);
    }
    // Compared as printed: a NaN elsewhere in the file is the same NaN.
    last.as_ref() == order.get("order") && format!("{before:?}") == format!("{after:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::engine::Engine;
    use crate::decide::evacuate::SignOut;

    const NEW: &str = "{ engine = \"identity\", at = 2026-12-03T10:00:00Z, sign_out = \"/logout\" }";
    const OLD: &str = "{ engine = \"classic\", at = 2026-11-01T00:00:00+01:00 }";

    fn order() -> Order {
        let sign_out = SignOut::parse("/logout").ok();
        Order { engine: Engine::Identity, at: 1_796_292_000, sign_out }
    }

    #[track_caller]
    fn check(before: &str, after: &str) {
        let expand = |text: &str| text.replace("NEW", NEW).replace("OLD", OLD);
        assert_eq!(add_order(&expand(before), "portal", &order()).as_deref(), Ok(&*expand(after)));
    }

    #[test]
    fn the_first_order_is_a_line_of_the_apps_table() {
        check("[apps.portal] # c\r\nx=1", "[apps.portal] # c\r\nevacuate = [NEW]\r\nx=1");
        check("apps.portal = { x = 1 }", "apps.portal = { evacuate = [NEW], x = 1 }");
        check("[apps]\nportal.x = 1\n", "[apps]\nportal.evacuate = [NEW]\nportal.x = 1\n");
        check(
            "a=1\n[apps.portal.classic]\nx=1\n",
            "a=1\n[apps.portal]\nevacuate = [NEW]\n\n[apps.portal.classic]\nx=1\n",
        );
    }

    #[test]
    fn another_order_stands_behind_the_others_and_comments_stay_with_theirs() {
        for (before, after) in [
            ("[]", "[NEW]"),
            ("[ ]  # none yet", "[NEW]  # none yet"),
            ("[\n  # none yet\n]", "[\n  # none yet\n  NEW,\n]"),
            ("[OLD]", "[OLD, NEW]"),
            ("[ OLD, ]", "[ OLD, NEW ]"),
            ("[\n  OLD, # why, then\n]", "[\n  OLD, # why, then\n  NEW,\n]"),
            ("[\r\n  OLD # why, then\r\n]", "[\r\n  OLD, # why, then\r\n  NEW,\r\n]"),
            ("[\n\tOLD\n\t, # odd\n]", "[\n\tOLD\n\t, # odd\n\tNEW,\n]"),
        ] {
            let text = |list: &str| format!("[apps.portal]\nevacuate = {list}\nx = 1\n");
            check(&text(before), &text(after));
        }
        check("apps.portal = { evacuate = [OLD], x = 1 }", "apps.portal = { evacuate = [OLD, NEW], x = 1 }");
        check(
            "[apps.portal]\n[[apps.portal.evacuate]]\nengine = 'classic'\nat = 2026-11-01T00:00:00Z\n[apps.shop]\n",
            "[apps.portal]\n[[apps.portal.evacuate]]\nengine = 'classic'\nat = 2026-11-01T00:00:00Z\n[apps.shop]\n\
             \n[[apps.portal.evacuate]]\nengine = \"identity\"\nat = 2026-12-03T10:00:00Z\nsign_out = \"/logout\"\n",
        );
    }

    #[test]
    fn what_cannot_be_edited_says_why() {
        let error = add_order("[apps.portal]\n", "protal", &order()).expect_err("no such app");
        assert_eq!(error.hint(), Some("did you mean `portal`?"));
        let error = add_order("[apps.portal]\nevacuate = 1\n", "portal", &order()).expect_err("no list");
        assert_eq!(
            error.to_string(),
            "the evacuate of portal is written in a way that cannot be changed in place"
        );
    }

    #[test]
    fn the_lines_that_change_are_told_with_their_place() {
        let text = |list: &str| format!("a = 1\n{list}b = 2\nb = 2\n");
        assert_eq!(changed_lines(&text(""), &text("b = 2\n")), (4, vec!["b = 2"]));
        assert_eq!(changed_lines(&text(""), &text("x\ny\n")), (2, vec!["x", "y"]));
        assert_eq!(changed_lines(&text("x\n"), &text("y\n")), (2, vec!["y"]));
        assert_eq!(changed_lines("", "x\n"), (1, vec!["x"]));
    }
}
