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
    let (mut our_cost, mut floor_cost) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            costing(&mut measured, &mut ours, &mut our_cost).await;
            costing(&mut floor, &mut floors, &mut floor_cost).await;
        } else {
            costing(&mut floor, &mut floors, &mut floor_cost).await;
            costing(&mut measured, &mut ours, &mut our_cost).await;
        }
    }
    eprintln!(
        "  processor time of this process, floor / measured: {:.2}",
        floor_cost.iter().sum::<f64>() / our_cost.iter().sum::<f64>()
    );
    (median(ours), median(floors))
}

/// Measures a rate, and the processor time that each unit of it took.
async fn costing(measure: &mut impl AsyncFnMut() -> f64, rates: &mut Vec<f64>, costs: &mut Vec<f64>) {
    let before = processor_ticks();
    let rate = measure().await;
    costs.push((processor_ticks() - before) / rate);
    rates.push(rate);
}

/// The processor time of this process, in the kernel's ticks: proc_pid_stat(5), utime and stime.
fn processor_ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = |at: usize| fields.split(' ').nth(at).unwrap().parse::<f64>().unwrap();
    ticks(11) + ticks(12)
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
