//! The report, in the shape that people and scripts read.

use serde::Serialize;

/// One area's figures.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The area.
    pub area: String,
    /// The figures.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The unit of all its figures.
    pub unit: &'static str,
    /// How many times.
    pub n: usize,
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// What it is compared with, in the same run.
    pub baseline: Option<Baseline>,
    /// `p50` over the baseline's.
    pub ratio: Option<f64>,
    /// What it should be, in words.
    pub target: Option<String>,
    /// Whether it is.
    pub met: Option<bool>,
}

/// What a figure is compared with.
#[derive(Debug, Serialize)]
pub struct Baseline {
    /// What was measured.
    pub name: String,
    /// Its median, in the row's unit.
    pub p50: f64,
}

impl Row {
    /// A row of times in nanoseconds, beside the times of its baseline. `targets` are the most that
    /// `p50` and `p99` should be, in microseconds.
    pub(super) fn timed(
        name: &str,
        mut times_ns: Vec<u64>,
        (baseline, mut baseline_ns): (&str, Vec<u64>),
        targets: (Option<f64>, Option<f64>),
    ) -> Self {
        let [p50, p99, max] = [50, 99, 100].map(|percent| quantile_us(&mut times_ns, percent));
        let base = quantile_us(&mut baseline_ns, 50);
        let words: Vec<String> = [("p50", targets.0), ("p99", targets.1)]
            .into_iter()
            .filter_map(|(which, most)| Some(format!("{which} <= {} us", most?)))
            .collect();
        let met =
            targets.0.is_none_or(|most| p50 <= most) && targets.1.is_none_or(|most| p99 <= most);
        let has_target = !words.is_empty();
        Self {
            name: name.to_owned(),
            unit: "us",
            n: times_ns.len(),
            p50,
            p99,
            max,
            baseline: Some(Baseline { name: baseline.to_owned(), p50: base }),
            ratio: (base > 0.0).then(|| p50 / base),
            target: has_target.then(|| words.join(", ")),
            met: has_target.then_some(met),
        }
    }
}

impl Report {
    /// The table for people.
    pub fn table(&self) -> String {
        let figures = ["", "n", "p50 us", "p99 us", "max us"];
        let beside = ["baseline", "p50 us", "ratio", "target", "met"];
        let head: Vec<&str> = figures.into_iter().chain(beside).collect();
        let mut lines = vec![head.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()];
        for row in &self.rows {
            let baseline = row.baseline.as_ref();
            lines.push(vec![
                row.name.clone(),
                row.n.to_string(),
                format!("{:.1}", row.p50),
                format!("{:.1}", row.p99),
                format!("{:.1}", row.max),
                baseline.map_or_else(|| "-".to_owned(), |b| b.name.clone()),
                baseline.map_or_else(|| "-".to_owned(), |b| format!("{:.1}", b.p50)),
                row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
                row.target.clone().unwrap_or_else(|| "-".to_owned()),
                row.met.map_or("-", |met| if met { "yes" } else { "NO" }).to_owned(),
            ]);
        }
        let widths: Vec<usize> = (0..head.len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        let rows = lines.iter().map(|line| {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        });
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// The quantile by nearest rank, in microseconds; 0 for no times.
fn quantile_us(times_ns: &mut [u64], percent: usize) -> f64 {
    times_ns.sort_unstable();
    let rank = (times_ns.len() * percent).div_ceil(100).saturating_sub(1);
    times_ns.get(rank).map_or(0.0, |ns| *ns as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let mut times: Vec<u64> = (1..=100).rev().map(|i| i * 1_000).collect();
        assert_eq!(quantile_us(&mut times, 50), 50.0);
        assert_eq!(quantile_us(&mut times, 99), 99.0);
        assert_eq!(quantile_us(&mut [7_000], 99), 7.0);
        assert_eq!(quantile_us(&mut [], 99), 0.0);
    }

    #[test]
    fn a_target_is_met_only_when_both_quantiles_are() {
        let row = |targets| Row::timed("x", vec![1_000, 9_000], ("y", vec![500]), targets);
        assert_eq!(row((Some(1.0), Some(9.0))).met, Some(true));
        assert_eq!(row((Some(1.0), Some(8.0))).met, Some(false));
        assert_eq!(row((None, None)).met, None);
        assert_eq!(row((None, None)).ratio, Some(2.0));
    }
}
