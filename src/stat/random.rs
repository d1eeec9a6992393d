//! Counter-based randomness (SplitMix64: Steele, Lea and Flood 2014): every draw is a pure function of (seed, lane, two
//! indices), so that nothing depends on the order in which things are drawn, on threads or on partitions. Deliberately
//! not cryptographic and never used for keys or tokens.

/// Names a purpose of randomness (FNV-1a), so that two purposes never share numbers.
pub const fn lane(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// The finaliser of SplitMix64: a bijection whose output bits all depend on all input bits.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A short run of random numbers that belongs to one thing (an alarm, a camera, a replicate).
#[derive(Clone, Debug)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// The stream of thing (`major`, `minor`) for the purpose `lane`.
    pub fn keyed(seed: u64, lane: u64, major: u64, minor: u64) -> Self {
        let low = mix(minor.wrapping_add(GOLDEN));
        let high = mix(major.wrapping_mul(GOLDEN) ^ low);
        Self {
            state: mix(seed.wrapping_mul(GOLDEN) ^ mix(lane ^ high)),
        }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [0, bound); 0 for an empty range.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// Puts values into an order in which each is as likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for end in (1..values.len()).rev() {
            let at = self.below(end as u64 + 1) as usize;
            values.swap(end, at);
        }
    }

    /// Uniform in [low, high], both ends included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal (Box–Muller; the second value is thrown away so that the stream stays simple).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Two independent standard normals for the price of one logarithm: an offset on the ground.
    pub fn normal_pair(&mut self) -> (f64, f64) {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        (radius * cosine, radius * sine)
    }

    /// Exponential with the given mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }

    /// Log-normal with the given median and log standard deviation.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Poisson; a rounded normal above a mean of 40, where the difference no longer shows.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 40.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let floor = (-mean).exp();
        let mut product = self.uniform();
        let mut count = 0;
        while product > floor {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// An index of `cumulative` (rising running sums of weights), drawn by weight.
    pub fn pick(&mut self, cumulative: &[f64]) -> usize {
        let total = cumulative.last().copied().unwrap_or(0.0);
        let target = self.uniform() * total;
        cumulative
            .partition_point(|&sum| sum <= target)
            .min(cumulative.len().saturating_sub(1))
    }
}

/// Running sums of weights, the form [`Stream::pick`] wants.
pub fn cumulate(weights: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    weights
        .into_iter()
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_function_of_its_key() {
        let draw = |seed, lane, a, b| Stream::keyed(seed, lane, a, b).bits();
        assert_eq!(draw(1, 2, 3, 4), draw(1, 2, 3, 4));
        assert_ne!(draw(1, 2, 3, 4), draw(1, 2, 4, 3));
        assert_ne!(draw(1, 2, 3, 4), draw(2, 2, 3, 4));
        assert_ne!(lane("alarm"), lane("clip"));
    }

    #[test]
    fn moments_are_as_stated() {
        let mut stream = Stream::keyed(1, lane("test"), 0, 0);
        let count = 200_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let normals: Vec<f64> = (0..count).map(|_| stream.normal()).collect();
        assert!(mean(&normals).abs() < 0.02);
        let waits: Vec<f64> = (0..count).map(|_| stream.exponential(40.0)).collect();
        assert!((mean(&waits) - 40.0).abs() < 0.6);
        for expected in [0.3, 7.0, 90.0] {
            let counts: Vec<f64> = (0..count).map(|_| stream.poisson(expected) as f64).collect();
            assert!((mean(&counts) - expected).abs() < 0.01 * expected + 0.01);
        }
        let sums = cumulate([1.0, 0.0, 3.0]);
        let picks: Vec<f64> = (0..count).map(|_| stream.pick(&sums) as f64).collect();
        assert!((mean(&picks) - 1.5).abs() < 0.02);
    }
}
