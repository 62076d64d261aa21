//! The names of lines, at their ends, moved apart where they would cover each other.

/// Moves labels of one height apart, as little as need be, within `top..bottom`; the answer is each one's middle, in the
/// order of the wishes. They fit if `wishes.len() * height` is no more than there is.
pub(super) fn spread_out(wishes: &[f64], height: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by(|&a, &b| wishes[a].total_cmp(&wishes[b]).then(a.cmp(&b)));
    let mut places = vec![0.0; wishes.len()];
    // Downwards no closer than a height, then upwards from the end if that went too far.
    let mut least = top + height / 2.0;
    for &index in &order {
        places[index] = wishes[index].max(least);
        least = places[index] + height;
    }
    let mut most = bottom - height / 2.0;
    for &index in order.iter().rev() {
        places[index] = places[index].min(most);
        most = places[index] - height;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_apart_stay_and_others_move_just_enough() {
        assert_eq!(spread_out(&[50.0, 10.0], 10.0, (0.0, 100.0)), [50.0, 10.0]);
        assert_eq!(spread_out(&[50.0, 50.0, 52.0], 10.0, (0.0, 100.0)), [50.0, 60.0, 70.0]);
        assert_eq!(spread_out(&[98.0, 97.0, 99.0], 10.0, (0.0, 100.0)), [85.0, 75.0, 95.0]);
        assert_eq!(spread_out(&[0.0], 10.0, (0.0, 100.0)), [5.0]);
    }
}
