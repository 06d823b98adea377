//! What an engine remembers and the other one does not: sessions, transactions, and what it has handed out.
//!
//! That is the point of the demo: whoever is moved in the middle arrives where nobody knows them. There is no clock
//! here; old entries go when newer ones need their place.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use http::HeaderMap;

use crate::ambient;
use crate::decide::engine::Engine;
use crate::demo::transaction::{Journey, Refusal, Step, Transaction, Which};
use crate::demo::visitor::{SESSION_COOKIE, anonymous_cookie, cookie};

/// How many entries of each kind an engine remembers.
const MOST: usize = 10_000;

pub(super) type Shared = State<Arc<Instance>>;

/// What all requests to one engine share.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) engine: Engine,
    /// Never held across an await.
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Session → name.
    sessions: Bounded<String>,
    /// Anonymous session → the transaction of each journey that it used last.
    browsers: Bounded<[Option<String>; 3]>,
    transactions: Bounded<Transaction>,
    /// The token of Classic's recovery mail → name. Good on any device.
    mails: Bounded<String>,
}

impl Instance {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Each map is whole between any two calls: a panic elsewhere does not spoil them.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a transaction for this browser, and an anonymous session if it has none; that session's id.
    pub(super) fn begin(&self, headers: &HeaderMap, journey: Journey) -> (Transaction, String) {
        let mut memory = self.memory();
        let known = cookie(headers, anonymous_cookie(self.engine))
            .filter(|browser| memory.browsers.values.contains_key(browser));
        let browser = known.unwrap_or_else(|| {
            let fresh = random();
            memory.browsers.insert(fresh.clone(), Default::default());
            fresh
        });
        let transaction = Transaction {
            id: random(),
            browser: browser.clone(),
            journey,
            name: String::new(),
            step: Step::Begun,
            problem: None,
        };
        memory.transactions.insert(transaction.id.clone(), transaction.clone());
        if let Some(latest) = memory.browsers.values.get_mut(&browser) {
            latest[journey as usize] = Some(transaction.id.clone());
        }
        (transaction, browser)
    }

    /// Goes on with a transaction, if this engine began it in this browser. `step` runs under the lock, so that of
    /// two requests with one code only one is accepted; it must not ask this instance for anything.
    pub(super) fn go_on<R>(
        &self,
        headers: &HeaderMap,
        which: Option<Which<'_>>,
        step: impl FnOnce(&mut Transaction) -> R,
    ) -> Result<R, Refusal> {
        let browser = cookie(headers, anonymous_cookie(self.engine)).unwrap_or_default();
        let mut guard = self.memory();
        let memory = &mut *guard;
        let mut latest = memory.browsers.values.get_mut(&browser);
        let id = match which {
            None => None,
            Some(Which::Id(id)) => Some(id.to_owned()),
            Some(Which::Latest(journey)) => latest.as_ref().and_then(|ids| ids[journey as usize].clone()),
        };
        let transaction =
            id.and_then(|id| memory.transactions.values.get_mut(&id)).ok_or(Refusal::Unknown)?;
        if transaction.browser != browser {
            return Err(Refusal::OtherBrowser);
        }
        if transaction.step == Step::Ended {
            return Err(Refusal::Ended);
        }
        // A second tab may have begun one since; this one is in use now.
        if let Some(ids) = &mut latest {
            ids[transaction.journey as usize] = Some(transaction.id.clone());
        }
        Ok(step(transaction))
    }

    /// The token of a mail for somebody.
    pub(super) fn mail(&self, name: &str) -> String {
        let token = random();
        self.memory().mails.insert(token.clone(), name.to_owned());
        token
    }

    /// Whether a token is one of ours and unused.
    pub(super) fn knows_mail(&self, token: &str) -> bool {
        self.memory().mails.values.contains_key(token)
    }

    /// Uses a token up: of two that bring it, one succeeds.
    pub(super) fn redeem(&self, token: &str) -> bool {
        self.memory().mails.values.remove(token).is_some()
    }

    /// Opens a session in place of the one that the browser may hold here; its id.
    pub(super) fn sign_in(&self, headers: &HeaderMap, name: &str) -> String {
        let id = random();
        let mut memory = self.memory();
        if let Some(before) = cookie(headers, SESSION_COOKIE) {
            memory.sessions.values.remove(&before);
        }
        memory.sessions.insert(id.clone(), name.to_owned());
        id
    }

    /// Who is signed in here.
    pub(super) fn signed_in(&self, headers: &HeaderMap) -> Option<String> {
        self.memory().sessions.values.get(&cookie(headers, SESSION_COOKIE)?).cloned()
    }

    /// Whether there was a session to end.
    pub(super) fn sign_out(&self, headers: &HeaderMap) -> bool {
        cookie(headers, SESSION_COOKIE).is_some_and(|id| self.memory().sessions.values.remove(&id).is_some())
    }
}

/// A map that forgets what came first rather than growing.
#[derive(Debug)]
struct Bounded<V> {
    values: HashMap<String, V>,
    /// Every key ever inserted, until its turn comes to go; removed ones too, which only makes room earlier.
    order: VecDeque<String>,
}

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new() }
    }
}

impl<V> Bounded<V> {
    fn insert(&mut self, key: String, value: V) {
        while self.order.len() >= MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.values.remove(&oldest);
            }
        }
        self.order.push_back(key.clone());
        self.values.insert(key, value);
    }
}

/// 128 bits that nobody can guess, in hexadecimal.
pub(super) fn random() -> String {
    ambient::fresh_key()[..16].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

/// Six digits.
pub(super) fn random_code() -> String {
    let [a, b, c, d, ..] = ambient::fresh_key();
    format!("{:06}", u32::from_be_bytes([a, b, c, d]) % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_forgets_the_oldest_rather_than_growing() {
        let mut map = Bounded::default();
        for number in 0..MOST + 5 {
            map.insert(number.to_string(), number);
        }
        assert_eq!((map.values.len(), map.order.len()), (MOST, MOST));
        assert!(!map.values.contains_key("4") && map.values.contains_key("5"));
    }

    #[test]
    fn codes_have_six_digits_and_names_cannot_be_guessed() {
        assert!(random_code().len() == 6 && random_code().bytes().all(|digit| digit.is_ascii_digit()));
        assert!(random().len() == 32 && random() != random());
    }
}
