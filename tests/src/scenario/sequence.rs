//! What two sequences have in common.

/// The longest common subsequence of `left` and `right`, as pairs of indices in rising order.
pub fn common<T: PartialEq>(left: &[T], right: &[T]) -> Vec<(usize, usize)> {
    let width = right.len() + 1;
    // best[i * width + j]: the length for left[i..] and right[j..].
    let mut best = vec![0_u32; (left.len() + 1) * width];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            best[i * width + j] = if left[i] == right[j] {
                best[(i + 1) * width + j + 1] + 1
            } else {
                best[(i + 1) * width + j].max(best[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < left.len() && j < right.len() {
        if left[i] == right[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Pairs up interchangeable sequences so that they have as much in common as possible: equal ones first, then greedily by what
/// they share. Ones without a partner come with `None`.
pub fn pair_up<T: PartialEq>(left: &[Vec<T>], right: &[Vec<T>]) -> Vec<(Option<usize>, Option<usize>)> {
    let mut open_left: Vec<usize> = (0..left.len()).collect();
    let mut open_right: Vec<usize> = (0..right.len()).collect();
    let mut pairs = Vec::new();
    open_left.retain(|&i| {
        let twin = open_right.iter().position(|&j| left[i] == right[j]);
        twin.map(|at| pairs.push((Some(i), Some(open_right.remove(at))))).is_none()
    });
    for i in open_left {
        let closest = (0..open_right.len()).max_by_key(|&at| {
            let other = &right[open_right[at]];
            let shared = common(&left[i], other).len();
            // Of those that share as much, the one with the least beside it; of those, the first.
            (2 * shared as i64 - other.len() as i64, std::cmp::Reverse(at))
        });
        pairs.push((Some(i), closest.map(|at| open_right.remove(at))));
    }
    pairs.extend(open_right.into_iter().map(|j| (None, Some(j))));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_common_subsequence_is_found() {
        let (left, right) = (b"abcbdab", b"bdcaba");
        assert_eq!(common(left, right).len(), 4);
        assert_eq!(common(b"abc", b"abc"), [(0, 0), (1, 1), (2, 2)]);
        assert!(common::<u8>(b"", b"abc").is_empty());
    }

    #[test]
    fn interchangeable_sequences_find_their_closest_partner() {
        let left = [b"abx".to_vec(), b"abc".to_vec(), b"q".to_vec()];
        let right = [b"abc".to_vec(), b"abxy".to_vec()];
        assert_eq!(pair_up(&left, &right), [(Some(1), Some(0)), (Some(0), Some(1)), (Some(2), None)]);
    }
}
