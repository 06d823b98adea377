//! Reads a TOML table key by key, and carries on after a mistake, so that one look finds all of them.
//!
//! Every accessor remembers the key that it knows; [`TableReader::finish`] reports the keys that nobody asked
//! for. Knows TOML, and nothing about what the keys mean.

use toml::de::{DeArray, DeTable, DeValue};

use crate::config::problems::{At, Problems, cut, excerpt, nearest};

type Spanned<T> = toml::Spanned<T>;

/// Something the user wrote, and where.
#[derive(Clone, Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// An item of an array that holds strings and tables.
pub(super) type TextOrTable<'r> = Result<TableReader<'r>, Written<String>>;

/// An array that the user wrote, without the items that are of no use.
#[derive(Clone, Debug)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// How many items are written, whatever their type: an array of mistakes is no empty array.
    written: usize,
    pub(super) at: At,
}

impl<T> List<T> {
    /// Whether nothing is written between the brackets.
    pub(super) fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// The list with something made of each item.
    pub(super) fn map<U>(self, make: impl FnMut(T) -> U) -> List<U> {
        let Self { items, written, at } = self;
        List { items: items.into_iter().map(make).collect(), written, at }
    }
}

/// One table, being read.
pub(super) struct TableReader<'r> {
    table: &'r DeTable<'r>,
    at: At,
    known: Vec<&'static str>,
    problems: &'r Problems,
}

impl<'r> TableReader<'r> {
    /// The whole document.
    pub(super) fn root(table: &'r DeTable<'r>, problems: &'r Problems) -> Self {
        Self::new(table, At::default(), problems)
    }

    fn new(table: &'r DeTable<'r>, at: At, problems: &'r Problems) -> Self {
        Self { table, at, known: Vec::new(), problems }
    }

    /// Where this table is.
    pub(super) fn at(&self) -> &At {
        &self.at
    }

    /// Reports a key that is not there, although nothing can stand in for it.
    pub(super) fn require(&self, key: &str, hint: &str) {
        if !self.table.contains_key(key) {
            let at = At { key: path(&self.at.key, key), span: self.at.span.clone() };
            self.problems.missing(&at, format!("`{key}` is missing"), hint);
        }
    }

    /// A string. `what` says what it holds, for the message about anything else.
    pub(super) fn text(&mut self, key: &'static str, what: &str) -> Option<Written<String>> {
        let (value, at) = self.value(key)?;
        self.text_of(value, at, what)
    }

