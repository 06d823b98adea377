//! What a change of targeting rules does to people: counted for those whom lists name, and erring towards "may
//! move back" for those who are recognised by address or header, whom nobody can count.

use std::sync::Arc;

use ipnet::IpNet;

use crate::config::diff::change::{Change, TargetChange};
use crate::config::model::{App, Proof};
use crate::config::validate::subjects_can_match;
use crate::decide::bucket::{Bucket, Share};
use crate::decide::engine::Engine;
use crate::decide::subject::SubjectKey;
use crate::decide::target::{Subjects, Target};

/// How many subjects move, and which way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moves {
    /// From classic to identity.
    pub to_identity: u64,
    /// From identity to classic.
    pub back: u64,
    /// Nowhere.
    pub stay: u64,
}

/// An app, and who can prove who a user is: together they say which lists can match.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'c> {
    pub(super) app: &'c App,
    pub(super) proof: Proof,
    /// In seconds since the Unix epoch.
    pub(super) now: u64,
}

/// Who of these subjects moves when one app's rules become another's, outside workflows.
fn moves<'k>(old: Side<'_>, new: Side<'_>, subjects: impl IntoIterator<Item = SubjectKey<'k>>) -> Moves {
    let (old, new) = (Rules::of(old), Rules::of(new));
    let mut moves = Moves::default();
    for subject in subjects {
        moves.count(old.place(&subject).engine(old.share), new.place(&subject).engine(new.share));
    }
    moves
}

impl Moves {
    fn count(&mut self, from: Engine, to: Engine) {
        match (from, to) {
            (Engine::Classic, Engine::Identity) => self.to_identity += 1,
            (Engine::Identity, Engine::Classic) => self.back += 1,
            (Engine::Classic, Engine::Classic) | (Engine::Identity, Engine::Identity) => self.stay += 1,
        }
    }
}

/// What decides for a subject that is known by its key alone, and the share in force outside workflows.
pub(super) struct Rules<'c> {
    lists: Vec<(&'c Arc<Subjects>, Engine)>,
    salt: &'c str,
    share: Share,
}

impl<'c> Rules<'c> {
    pub(super) fn of(Side { app, proof, now }: Side<'c>) -> Self {
        let targets = app.targets.iter().filter(|target| {
            !target.subjects.is_empty() && subjects_can_match(&app.keys, target.claimed, proof)
        });
        let lists = targets.map(|target| (&target.subjects, target.engine)).collect();
        Self { lists, salt: &app.salt, share: app.share.at(now) }
    }

    /// What places a subject, whatever the share.
    pub(super) fn place(&self, subject: &SubjectKey<'_>) -> Placed {
        match self.lists.iter().find(|(list, _)| list.contains(subject)) {
            Some((_, engine)) => Placed::Listed(*engine),
            None => Placed::At(Bucket::of(self.salt, subject)),
        }
    }
}

/// What places a subject: a list, or its place on the line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Placed {
    Listed(Engine),
    At(Bucket),
}

impl Placed {
    /// Its engine under a share.
    pub(super) fn engine(self, share: Share) -> Engine {
        match self {
            Self::Listed(engine) => engine,
            Self::At(bucket) => share.engine_for(bucket),
        }
    }
}

/// Every change of the rules of an app, and what they do to the subjects that are listed.
pub(super) fn changes(old: Side<'_>, new: Side<'_>, changes: &mut Vec<Change>) {
    let app = &new.app.name;
    let can_lose = has(Engine::Identity, old) && has(Engine::Classic, new);
    let count = changes.len();
    let find = |app: &App, name: &str| app.targets.iter().position(|target| target.name == name);
    let mut push = |target: &Target, change, loses: bool| {
        let target = target.name.clone();
        changes.push(Change::Target { app: app.clone(), target, change, may_move_back: can_lose && loses });
    };

    let mut places = Vec::new();
    for (index, target) in old.app.targets.iter().enumerate() {
        let Some(place) = find(new.app, &target.name) else {
            let loses = target.engine == Engine::Identity && names_uncounted(target);
            push(target, TargetChange::Removed(target.engine), loses);
            continue;
        };
        places.push(place);
        let now = &new.app.targets[place];
        let mut fields = differences(target, now);
        if old.app.subject_lists.get(index).map(|list| &list.file)
            != new.app.subject_lists.get(place).map(|list| &list.file)
        {
            fields.push("subjects_file");
        }
        if !fields.is_empty() {
            push(now, TargetChange::Changed(fields), loses_uncounted(target, now));
        }
    }
    for target in new.app.targets.iter().filter(|target| find(old.app, &target.name).is_none()) {
        let loses = target.engine == Engine::Classic && names_uncounted(target);
        push(target, TargetChange::Added(target.engine), loses);
    }
    if !places.is_sorted() {
        let both = old.app.targets.iter().chain(&new.app.targets);
        let may_move_back = can_lose && both.into_iter().any(names_uncounted);
        changes.push(Change::TargetOrder { app: app.clone(), may_move_back });
    }
    // Who moves by the share alone is told with the share.
    if changes.len() > count || old.proof != new.proof {
        let moves = count_listed(old, new);
        if moves != Moves::default() {
            changes.push(Change::Listed { app: app.clone(), moves });
        }
    }
}

