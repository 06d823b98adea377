//! Picks one endpoint of a pool: from fitness, loads, weights and one roll, an index.
//!
//! Pure: whoever calls holds the sockets and the counters. A pick costs the same in a pool of a thousand as in one of
//! two; only where draws keep missing, because hardly anybody is fit, is the pool walked through.

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

/// Whether an endpoint may be picked, and how gladly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fitness {
    /// As its weight says.
    Full,
    /// It came back lately: so many 65536ths of what its weight says.
    Growing(u16),
    /// One request may find out whether it is well again.
    Trial,
    /// Only when nobody else is left.
    Reserve,
    /// Likewise, except for those who are pinned to it.
    Draining,
    /// Never.
    Barred,
}

/// The endpoints of a pool, as picking sees them.
pub trait Candidates {
    /// How fit the endpoint at this place is.
    fn fitness(&self, at: usize) -> Fitness;
    /// Its requests in flight.
    fn load(&self, at: usize) -> usize;
    /// Takes the trial that its fitness offers; `false` when another request was faster.
    fn try_out(&self, at: usize) -> bool;
}

/// The weights of a pool's endpoints, prepared for picking.
#[derive(Clone, Debug)]
pub struct Weights {
    weights: Vec<u32>,
    /// A column for each endpoint, all of them equally likely (Walker's alias method, as Vose builds it).
    columns: Vec<Column>,
    /// The order of a full round: smooth weighted round-robin spreads a heavy endpoint's turns over the round
    /// instead of serving them in a row.
    round: Vec<u32>,
}

/// The lower part of a column belongs to its own endpoint, the rest to another.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// How high the own part is, of 2³².
    own: u64,
    other: u32,
}

/// The longest round that is written down. 1,000 endpoints with weights up to 100 fit; beyond it turns are
/// drawn by weight from the turn number, which is as fair over time.
const LONGEST_ROUND: u64 = 100_000;

/// So often are two endpoints drawn before the pool is walked through. Where half of them are fit, one walk in 65,536
/// picks remains.
const DRAWS: u32 = 8;

impl Weights {
    /// `None` without endpoints or with a weight of 0 (configuration refuses both earlier).
    pub fn new(weights: Vec<u32>) -> Option<Self> {
        if weights.is_empty() || weights.contains(&0) {
            return None;
        }
        let columns = columns(&weights);
        let round = smooth_round(&weights);
        Some(Self { weights, columns, round })
    }

    /// The endpoint at which `roll` points.
    fn draw(&self, roll: u32) -> usize {
        let place = u64::from(roll) * self.columns.len() as u64;
        let at = (place >> 32) as usize;
        let Column { own, other } = self.columns[at];
        if place & 0xFFFF_FFFF < own { at } else { other as usize }
    }

    /// Least-request: the less loaded of two draws. `tried` are those that have failed this request. `None` when nobody
    /// may be asked.
    pub fn least_request(&self, roll: u64, tried: &[usize], among: &impl Candidates) -> Option<usize> {
        if self.weights.len() == 1 {
            return self.walk(0, tried, among);
        }
        let mut roll = roll;
        for _ in 0..DRAWS {
            // The two halves of one roll are independent of each other.
            let (first, second) = (self.draw(roll as u32), self.draw((roll >> 32) as u32));
            let mixed = mix(roll);
            match (
                takes(first, mixed as u16, tried, among),
                takes(second, (mixed >> 16) as u16, tried, among),
            ) {
                (Takes::Trial, _) if among.try_out(first) => return Some(first),
                (_, Takes::Trial) if among.try_out(second) => return Some(second),
                (Takes::Yes, Takes::Yes) => {
                    // Cross-multiplied, so that the comparison of load per weight stays in integers. One is added to
                    // each load: the request itself, without which every weight would tie on an idle pool.
                    let cost = |mine: usize, other: usize| {
                        (among.load(mine) as u64 + 1) * u64::from(self.weights[other])
                    };
                    return Some(if cost(second, first) < cost(first, second) { second } else { first });
                }
                (Takes::Yes, _) => return Some(first),
                (_, Takes::Yes) => return Some(second),
                (_, _) => roll = mixed,
            }
        }
        self.walk(self.draw(roll as u32), tried, among)
    }

    /// Round-robin: the endpoint whose turn number `turn` is. Turns of those that are not fit are spread over the others.
    pub fn round_robin(&self, turn: u64, tried: &[usize], among: &impl Candidates) -> Option<usize> {
        let mut roll = mix(turn);
        let mut picked = if self.round.is_empty() {
            self.draw((roll >> 32) as u32)
        } else {
            self.round[(turn % self.round.len() as u64) as usize] as usize
        };
        for _ in 0..DRAWS {
            match takes(picked, roll as u16, tried, among) {
                Takes::Yes => return Some(picked),
                Takes::Trial if among.try_out(picked) => return Some(picked),
                Takes::Trial | Takes::No => {}
            }
            roll = mix(roll);
            picked = self.draw((roll >> 32) as u32);
        }
        self.walk(picked, tried, among)
    }

    /// The first of all, from this one on, that is fit; else the first that may be asked at all.
    fn walk(&self, from: usize, tried: &[usize], among: &impl Candidates) -> Option<usize> {
        let mut reserve = None;
        for at in (from..self.weights.len()).chain(0..from).filter(|at| !tried.contains(at)) {
            match among.fitness(at) {
                Fitness::Full | Fitness::Growing(_) => return Some(at),
                Fitness::Trial if among.try_out(at) => return Some(at),
                Fitness::Trial | Fitness::Reserve | Fitness::Draining => {
                    reserve.get_or_insert(at);
                }
                Fitness::Barred => {}
            }
        }
        reserve
    }
}

/// Whether a draw counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Takes {
    Yes,
    Trial,
    No,
}

fn takes(at: usize, coin: u16, tried: &[usize], among: &impl Candidates) -> Takes {
    match among.fitness(at) {
        _ if tried.contains(&at) => Takes::No,
        Fitness::Full => Takes::Yes,
        Fitness::Growing(part) if coin < part => Takes::Yes,
        Fitness::Trial => Takes::Trial,
        Fitness::Growing(_) | Fitness::Reserve | Fitness::Draining | Fitness::Barred => Takes::No,
    }
}

/// SplitMix64's finaliser: spreads consecutive numbers over the whole range.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Fills each column that is too low for its endpoint alone with the surplus of one that is too high.
fn columns(weights: &[u32]) -> Vec<Column> {
    let count = weights.len() as u128;
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let mut left: Vec<u128> = weights.iter().map(|weight| u128::from(*weight) * count).collect();
    let whole = Column { own: 1 << 32, other: 0 };
    let mut columns = vec![whole; weights.len()];
    let (mut low, mut high): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|at| left[*at] < total);
    while let (Some(small), Some(large)) = (low.pop(), high.pop()) {
        columns[small] = Column { own: ((left[small] << 32) / total) as u64, other: large as u32 };
        left[large] -= total - left[small];
        if left[large] < total { low.push(large) } else { high.push(large) }
    }
    columns
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
mod tests;
