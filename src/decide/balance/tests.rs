use std::cell::Cell;

use super::*;

/// Endpoints by fitness and load; a trial can be taken once.
struct Pool {
    fitness: Vec<Cell<Fitness>>,
    loads: Vec<usize>,
}

impl Candidates for Pool {
    fn fitness(&self, at: usize) -> Fitness {
        self.fitness[at].get()
    }

    fn load(&self, at: usize) -> usize {
        self.loads[at]
    }

    fn try_out(&self, at: usize) -> bool {
        self.fitness[at].replace(Fitness::Reserve) == Fitness::Trial
    }
}

fn fit(fitness: &[Fitness]) -> Pool {
    Pool { fitness: fitness.iter().copied().map(Cell::new).collect(), loads: vec![0; fitness.len()] }
}

fn loaded(loads: &[usize]) -> Pool {
    Pool { loads: loads.to_vec(), ..fit(&vec![Fitness::Full; loads.len()]) }
}

fn weights(weights: &[u32]) -> Weights {
    Weights::new(weights.to_vec()).expect("weights above 0")
}

fn turns(of: &[u32], count: u64) -> Vec<usize> {
    let (weights, pool) = (weights(of), loaded(&vec![0; of.len()]));
    (0..count).map(|turn| weights.round_robin(turn, &[], &pool).expect("all are fit")).collect()
}

/// How often each is picked in so many picks, by either way.
fn picks(weights: &Weights, pool: &Pool, count: u64) -> [Vec<usize>; 2] {
    let mut counts = [vec![0; pool.loads.len()], vec![0; pool.loads.len()]];
    for number in 0..count {
        let by_load = weights.least_request(mix(number), &[], pool);
        for (counts, picked) in counts.iter_mut().zip([by_load, weights.round_robin(number, &[], pool)]) {
            counts[picked.expect("somebody is fit")] += 1;
        }
    }
    counts
}

