//! Random numbers that can be had again: SplitMix64.

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A seed nobody chose, short enough to be typed.
    pub fn seed() -> u64 {
        let [a, b, c] = psirtd::chance::bytes();
        u64::from(u32::from_be_bytes([0, a, b, c]))
    }

    /// Another series.
    pub fn another(&mut self) -> Chance {
        Chance(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end` - 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn one_of<'s, T>(&mut self, some: &'s [T]) -> &'s T {
        &some[usize::try_from(self.below(some.len() as u64)).unwrap()]
    }
}