    /// A string or a number, as it is written: what it means is for `units` to say.
    pub(super) fn quantity(&mut self, key: &'static str, what: &str) -> Option<Written<String>> {
        let (value, at) = self.value(key)?;
        let text = match value {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Integer(integer) => integer.to_string(),
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return self.mismatch(&at, what, value);
            }
        };
        Some(Written { value: text, at })
    }

    /// A whole number. One that is beyond everything is as good as the largest there is.
    pub(super) fn integer(&mut self, key: &'static str) -> Option<Written<i128>> {
        let (value, at) = self.value(key)?;
        let DeValue::Integer(integer) = value else {
            return self.mismatch(&at, "a whole number", value);
        };
        let beyond = if integer.as_str().starts_with('-') { i128::MIN } else { i128::MAX };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(beyond);
        Some(Written { value: number, at })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<Written<bool>> {
        let (value, at) = self.value(key)?;
        let DeValue::Boolean(flag) = value else {
            return self.mismatch(&at, "true or false", value);
        };
        Some(Written { value: *flag, at })
    }

    /// `true`, `false` or a string.
    pub(super) fn flag_or_text(
        &mut self,
        key: &'static str,
        what: &str,
    ) -> Option<Written<Result<bool, String>>> {
        let (value, at) = self.value(key)?;
        if let DeValue::Boolean(flag) = value {
            return Some(Written { value: Ok(*flag), at });
        }
        self.text_of(value, at, what).map(|Written { value, at }| Written { value: Err(value), at })
    }

    /// An array of strings; items of another type are reported and left out.
    pub(super) fn texts(&mut self, key: &'static str, what: &str) -> Option<List<Written<String>>> {
        let (array, at) = self.array(key, what)?;
        let texts = items(array, &at).filter_map(|(value, at)| self.text_of(value, at, "a string")).collect();
        Some(List { items: texts, written: array.len(), at })
    }

    /// A string, or an array of strings.
    pub(super) fn text_or_texts(&mut self, key: &'static str, what: &str) -> Option<List<Written<String>>> {
        let (value, at) = self.value(key)?;
        match value {
            DeValue::Array(array) => {
                let texts = items(array, &at).filter_map(|(value, at)| self.text_of(value, at, "a string"));
                Some(List { items: texts.collect(), written: array.len(), at })
            }
            _ => self.text_of(value, at.clone(), what).map(|text| List { items: vec![text], written: 1, at }),
        }
    }

    /// A date with a time and an offset.
    pub(super) fn date(&mut self, key: &'static str) -> Option<Written<toml::value::Datetime>> {
        let (value, at) = self.value(key)?;
        let DeValue::Datetime(date) = value else {
            return self.mismatch(&at, "a date such as 2027-03-01T00:00:00Z", value);
        };
        Some(Written { value: *date, at })
    }

    /// A table; without one, `None`.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Self> {
        let (value, at) = self.value(key)?;
        let DeValue::Table(table) = value else {
            return self.mismatch(&at, "a table", value);
        };
        Some(Self::new(table, at, self.problems))
    }

    /// An array of tables. `hint` shows how to write one.
    pub(super) fn tables(&mut self, key: &'static str, hint: &str) -> Option<List<Self>> {
        let (value, at) = self.value(key)?;
        let DeValue::Array(array) = value else {
            self.problems.error(&at, expected("an array of tables", value), hint);
            return None;
        };
        let mut tables = Vec::new();
        for (value, at) in items(array, &at) {
            match value {
                DeValue::Table(table) => tables.push(Self::new(table, at, self.problems)),
                other => self.problems.error(&at, expected("a table", other), hint),
            }
        }
        Some(List { items: tables, written: array.len(), at })
    }

    /// An array whose items are strings or tables.
    pub(super) fn texts_or_tables(&mut self, key: &'static str, what: &str) -> Option<List<TextOrTable<'r>>> {
        let (array, at) = self.array(key, what)?;
        let mut found = Vec::new();
        for (value, at) in items(array, &at) {
            match value {
                DeValue::Table(table) => found.push(Ok(Self::new(table, at, self.problems))),
                DeValue::String(text) => found.push(Err(Written { value: text.clone().into_owned(), at })),
                other => self.problems.error(&at, expected("a string or a table", other), ""),
            }
        }
        Some(List { items: found, written: array.len(), at })
    }

    /// All entries of a table whose keys are names that the user gave, in the order of the text.
    pub(super) fn named_tables(
        &mut self,
        key: &'static str,
        hint: &str,
    ) -> Option<List<(Written<String>, Self)>> {
        let table = self.table(key)?;
        let mut entries: Vec<_> = table.table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let mut named = Vec::new();
        for (name, value) in entries {
            let at = At { key: path(&table.at.key, name.get_ref()), span: value.span() };
            match value.get_ref() {
                DeValue::Table(found) => {
                    let name_at = At { key: at.key.clone(), span: name.span() };
                    let name = Written { value: name.get_ref().clone().into_owned(), at: name_at };
                    named.push((name, Self::new(found, at, self.problems)));
                }
                other => self.problems.error(&at, expected("a table", other), hint),
            }
        }
        Some(List { items: named, written: table.table.len(), at: table.at })
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for (key, value) in self.table {
            if self.known.iter().any(|known| *known == key.get_ref().as_ref()) {
                continue;
            }
            let at = At { key: path(&self.at.key, key.get_ref()), span: key.span() };
            let hint = match nearest(key.get_ref(), self.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the keys here are {}", self.known.join(", ")),
            };
            let message = format!("unknown key {}", excerpt(key.get_ref()));
            // A key that we do not know may well be a password somebody hoped we would take.
            let is_value = !matches!(value.get_ref(), DeValue::Table(_));
            if is_value && ["token", "secret", "pass", "key"].iter().any(|word| key.get_ref().contains(word))
            {
                self.problems.hidden_error(&at, message, hint);
            } else {
                self.problems.error(&at, message, hint);
            }
        }
    }

    fn value(&mut self, key: &'static str) -> Option<(&'r DeValue<'r>, At)> {
        self.known.push(key);
        let value = self.table.get(key)?;
        Some((value.get_ref(), At { key: path(&self.at.key, key), span: value.span() }))
    }

    fn array(&mut self, key: &'static str, what: &str) -> Option<(&'r DeArray<'r>, At)> {
        let (value, at) = self.value(key)?;
        match value {
            DeValue::Array(array) => Some((array, at)),
            other => self.mismatch(&at, what, other),
        }
    }

    fn text_of(&self, value: &DeValue<'_>, at: At, what: &str) -> Option<Written<String>> {
        match value {
            DeValue::String(text) => Some(Written { value: text.clone().into_owned(), at }),
            other => self.mismatch(&at, what, other),
        }
    }

    fn mismatch<T>(&self, at: &At, what: &str, found: &DeValue<'_>) -> Option<T> {
        self.problems.error(at, expected(what, found), "");
        None
    }
}

fn items<'r>(array: &'r DeArray<'r>, at: &At) -> impl Iterator<Item = (&'r DeValue<'r>, At)> {
    array.iter().enumerate().map(move |(index, item): (usize, &'r Spanned<DeValue<'r>>)| {
        (item.get_ref(), At { key: format!("{}[{index}]", at.key), span: item.span() })
    })
}

fn expected(what: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    format!("expected {what}, found {found}")
}

/// A key path as TOML writes it: names that are not bare are quoted.
pub(super) fn path(parent: &str, key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let key = if is_bare && key.len() <= 64 { key.to_owned() } else { format!("\"{}\"", cut(key)) };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}
