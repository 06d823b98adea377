//! The pictures: a mark for each engine, at a path that only this engine has.

use std::sync::LazyLock;

use crate::decide::engine::Engine;
use crate::demo::pages::style::hashed_path;

static PATHS: LazyLock<[String; 2]> =
    LazyLock::new(|| Engine::BOTH.map(|engine| hashed_path(engine, picture(engine), "svg")));

/// Where an engine keeps its mark.
pub(in crate::demo) fn picture_path(engine: Engine) -> &'static str {
    &PATHS[engine.index()]
}

/// The mark of an engine.
pub(in crate::demo) fn picture(engine: Engine) -> &'static str {
    match engine {
        Engine::Classic => CLASSIC,
        Engine::Identity => IDENTITY,
    }
}

/// A door with a keyhole.
const CLASSIC: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#f0b35f" d="M3 2h18v20H3z"/><path fill="#3d3222" d="M12 7a3 3 0 0 1 1.6 5.5L15 18H9l1.4-5.5A3 3 0 0 1 12 7z"/></svg>"##;

/// A person in a round badge.
const IDENTITY: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="11" fill="#fff"/><path fill="#5b3df5" d="M12 5a4 4 0 1 1 0 8 4 4 0 0 1 0-8zm-7 13.5a7.5 7.5 0 0 1 14 0 11 11 0 0 1-14 0z"/></svg>"##;
