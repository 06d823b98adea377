//! The style sheets: two engines that nobody can mistake for each other, and one shape.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::decide::engine::Engine;

static PATHS: LazyLock<[String; 2]> =
    LazyLock::new(|| Engine::BOTH.map(|engine| hashed_path(engine, &style(engine), "css")));

/// Where an engine keeps its style sheet: a path that names the content, as builds do. The other one has none there.
pub(in crate::demo) fn style_path(engine: Engine) -> &'static str {
    &PATHS[engine.index()]
}

/// The path of a file of one engine.
pub(super) fn hashed_path(engine: Engine, content: &str, extension: &str) -> String {
    let digest = Sha256::digest(content);
    let mut path = format!("/assets/{engine}-");
    for byte in &digest[..4] {
        let _ = write!(path, "{byte:02x}"); // writing to a String cannot fail
    }
    format!("{path}.{extension}")
}

/// The style sheet of an engine: its colours, then the shape that both share.
pub(in crate::demo) fn style(engine: Engine) -> String {
    let colours = match engine {
        Engine::Classic => CLASSIC,
        Engine::Identity => IDENTITY,
    };
    format!("{colours}{SHAPE}")
}

/// Paper, ink and serifs.
const CLASSIC: &str = r#":root{color-scheme:light dark;--ground:#f6f1e7;--sheet:#fffdf8;--ink:#2b2419;--soft:#6a5d48;--line:#d8ccb4;
--accent:#8a4b08;--on-accent:#fff;--head:#3d3222;--on-head:#f6f1e7;--radius:2px;
--face:Georgia,"Times New Roman",serif;--shadow:none;--wrong:#a11212}
@media(prefers-color-scheme:dark){:root{--ground:#1d1912;--sheet:#272117;--ink:#efe6d3;--soft:#b8a987;--line:#4a3f2b;
--accent:#f0b35f;--on-accent:#2b1a04;--head:#120f0a;--on-head:#efe6d3;--wrong:#ff9d8a}}
body{border-top:10px solid var(--accent)}h1{font-variant:small-caps;letter-spacing:.02em}
"#;

/// Air, violet and round corners.
const IDENTITY: &str = r#":root{color-scheme:light dark;--ground:#f3f3ff;--sheet:#fff;--ink:#1b1840;--soft:#575381;--line:#dddbf7;
--accent:#5b3df5;--on-accent:#fff;--head:linear-gradient(100deg,#3514b8,#7a2fe0 55%,#0f7fb8);--on-head:#fff;--radius:16px;
--face:system-ui,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;--shadow:0 8px 30px rgb(60 40 160/.10);--wrong:#b3123f}
@media(prefers-color-scheme:dark){:root{--ground:#0f0d24;--sheet:#1a1738;--ink:#ebe9ff;--soft:#aaa5dd;--line:#332e63;
--accent:#a896ff;--on-accent:#140a45;--shadow:none;--wrong:#ff8fb0}}
h1{font-weight:800;letter-spacing:-.03em}
"#;

const SHAPE: &str = r#"*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:1.0625rem/1.55 var(--face)}
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;justify-content:space-between;padding:1rem max(1.25rem,calc(50vw - 22rem));background:var(--head);color:var(--on-head)}
header a{color:inherit}header nav a{margin-left:1rem}.mark{font-weight:700;text-decoration:none}.mark img{margin-right:.5rem;vertical-align:-.3em}
main{max-width:46.5rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{margin:0 0 .5rem;font-size:clamp(2.2rem,7vw,3.4rem);line-height:1.1;color:var(--accent)}
h2{margin:0 0 .5rem;font-size:1.1rem}
.kicker{margin:0;color:var(--soft)}.lead{margin:0 0 2rem;font-size:1.2rem}
section{margin:0 0 1.25rem;padding:1.25rem 1.5rem;background:var(--sheet);border:1px solid var(--line);border-radius:var(--radius);box-shadow:var(--shadow)}
h1+section{margin-top:1.5rem}section>p:first-child,h2+p{margin-top:0}section>:last-child{margin-bottom:0}
a{color:var(--accent)}.row{display:flex;gap:.5rem;flex-wrap:wrap}
label{display:block;margin-bottom:.25rem;font-weight:600}
input{flex:1 1 12rem;max-width:100%;padding:.5rem .75rem;font:inherit;color:inherit;background:var(--ground);border:1px solid var(--soft);border-radius:calc(var(--radius)/2)}
button,.button{display:inline-block;padding:.5rem 1.1rem;font:inherit;font-weight:600;cursor:pointer;text-decoration:none;color:var(--on-accent);background:var(--accent);border:0;border-radius:calc(var(--radius)/2)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
header :focus-visible{outline-color:currentColor}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.25rem 1rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:.95em}
ul{margin:0;padding-left:1.2rem}form p{margin:.25rem 0 1rem}form+*{margin-top:1.25rem}
.mail{padding:.75rem 1rem;border-left:4px solid var(--accent);background:var(--ground);overflow-wrap:anywhere}.problem{color:var(--wrong);font-weight:600}.note{color:var(--soft)}
@media(max-width:30rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_look_different_and_say_so_in_the_path() {
        let [classic, identity] = Engine::BOTH.map(style_path);
        assert_ne!(style(Engine::Classic), style(Engine::Identity));
        assert!(classic.starts_with("/assets/classic-") && identity.starts_with("/assets/identity-"));
        assert_eq!(classic.len(), "/assets/classic-.css".len() + 8);
    }
}
