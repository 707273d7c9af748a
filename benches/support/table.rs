//! The table that `make bench` shows: one row a figure, printed as it is measured and added to the file that
//! `POSTROOM_BENCH` names.

use std::{fmt::Display, fs::OpenOptions, io::Write, path::PathBuf};

/// What a ratio or a value has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Only told.
    Nothing,
}

impl Wanted {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Nothing => true,
        }
    }

    fn words(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}{unit}"),
            Self::AtMost(most) => format!("≤ {most}{unit}"),
            Self::Nothing => String::new(),
        }
    }
}

/// The rows of a run.
pub(crate) struct Table {
    file: Option<PathBuf>,
}

impl Table {
    /// Adds to the file that `POSTROOM_BENCH` names, if it names one.
    pub(crate) fn open() -> Self {
        Self {
            file: std::env::var_os("POSTROOM_BENCH").map(PathBuf::from),
        }
    }

    /// A figure beside its floor, both in `unit` (such as `/s`): wanted is their ratio.
    pub(crate) fn ratio(
        &mut self,
        what: impl Display,
        unit: &str,
        measured: f64,
        floor: f64,
        wanted: Wanted,
    ) {
        let ratio = measured / floor;
        let cells = [
            what.to_string(),
            format!("{}{unit}", figure(measured)),
            format!("{}{unit}", figure(floor)),
            format!("{ratio:.2}"),
            wanted.words(""),
        ];
        self.row(&cells, wanted.is_met(ratio));
    }

    /// A figure alone, in `unit` (such as ` ms`): wanted is itself.
    pub(crate) fn value(&mut self, what: impl Display, unit: &str, measured: f64, wanted: Wanted) {
        let cells = [
            what.to_string(),
            format!("{}{unit}", figure(measured)),
            String::new(),
            String::new(),
            wanted.words(unit),
        ];
        self.row(&cells, wanted.is_met(measured));
    }

    fn row(&mut self, cells: &[String], met: bool) {
        let line = format!("| {} | {} |", cells.join(" | "), if met { "" } else { "missed" });
        println!("{line}");
        if let Some(path) = &self.file {
            let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
            writeln!(file, "{line}").unwrap();
        }
    }
}

/// Three digits that mean something.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
