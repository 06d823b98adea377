//! Whose certificate a client is shown: by the name that it asks for in its handshake (SNI, RFC 6066 3).

use std::collections::HashMap;

/// What is shown, by the names that it is for. Things that are for the same name stand side by side: certificates with
/// other kinds of key.
#[derive(Clone, Debug)]
pub struct Names<T> {
    exact: HashMap<String, Vec<T>>,
    /// By the domain behind `*.`, which stands for one label (RFC 6125 6.4.3).
    wildcard: HashMap<String, Vec<T>>,
    /// For who asks for a name that none has, or for none: the first, and those that share the first of its names.
    default: Vec<T>,
}

impl<T: Clone> Names<T> {
    /// Of things and their names, which are in lower case and may begin with `*.`.
    pub fn new<'n>(shown: impl IntoIterator<Item = (&'n [String], T)>) -> Self {
        let mut names = Self { exact: HashMap::new(), wildcard: HashMap::new(), default: Vec::new() };
        let mut first_name = None;
        for (its_names, thing) in shown {
            if *first_name.get_or_insert(its_names.first()) == its_names.first() {
                names.default.push(thing.clone());
            }
            for name in its_names {
                let (by_name, name) = match name.strip_prefix("*.") {
                    Some(domain) => (&mut names.wildcard, domain),
                    None => (&mut names.exact, name.as_str()),
                };
                by_name.entry(name.to_owned()).or_default().push(thing.clone());
            }
        }
        names
    }

    /// The candidates for a name in any case, with or without a point at its end: those that are for it, else those of one
    /// wildcard, else the default. Empty only where nothing is shown at all.
    pub fn find(&self, name: Option<&str>) -> &[T] {
        let found = name.and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            let by_wildcard = || self.wildcard.get(name.split_once('.')?.1);
            self.exact.get(&name).or_else(by_wildcard)
        });
        found.unwrap_or(&self.default)
    }

    /// Every name that something is for, without the `*.` of wildcards.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().chain(self.wildcard.keys()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&[&str]]) -> Names<usize> {
        let owned: Vec<Vec<String>> =
            all.iter().map(|names| names.iter().map(ToString::to_string).collect()).collect();
        Names::new(owned.iter().enumerate().map(|(number, names)| (&names[..], number)))
    }

    #[test]
    fn a_certificate_is_found_by_its_name_then_by_one_wildcard_label_then_it_is_the_first() {
        let names = names(&[&["a.example"], &["*.b.example"], &["x.b.example"]]);
        for (asked, found) in [
            (Some("a.example"), 0),
            (Some("A.EXAMPLE."), 0),
            (Some("y.b.example"), 1),
            (Some("x.b.example"), 2),
            (Some("z.y.b.example"), 0),
            (Some("b.example"), 0),
            (Some("unknown"), 0),
            (Some(""), 0),
            (None, 0),
        ] {
            assert_eq!(names.find(asked), [found], "{asked:?}");
        }
    }

    #[test]
    fn those_of_one_name_stand_side_by_side_and_so_do_those_of_the_default() {
        let names = names(&[&["a.example"], &["b.example", "a.example"], &["a.example", "c.example"]]);
        assert_eq!(names.find(Some("a.example")), [0, 1, 2]);
        assert_eq!(names.find(Some("c.example")), [2]);
        assert_eq!(names.find(None), [0, 2], "the first, and what is called as it is");
    }
}
