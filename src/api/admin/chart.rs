//! A small chart of the last hour: one series, drawn as SVG on the server.

use maud::{Markup, html};

/// The drawing's size, in its own units.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;
/// One sample a minute.
const MINUTES: usize = 60;

/// Draws values of minutes, the last one being now; a gap is left where there is none. `label` says what they are.
pub(super) fn chart(label: &str, values: &[Option<f64>]) -> Markup {
    let top = most(values);
    let scale = if top > 0.0 { top } else { 1.0 };
    let latest = values.len().saturating_sub(1);
    let place = |at: usize, value: f64| {
        let ago = f64::from(u32::try_from(latest.saturating_sub(at)).unwrap_or(u32::MAX));
        let minutes = f64::from(u32::try_from(MINUTES).unwrap_or(u32::MAX));
        let x = WIDTH - WIDTH * ago / minutes;
        let y = (HEIGHT - 2.0).mul_add(1.0 - value / scale, 1.0);
        (x, y)
    };
    let mut steps = Vec::with_capacity(values.len());
    let mut pen_is_up = true;
    let mut last = None;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            pen_is_up = true;
            continue;
        };
        let (x, y) = place(at, *value);
        steps.push(format!("{}{x:.1} {y:.1}", if pen_is_up { "M" } else { "L" }));
        pen_is_up = false;
        last = Some((x, y));
    }
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" {
            title { (label) ", the last hour; at most " (number(most(values))) }
            line class="base" x1="0" x2=(WIDTH) y1=(HEIGHT - 1.0) y2=(HEIGHT - 1.0) {}
            @if !steps.is_empty() {
                path d=(steps.concat()) {}
            }
            @if let Some((x, y)) = last {
                // A line of no length, which stays round however the drawing is stretched.
                path class="now" d=(format!("M{x:.1} {y:.1}h0")) {}
            }
        }
    }
}

/// The largest of the values, which the drawing's upper edge stands for.
pub(super) fn most(values: &[Option<f64>]) -> f64 {
    values.iter().flatten().copied().fold(0.0_f64, f64::max)
}

/// A number as a person reads it: three digits that count.
pub(super) fn number(value: f64) -> String {
    if value >= 10_000.0 {
        format!("{:.0}k", value / 1_000.0)
    } else if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_lifts_the_pen_and_the_latest_is_at_the_right() {
        let drawn = chart("Lag", &[Some(1.0), Some(2.0), None, Some(4.0)]).into_string();
        assert!(
            drawn.contains("d=\"M228.0 35.5L232.0 24.0M240.0 1.0\""),
            "{drawn}"
        );
        assert!(drawn.contains("at most 4"), "{drawn}");
        assert!(!chart("Lag", &[]).into_string().contains("path"));
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        let shown = [0.0, 0.125, 3.0, 12.34, 123.4, 12_345.0].map(number);
        assert_eq!(shown, ["0", "0.12", "3", "12.3", "123", "12k"]);
    }
}
