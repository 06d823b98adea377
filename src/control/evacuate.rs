//! An order to evacuate that came over HTTP: written into the file, which is where orders live, and taken up from there.
//!
//! An order that no file holds would be forgotten by the next process, and unknown to the replica next door.

use tokio::sync::oneshot;

use crate::ambient::unix_seconds;
use crate::config::edit::{self, EditError};
use crate::config::{self, print};
use crate::control::Outcome;
use crate::control::reload::Reloader;
use crate::decide::engine::Engine;
use crate::decide::evacuate::{Order, SignOut};

/// What somebody orders; its date is the moment at which it is written down.
#[derive(Debug)]
pub struct Wanted {
    /// Which app.
    pub app: String,
    /// Which engine is left.
    pub engine: Engine,
    /// Where signed-in users are sent first.
    pub sign_out: Option<SignOut>,
    /// Who wants to hear what became of it.
    pub reply: oneshot::Sender<Ordered>,
}

/// What became of an order.
#[derive(Debug)]
pub enum Ordered {
    /// It stands in the file, where it may have stood already: then no line was changed.
    Written {
        /// The order.
        order: Order,
        /// Where.
        place: Lines,
        /// What became of the look at the file that followed.
        outcome: Outcome,
    },
    /// The file has no such app.
    UnknownApp {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The file has problems, or would have some with the order in it.
    Rejected {
        /// Every problem, as `cutover check` would show it.
        problems: String,
    },
    /// The file cannot be changed from here; these lines in it would be the order.
    Unwritable {
        /// Why.
        message: String,
        /// What somebody else has to write.
        place: Lines,
    },
}

/// Lines of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lines {
    /// The file.
    pub file: String,
    /// The number of the first, from 1; `None`: anywhere in the app's table.
    pub first: Option<usize>,
    /// How they read with the order in them.
    pub lines: Vec<String>,
}

impl Reloader {
    /// Writes an order down, unless somebody did within the same second, and nothing else. What follows is a look at the file like any other.
    pub(super) fn write_order(&self, wanted: &Wanted) -> Result<(Order, Lines), Box<Ordered>> {
        let Wanted { app, engine, sign_out, reply: _ } = wanted;
        let order = Order { engine: *engine, at: unix_seconds(), sign_out: sign_out.clone() };
        let rejected =
            |rejected: config::Rejected| Box::new(Ordered::Rejected { problems: rejected.to_string() });
        // The file as it is now: somebody may have edited it since, and the running one is not what is changed.
        let now = config::load(&self.path, Some(&self.loaded)).map_err(rejected)?;
        let file = self.path.display().to_string();
        if now.config.apps.iter().any(|known| known.name == *app && known.evacuate.contains(&order)) {
            return Ok((order, Lines { file, first: None, lines: Vec::new() }));
        }
        let text = edit::add_order(&now.text, app, &order).map_err(|error| {
            Box::new(match error {
                EditError::UnknownApp { .. } => {
                    let hint = error.hint().map(str::to_owned);
                    Ordered::UnknownApp { message: error.to_string(), hint }
                }
                EditError::Syntax { .. }
                | EditError::Percent(_)
                | EditError::Staged { .. }
                | EditError::Unsupported { .. } => {
                    let lines = vec![format!("evacuate = [{}]", print::order(&order))];
                    let place = Lines { file: file.clone(), first: None, lines };
                    Ordered::Unwritable { message: error.to_string(), place }
                }
            })
        })?;
        config::load_text(&self.path, &text, Some(&now)).map_err(rejected)?;
        let (first, lines) = edit::changed_lines(&now.text, &text);
        let lines = lines.into_iter().map(str::to_owned).collect();
        let place = Lines { file, first: Some(first), lines };
        match config::replace(&self.path, &text, &now) {
            Ok(()) => Ok((order, place)),
            Err(error) => Err(Box::new(Ordered::Unwritable { message: error.to_string(), place })),
        }
    }
}
