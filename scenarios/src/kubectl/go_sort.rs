//! Go's `sort.Sort`: what it does with elements that compare equal shows in what kubectl prints.
//!
//! Models: go src/sort (pattern-defeating quicksort): short ranges by insertion, others around a median of three or of nine, with a heap as the
//! last resort. It is not stable, and its order of equals is a property of the algorithm alone.

/// Ranges up to this long are sorted by insertion.
const SHORT: usize = 12;
/// From this length on the pivot is a median of nine.
const NINTHER: usize = 50;
/// Out-of-order pairs that are mended in a range that looks sorted.
const MENDS: usize = 5;

/// Sorts as Go does; `less` is `Less`.
pub(crate) fn sort<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let length = items.len();
    let mut range = Sorter { items, less: &less };
    range.quick(0, length, usize::BITS - length.leading_zeros());
}

struct Sorter<'a, T, F> {
    items: &'a mut [T],
    less: &'a F,
}

#[derive(Clone, Copy, PartialEq)]
enum Looks {
    Sorted,
    Reversed,
    Unknown,
}

impl<T, F: Fn(&T, &T) -> bool> Sorter<'_, T, F> {
    fn less(&self, a: usize, b: usize) -> bool {
        (self.less)(&self.items[a], &self.items[b])
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.items.swap(a, b);
    }

    fn quick(&mut self, mut from: usize, mut to: usize, mut patience: u32) {
        let (mut balanced, mut partitioned) = (true, true);
        loop {
            let length = to - from;
            if length <= SHORT {
                return self.insertion(from, to);
            }
            if patience == 0 {
                return self.heap(from, to);
            }
            if !balanced {
                self.shuffle(from, to);
                patience -= 1;
            }
            let (mut pivot, mut looks) = self.pivot(from, to);
            if looks == Looks::Reversed {
                self.items[from..to].reverse();
                pivot = to - 1 - (pivot - from);
                looks = Looks::Sorted;
            }
            if balanced && partitioned && looks == Looks::Sorted && self.mend(from, to) {
                return;
            }
            // Everything is at least what stands before the range: if the pivot equals that, so does a whole block.
            if from > 0 && !self.less(from - 1, pivot) {
                from = self.split_equal(from, to, pivot);
                continue;
            }
            let (middle, was) = self.split(from, to, pivot);
            partitioned = was;
            let (left, right) = (middle - from, to - middle);
            balanced = left.min(right) >= length / 8;
            if left < right {
                self.quick(from, middle, patience);
                from = middle + 1;
            } else {
                self.quick(middle + 1, to, patience);
                to = middle;
            }
        }
    }

    fn insertion(&mut self, from: usize, to: usize) {
        for i in from + 1..to {
            self.sink(from, i);
        }
    }

    /// Moves an element forward past all that are greater.
    fn sink(&mut self, from: usize, mut at: usize) {
        while at > from && self.less(at, at - 1) {
            self.swap(at, at - 1);
            at -= 1;
        }
    }

    fn heap(&mut self, from: usize, to: usize) {
        let length = to - from;
        for root in (0..length.div_ceil(2)).rev() {
            self.sift(root, length, from);
        }
        for end in (0..length).rev() {
            self.swap(from, from + end);
            self.sift(0, end, from);
        }
    }

    fn sift(&mut self, mut root: usize, end: usize, base: usize) {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            if child + 1 < end && self.less(base + child, base + child + 1) {
                child += 1;
            }
            if !self.less(base + root, base + child) {
                return;
            }
            self.swap(base + root, base + child);
            root = child;
        }
    }

    /// Swaps three elements around the middle with others, in a way that only the length decides.
    fn shuffle(&mut self, from: usize, to: usize) {
        let length = to - from;
        if length < 8 {
            return;
        }
        let mask = (1u64 << (usize::BITS - length.leading_zeros())) - 1;
        let mut state = length as u64;
        let middle = from + length / 4 * 2 - 1;
        for i in 0..3 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let other = (state & mask) as usize;
            let other = if other >= length { other - length } else { other };
            self.swap(middle - 1 + i, from + other);
        }
    }

    fn pivot(&self, from: usize, to: usize) -> (usize, Looks) {
        let length = to - from;
        let quarter = length / 4;
        let (mut i, mut j, mut k) = (from + quarter, from + quarter * 2, from + quarter * 3);
        let (mut swaps, mut all) = (0, 3);
        if length >= NINTHER {
            i = self.median(i - 1, i, i + 1, &mut swaps);
            j = self.median(j - 1, j, j + 1, &mut swaps);
            k = self.median(k - 1, k, k + 1, &mut swaps);
            all = 12;
        }
        j = self.median(i, j, k, &mut swaps);
        // Only a median of nine can show as many swaps as there could be.
        let looks = match swaps {
            0 => Looks::Sorted,
            12 if all == 12 => Looks::Reversed,
            _ => Looks::Unknown,
        };
        (j, looks)
    }

    fn median(&self, a: usize, b: usize, c: usize, swaps: &mut usize) -> usize {
        let mut ordered = |a: usize, b: usize| {
            if self.less(b, a) {
                *swaps += 1;
                (b, a)
            } else {
                (a, b)
            }
        };
        let (a, b) = ordered(a, b);
        let (b, _) = ordered(b, c);
        ordered(a, b).1
    }

    /// Whether the range is sorted, after a few out-of-order pairs have been mended.
    fn mend(&mut self, from: usize, to: usize) -> bool {
        let mut i = from + 1;
        for _ in 0..MENDS {
            while i < to && !self.less(i, i - 1) {
                i += 1;
            }
            if i == to {
                return true;
            }
            if to - from < NINTHER {
                return false;
            }
            self.swap(i, i - 1);
            if i - from >= 2 {
                self.sink(0, i - 1);
            }
            if to - i >= 2 {
                let mut j = i + 1;
                while j < to && self.less(j, j - 1) {
                    self.swap(j, j - 1);
                    j += 1;
                }
            }
        }
        false
    }

    /// Splits into what equals the pivot and what is greater.
    fn split_equal(&mut self, from: usize, to: usize, pivot: usize) -> usize {
        self.swap(from, pivot);
        let (mut i, mut j) = (from + 1, to - 1);
        loop {
            while i <= j && !self.less(from, i) {
                i += 1;
            }
            while i <= j && self.less(from, j) {
                j -= 1;
            }
            if i > j {
                return i;
            }
            self.swap(i, j);
            (i, j) = (i + 1, j - 1);
        }
    }

    /// Splits into what is less than the pivot and the rest: where the pivot stands then, and whether nothing had to move.
    fn split(&mut self, from: usize, to: usize, pivot: usize) -> (usize, bool) {
        self.swap(from, pivot);
        let (mut i, mut j) = (from + 1, to - 1);
        let mut untouched = true;
        loop {
            while i <= j && self.less(i, from) {
                i += 1;
            }
            while i <= j && !self.less(j, from) {
                j -= 1;
            }
            if i > j {
                self.swap(j, from);
                return (j, untouched);
            }
            untouched = false;
            self.swap(i, j);
            (i, j) = (i + 1, j - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_sorted_whatever_its_length_and_pattern() {
        for length in [0, 1, 2, 12, 13, 27, 50, 51, 200, 1_000] {
            for modulus in [1, 2, 3, 7, 1_000_003] {
                for (factor, step) in [(1, 0), (7_919, 3), (length + 1, 1)] {
                    let mut numbers: Vec<usize> = (0..length).map(|n| (n * factor + step) % modulus).collect();
                    let mut expected = numbers.clone();
                    expected.sort_unstable();
                    sort(&mut numbers, |a, b| a < b);
                    assert_eq!(numbers, expected, "{length} {modulus} {factor}");
                    numbers.reverse();
                    sort(&mut numbers, |a, b| a < b);
                    assert_eq!(numbers, expected, "reversed {length} {modulus}");
                }
            }
        }
    }

    /// Pods as the API server lists them, and as a recorded `kubectl get pods --sort-by=.status.phase` does.
    #[test]
    fn equals_come_in_the_order_of_the_real_kubectl() {
        let phases = "RRRPPRRRRRFPRPPRSPPSPPRRR";
        let mut pods: Vec<(char, usize)> = phases.chars().zip(0..).collect();
        sort(&mut pods, |a, b| a.0 < b.0);
        let order: Vec<usize> = pods.into_iter().map(|(_, n)| n).collect();
        let recorded = [10, 21, 20, 3, 4, 18, 17, 14, 13, 11, 6, 0, 12, 8, 7, 15, 24, 9, 5, 23, 2, 1, 22, 19, 16];
        assert_eq!(order, recorded);
    }

    #[test]
    fn short_lists_keep_the_order_of_equals() {
        let mut short: Vec<(u8, u8)> = (0..12).map(|n| (n % 2, n)).collect();
        sort(&mut short, |a, b| a.0 < b.0);
        assert!(short.is_sorted());
    }
}
