//! Rounds: what is measured and its floor by turns, so that a busy machine slows both alike.

/// The medians of what is measured and of its floor over so many rounds of both, after one round that is not counted.
/// The one that comes first changes from round to round.
pub(crate) async fn by_turns(
    rounds: usize,
    mut measured: impl AsyncFnMut() -> f64,
    mut floor: impl AsyncFnMut() -> f64,
) -> (f64, f64) {
    measured().await;
    floor().await;
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            ours.push(measured().await);
            floors.push(floor().await);
        } else {
            floors.push(floor().await);
            ours.push(measured().await);
        }
    }
    (median(ours), median(floors))
}

/// The median.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    percentile(values, 50)
}

/// The value that so many percent of the values do not exceed.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