#[test]
fn round_robin_spreads_a_heavy_endpoint_over_the_round() {
    assert_eq!(turns(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
    assert_eq!(turns(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(turns(&[200, 100], 3), [0, 1, 0], "weights are reduced before the round is written");
}

#[test]
fn a_round_too_long_to_write_down_is_still_fair() {
    let picked = turns(&[1_000_000, 3_000_001], 40_000);
    let heavy = picked.iter().filter(|index| **index == 1).count();
    assert!((29_600..30_400).contains(&heavy), "{heavy} of 40000 turns at weight 3 of 4");
}

#[test]
fn least_request_takes_the_less_loaded_of_two_by_weight() {
    let weights = weights(&[1, 2]);
    let both_drawn = (u64::from(u32::MAX)) << 32; // first draw 0, second draw the last endpoint
    for (loads, picked, why) in [
        ([0, 0], 1, "idle: the heavier"),
        ([1, 3], 0, "4/2 ties 2/1: the first drawn"),
        ([1, 5], 0, "6/2 is more than 2/1"),
    ] {
        assert_eq!(weights.least_request(both_drawn, &[], &loaded(&loads)), Some(picked), "{why}");
    }
}

#[test]
fn who_has_failed_this_request_is_not_picked_again() {
    let (pair, both) = (weights(&[1, 1]), loaded(&[0, 0]));
    for roll in [0, u64::MAX, 0x8000_0000_0000_0000, 0x0000_0000_8000_0000] {
        assert_eq!(pair.least_request(roll, &[0], &both), Some(1));
        assert_eq!(pair.round_robin(roll, &[1], &both), Some(0));
        assert_eq!(pair.least_request(roll, &[1, 0], &both), None);
    }
    let (alone, one) = (weights(&[3]), loaded(&[0]));
    assert_eq!((alone.least_request(7, &[], &one), alone.round_robin(7, &[], &one)), (Some(0), Some(0)));
    assert_eq!((alone.least_request(7, &[0], &one), alone.round_robin(7, &[0], &one)), (None, None));
}

#[test]
fn who_is_not_fit_is_picked_only_when_nobody_is_and_who_is_barred_never() {
    use Fitness::{Barred, Draining, Full, Reserve};
    for (fitness, allowed) in [
        (&[Full, Reserve, Barred, Draining][..], &[0][..]),
        (&[Full, Full, Reserve], &[0, 1]),
        (&[Barred, Reserve, Draining], &[1, 2]),
        (&[Reserve, Reserve, Reserve], &[0, 1, 2]),
        (&[Barred, Barred], &[]),
    ] {
        let (weights, pool) = (weights(&vec![1; fitness.len()]), fit(fitness));
        let mut found = Vec::new();
        for number in 0..200 {
            found.extend(weights.least_request(mix(number), &[], &pool));
            found.extend(weights.round_robin(number, &[], &pool));
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, allowed, "{fitness:?}");
    }
}

#[test]
fn one_fit_endpoint_among_a_thousand_is_found() {
    let mut fitness = vec![Fitness::Reserve; 1000];
    fitness[617] = Fitness::Full;
    let (weights, pool) = (weights(&[1; 1000]), fit(&fitness));
    for number in 0..50 {
        assert_eq!(weights.least_request(mix(number), &[], &pool), Some(617));
        assert_eq!(weights.round_robin(number, &[], &pool), Some(617));
    }
}

#[test]
fn the_turns_of_who_is_not_fit_are_spread_over_all_others() {
    let fitness = [Fitness::Full, Fitness::Reserve, Fitness::Full, Fitness::Full];
    for counts in picks(&weights(&[1; 4]), &fit(&fitness), 9_000) {
        assert_eq!(counts[1], 0);
        assert!(
            counts.iter().enumerate().all(|(at, count)| at == 1 || (2_700..3_300).contains(count)),
            "{counts:?}"
        );
    }
}

#[test]
fn who_came_back_lately_gets_its_part_of_what_its_weight_says() {
    let pool = fit(&[Fitness::Full, Fitness::Growing(u16::MAX / 4)]);
    for counts in picks(&weights(&[1, 1]), &pool, 10_000) {
        // A quarter of a half, by turns and by draws alike; of two draws that both count, the loads decide.
        assert!((900..2_200).contains(&counts[1]), "{counts:?}");
    }
}

#[test]
fn a_trial_goes_to_the_first_who_draws_it_and_to_nobody_else() {
    let pool = fit(&[Fitness::Full, Fitness::Trial, Fitness::Full]);
    let weights = weights(&[1; 3]);
    let picked: Vec<_> = (0..300).map(|number| weights.least_request(mix(number), &[], &pool)).collect();
    assert_eq!(picked.iter().filter(|picked| **picked == Some(1)).count(), 1);
    let alone = fit(&[Fitness::Trial]);
    let single = self::weights(&[1]);
    assert_eq!([(); 2].map(|()| single.least_request(1, &[], &alone)), [Some(0); 2], "nobody else is left");
}

#[test]
fn draws_follow_the_weights() {
    let unequal = weights(&[1, 3]);
    for (roll, drawn) in [(0, 0), ((1 << 30) - 1, 0), (1 << 30, 1), (u32::MAX, 1)] {
        assert_eq!(unequal.draw(roll), drawn, "{roll}");
    }
    let many = weights(&[5, 1, 1, 10, 3]);
    let mut counts = [0u32; 5];
    let step = u32::MAX / 20_000;
    (0..20_000).for_each(|number| counts[many.draw(number * step)] += 1);
    for (count, weight) in counts.iter().zip([5, 1, 1, 10, 3]) {
        assert!(count.abs_diff(weight * 1_000) <= 3, "{counts:?}");
    }
    assert!(Weights::new(vec![]).is_none());
    assert!(Weights::new(vec![1, 0]).is_none());
}
