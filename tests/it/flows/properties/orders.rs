//! Orders to evacuate, in the midst of whatever a browser does.

use cutover::decide::engine::Engine as Side;
use cutover::decide::evacuate::{Order, Orders, SignOut};
use proptest::prelude::*;

use super::{Act, World, act, cases};

impl World {
    /// Takes Identity's shares away and moves everybody off it.
    fn evacuate(&mut self, sign_out: Option<&str>) {
        let sign_out = sign_out.and_then(|path| SignOut::parse(path).ok());
        self.orders = Orders::new(vec![Order { engine: Side::Identity, at: self.now, sign_out }]);
        self.act(&Act::Shares([0; 4]));
        self.story.push(format!("evacuated at {}", self.now));
        self.now += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn an_order_leaves_nobody_on_its_engine_and_sends_nobody_round_in_circles(
        before in proptest::collection::vec(act(), 1..40),
        after in proptest::collection::vec(act(), 0..20),
        sign_out in proptest::sample::select(vec![None, Some("/logout"), Some("/account"), Some("/login")]),
        chance in any::<u64>(),
    ) {
        let mut world = World::new(chance);
        for act in &before {
            world.act(act);
        }
        world.evacuate(sign_out);
        for act in after.iter().filter(|act| !matches!(act, Act::Shares(_))) {
            world.act(act);
        }
        for _ in 0..2 {
            world.act(&Act::Visit("/"));
        }
        prop_assert_eq!(world.served, Some(Side::Classic), "{:#?}", world.story);
    }
}
