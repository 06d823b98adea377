//! Picks one endpoint of a pool: from loads, weights and one roll, an index.
//!
//! Pure: whoever calls holds the sockets and the counters.

/// How a pool spreads requests over its endpoints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Balance {
    /// Of two endpoints drawn by weight, the one with fewer requests in flight per unit of weight ("power of
    /// two choices": Mitzenmacher 2001): nearly as even as asking all of them, at the cost of two reads.
    LeastRequest,
    /// One after another, by weight.
    RoundRobin,
}

impl Balance {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeastRequest => "least-request",
            Self::RoundRobin => "round-robin",
        }
    }
}

/// The weights of a pool's endpoints, prepared for picking.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Running sums: endpoint `i` owns the tickets from `sums[i - 1]` up to `sums[i]`.
    sums: Vec<u64>,
    weights: Vec<u32>,
    /// The order of a full round: smooth weighted round-robin spreads a heavy endpoint's turns over the round
    /// instead of serving them in a row.
    round: Vec<u32>,
}

/// The longest round that is written down. 1,000 endpoints with weights up to 100 fit; beyond it turns are
/// drawn by weight from the turn number, which is as fair over time.
const LONGEST_ROUND: u64 = 100_000;

impl Weights {
    /// `None` without endpoints or with a weight of 0 (configuration refuses both earlier).
    pub fn new(weights: Vec<u32>) -> Option<Self> {
        if weights.is_empty() || weights.contains(&0) {
            return None;
        }
        let sums: Vec<u64> = weights
            .iter()
            .scan(0u64, |sum, weight| {
                *sum += u64::from(*weight);
                Some(*sum)
            })
            .collect();
        let round = smooth_round(&weights);
        Some(Self { sums, weights, round })
    }

    fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    /// The endpoint that owns the place `roll` points at.
    fn draw(&self, roll: u32) -> usize {
        let ticket = (u64::from(roll) * self.total()) >> 32;
        self.sums.partition_point(|sum| *sum <= ticket)
    }

    /// Least-request: the less loaded of two draws. `load` gives an endpoint's requests in flight;
    /// `excluded` is an endpoint that must not be picked again (the one that just failed) unless it is alone.
    pub fn least_request(&self, roll: u64, excluded: Option<usize>, load: impl Fn(usize) -> usize) -> usize {
        if self.weights.len() == 1 {
            return 0;
        }
        // The two halves of one roll are independent of each other.
        let first = self.avoid(self.draw(roll as u32), excluded);
        let second = self.avoid(self.draw((roll >> 32) as u32), excluded);
        // Cross-multiplied, so that the comparison of load per weight stays in integers. One is added to each
        // load: the request itself, without which every weight would tie on an idle pool.
        let cost = |mine: usize, other: usize| (load(mine) as u64 + 1) * u64::from(self.weights[other]);
        if cost(second, first) < cost(first, second) { second } else { first }
    }

    /// Round-robin: the endpoint whose turn number `turn` is.
    pub fn round_robin(&self, turn: u64, excluded: Option<usize>) -> usize {
        let picked = if self.round.is_empty() {
            // SplitMix64's finaliser spreads consecutive turns over the whole range.
            let mut mixed = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            self.draw((mixed >> 32) as u32)
        } else {
            self.round[(turn % self.round.len() as u64) as usize] as usize
        };
        self.avoid(picked, excluded)
    }

    fn avoid(&self, picked: usize, excluded: Option<usize>) -> usize {
        if excluded == Some(picked) { (picked + 1) % self.weights.len() } else { picked }
    }
}

/// Smooth weighted round-robin: every turn each endpoint gains its weight, the richest serves and pays the
/// total. Empty when the round would be longer than [`LONGEST_ROUND`] turns.
fn smooth_round(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().fold(0, |divisor, weight| greatest_common_divisor(divisor, *weight));
    let steps: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor.max(1))).collect();
    let total: i64 = steps.iter().sum();
    if total as u64 * steps.len() as u64 > LONGEST_ROUND * 100 || total as u64 > LONGEST_ROUND {
        return Vec::new();
    }
    if steps.iter().all(|step| *step == 1) {
        return (0..weights.len() as u32).collect();
    }
    let mut credit = vec![0i64; steps.len()];
    (0..total)
        .map(|_| {
            for (credit, step) in credit.iter_mut().zip(&steps) {
                *credit += step;
            }
            let mut richest = 0;
            for (index, value) in credit.iter().enumerate() {
                if *value > credit[richest] {
                    richest = index;
                }
            }
            credit[richest] -= total;
            richest as u32
        })
        .collect()
}

fn greatest_common_divisor(mut left: u32, mut right: u32) -> u32 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(weights: &[u32], count: u64) -> Vec<usize> {
        let weights = Weights::new(weights.to_vec()).expect("weights above 0");
        (0..count).map(|turn| weights.round_robin(turn, None)).collect()
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
        let weights = Weights::new(vec![1, 2]).expect("weights above 0");
        let both_drawn = (u64::from(u32::MAX)) << 32; // first draw 0, second draw the last endpoint
        assert_eq!(weights.least_request(both_drawn, None, |index| [0, 0][index]), 1, "idle: the heavier");
        assert_eq!(
            weights.least_request(both_drawn, None, |index| [1, 3][index]),
            0,
            "4/2 ties 2/1: the first drawn"
        );
        assert_eq!(weights.least_request(both_drawn, None, |index| [1, 5][index]), 0);
    }

    #[test]
    fn an_excluded_endpoint_is_picked_only_when_it_is_alone() {
        let pair = Weights::new(vec![1, 1]).expect("weights above 0");
        for roll in [0, u64::MAX, 0x8000_0000_0000_0000, 0x0000_0000_8000_0000] {
            assert_eq!(pair.least_request(roll, Some(0), |_| 0), 1);
            assert_eq!(pair.round_robin(roll, Some(1)), 0);
        }
        let alone = Weights::new(vec![3]).expect("weights above 0");
        assert_eq!(alone.least_request(7, Some(0), |_| 0), 0);
        assert_eq!(alone.round_robin(7, Some(0)), 0);
    }

    #[test]
    fn draws_follow_the_weights() {
        let weights = Weights::new(vec![1, 3]).expect("weights above 0");
        assert_eq!(weights.draw(0), 0);
        assert_eq!(weights.draw((1 << 30) - 1), 0);
        assert_eq!(weights.draw(1 << 30), 1);
        assert_eq!(weights.draw(u32::MAX), 1);
        assert!(Weights::new(vec![]).is_none());
        assert!(Weights::new(vec![1, 0]).is_none());
    }
}
