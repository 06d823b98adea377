//! Orders to evacuate an engine, told one by one: whoever is moved in the middle of something wants to know who said so.

use tracing::{info, warn};

use crate::config::model::Config;
use crate::config::units::write_moment;
use crate::decide::evacuate::Order;
use crate::telemetry::events::Origin;
use crate::telemetry::metrics::Metrics;

/// A running configuration orders to evacuate an engine.
#[derive(Clone, Copy, Debug)]
pub struct EvacuationOrdered<'a> {
    /// The app.
    pub app: &'a str,
    /// What is ordered.
    pub order: &'a Order,
    /// What made us look at the configuration.
    pub origin: Origin,
    /// The generation that obeys it.
    pub generation: u64,
    /// Seconds since the Unix epoch.
    pub wall: u64,
}

impl EvacuationOrdered<'_> {
    /// Tells. At the start it is a reminder, afterwards somebody has just decided it.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { app, order, origin, generation, wall } = *self;
        metrics.shared().count_order(app, order.engine);
        let (engine, at) = (order.engine, write_moment(order.at));
        let sign_out = order.sign_out.as_ref().map_or("none", |path| path.as_str());
        let in_force = order.at <= wall;
        if origin == Origin::Start {
            info!(app, %engine, at, sign_out, in_force, generation, %origin, "evacuation ordered");
        } else {
            warn!(app, %engine, at, sign_out, in_force, generation, %origin, "evacuation ordered");
        }
    }
}

/// Tells of every order that was not there before.
pub fn tell_of_orders(
    before: Option<&Config>,
    config: &Config,
    origin: Origin,
    generation: u64,
    wall: u64,
    metrics: &Metrics,
) {
    for app in &config.apps {
        let known = before.and_then(|before| before.apps.iter().find(|known| known.name == app.name));
        let is_new = |order: &&Order| !known.is_some_and(|known| known.evacuate.contains(order));
        for order in app.evacuate.iter().filter(is_new) {
            EvacuationOrdered { app: &app.name, order, origin, generation, wall }.tell(metrics);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::files::NamedFiles;
    use crate::config::parse;
    use crate::telemetry::metrics::Format;

    fn config(orders: &str) -> std::sync::Arc<Config> {
        let text = format!(
            "listeners = [{{ bind = '127.0.0.1:0' }}]\n[apps.portal]\nevacuate = [{orders}]\n\
             classic.endpoints = ['http://127.0.0.1:1']\nidentity.endpoints = ['http://127.0.0.1:2']\n"
        );
        parse(&text, "cutover.toml", &NamedFiles::default()).expect("a good configuration").config
    }

    #[test]
    fn each_order_is_counted_when_it_is_new() {
        let metrics = Metrics::new(1);
        let one = config("{ engine = 'identity', at = 2026-12-03T10:00:00Z }");
        let two = config(
            "{ engine = 'identity', at = 2026-12-03T10:00:00Z }, \
             { engine = 'identity', at = 2026-12-04T10:00:00Z, sign_out = '/logout' }",
        );
        metrics.take_up(&one);
        tell_of_orders(None, &one, Origin::Start, 1, 0, &metrics);
        tell_of_orders(Some(&one), &two, Origin::File, 2, 0, &metrics);
        tell_of_orders(Some(&two), &two, Origin::File, 3, 0, &metrics);
        let page = metrics.render(Format::Text);
        assert!(page.contains("cutover_evacuations_total{app=\"portal\",engine=\"identity\"} 2\n"), "{page}");
    }
}