/// Whether anybody can be on this engine now, by share or by rule.
pub(super) fn has(engine: Engine, Side { app, proof: _, now }: Side<'_>) -> bool {
    let by_share = app.schedules().any(|(_, schedule)| match engine {
        Engine::Classic => schedule.at(now) != Share::WHOLE,
        Engine::Identity => schedule.at(now) != Share::NONE,
    });
    by_share || app.targets.iter().any(|target| target.engine == engine)
}

/// Whether a rule names people whom no list holds.
fn names_uncounted(target: &Target) -> bool {
    !target.networks.is_empty() || target.header.is_some()
}

fn differences(old: &Target, new: &Target) -> Vec<&'static str> {
    let Target { name: _, engine, claimed, subjects, networks, header } = old;
    let mut fields = Vec::new();
    if *engine != new.engine {
        fields.push("engine");
    }
    if *claimed != new.claimed {
        fields.push("claimed");
    }
    if !is_same_set(subjects, &new.subjects) {
        fields.push("subjects");
    }
    if *networks != new.networks {
        fields.push("networks");
    }
    if *header != new.header {
        fields.push("header");
    }
    fields
}

fn is_same_set(old: &Arc<Subjects>, new: &Arc<Subjects>) -> bool {
    Arc::ptr_eq(old, new) || (old.len() == new.len() && old.iter().all(|subject| new.contains(&subject)))
}

/// Whether somebody recognised by address, by header, or by a key whose kind we cannot know may lose Identity.
fn loses_uncounted(old: &Target, new: &Target) -> bool {
    match (old.engine, new.engine) {
        (Engine::Classic, Engine::Identity) => false,
        (Engine::Identity, Engine::Classic) => names_uncounted(old) || names_uncounted(new),
        (Engine::Identity, Engine::Identity) => !covers(new, old),
        (Engine::Classic, Engine::Classic) => !covers(old, new),
    }
}

/// Whether `wide` recognises everybody by address or header whom `narrow` does, and believes no less.
fn covers(wide: &Target, narrow: &Target) -> bool {
    let by_header = match (&wide.header, &narrow.header) {
        (_, None) => true,
        (Some(wide), Some(narrow)) => wide == narrow,
        (None, Some(_)) => false,
    };
    by_header && (wide.claimed || !narrow.claimed) && is_covered(&narrow.networks, &wide.networks)
}

pub(super) fn is_covered(narrow: &[IpNet], wide: &[IpNet]) -> bool {
    narrow.iter().all(|network| wide.iter().any(|wide| wide.contains(network)))
}

/// Counts everybody whom a list names, before or after, once.
fn count_listed(old: Side<'_>, new: Side<'_>) -> Moves {
    let mut lists: Vec<&Arc<Subjects>> = Vec::new();
    for target in old.app.targets.iter().chain(&new.app.targets) {
        if !target.subjects.is_empty() && !lists.iter().any(|list| Arc::ptr_eq(list, &target.subjects)) {
            lists.push(&target.subjects);
        }
    }
    let subjects = lists.iter().enumerate().flat_map(|(index, list)| {
        let earlier = &lists[..index];
        list.iter().filter(move |subject| !earlier.iter().any(|list| list.contains(subject)))
    });
    moves(old, new, subjects)
}
