//! A browser that a person uses: it follows redirects on the site, says what page it comes from, and keeps a
//! journal of who answered and why.

use super::app::Asked;
use super::client::{Browser, Client, Reply};

const SITE: &str = "http://portal.example.com";

impl Browser {
    /// Goes to a page, and on to where it is sent on this site.
    pub(crate) fn visit(&mut self, target: &str) -> Reply {
        self.navigate("GET", target, "")
    }

    /// Sends a form to a page of the site.
    pub(crate) fn submit(&mut self, target: &str, form: &str) -> Reply {
        self.navigate("POST", target, form)
    }

    fn navigate(&mut self, method: &str, target: &str, form: &str) -> Reply {
        let mut reply = self.request(method, target, form, "navigate", false);
        self.at = Some(target.to_owned());
        for _ in 0..8 {
            let Some(next) = reply.location_here() else { return reply };
            reply = self.request("GET", &next, "", "navigate", false);
            self.at = Some(next);
        }
        panic!("{target} goes round in circles: {:?}", self.journal)
    }

    /// What a page asks for by script.
    pub(crate) fn fetch(&mut self, target: &str) -> Reply {
        self.request("GET", target, "", "cors", false)
    }

    /// A page by another method than GET and POST.
    pub(crate) fn asks(&mut self, method: &str, target: &str) -> Reply {
        self.request(method, target, "", "navigate", false)
    }

    /// A form that a page of another site sends here: only cookies for all sites go with it.
    pub(crate) fn cross_site_submit(&mut self, target: &str, form: &str) -> Reply {
        self.at = None;
        self.request("POST", target, form, "navigate", true)
    }

    fn request(&mut self, method: &str, target: &str, form: &str, mode: &str, cross_site: bool) -> Reply {
        let cookies = self.cookies(cross_site);
        let mut own;
        let client = match &mut self.lent {
            Some(lent) => lent,
            None => {
                own = Client::to(self.address);
                &mut own
            }
        };
        let mut ask = if method == "POST" { client.post(target, form) } else { client.ask(method, target) };
        ask = ask.header(&format!("sec-fetch-mode: {mode}")).header("accept: text/html, */*");
        if !cookies.is_empty() {
            ask = ask.cookie(&cookies);
        }
        if let Some(page) = &self.at {
            ask = ask.header(&format!("referer: {SITE}{page}"));
        }
        if let Some(line) = &self.line {
            ask = ask.header(line);
        }
        let reply = ask.send();
        self.keep(&reply);
        let path = Asked::new(method, target, "", "").path;
        let told = reply.head.get("served-by").unwrap_or("cutover");
        self.journal.push(format!("{method} {path} {} {told}", reply.status()));
        reply
    }

    /// What happened since it was asked last: method, path, status, engine, reason, workflow.
    pub(crate) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.journal)
    }

    /// Checks what happened since it was asked last.
    #[track_caller]
    pub(crate) fn went(&mut self, story: &[&str]) {
        assert_eq!(self.told(), story);
    }

    /// The page that it is on, with its query.
    pub(crate) fn at(&self) -> String {
        self.at.clone().expect("a page")
    }

    /// The `state` in the page's query.
    pub(crate) fn state(&self) -> String {
        self.at().split_once("state=").expect("a state").1.to_owned()
    }
}

impl Reply {
    /// Where it leads on this site.
    fn location_here(&self) -> Option<String> {
        let location = self.head.get("location").filter(|_| (300..400).contains(&self.status()))?;
        location.starts_with('/').then(|| location.to_owned())
    }

    /// The `state` with which it sends the browser away.
    pub(crate) fn state_sent(&self) -> String {
        let location = self.head.get("location").expect("it sends it somewhere");
        let state = location.split_once("state=").expect("a state").1;
        state.split('&').next().expect("a value").to_owned()
    }
}
