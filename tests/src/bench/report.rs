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
    /// The least.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The most.
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
    /// Its least, in the row's unit.
    pub min: f64,
    /// Its median.
    pub p50: f64,
}

/// What a figure should be. What is `None` is not asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Target {
    /// The most that the median should be, in microseconds.
    pub(super) p50_us: Option<f64>,
    /// The most that the 99th percentile should be, in microseconds.
    pub(super) p99_us: Option<f64>,
    /// The most that the median should be above the baseline's, in microseconds.
    pub(super) added_us: Option<f64>,
    /// The most that the median should be of the baseline's.
    pub(super) ratio: Option<f64>,
}

impl Row {
    /// A row of times in nanoseconds, beside the times of its baseline.
    pub(super) fn timed(
        name: &str,
        mut times_ns: Vec<u64>,
        (baseline, mut baseline_ns): (&str, Vec<u64>),
        target: Target,
    ) -> Self {
        let [min, p50, p99, max] =
            [0, 50, 99, 100].map(|percent| quantile_us(&mut times_ns, percent));
        let [base_min, base] = [0, 50].map(|percent| quantile_us(&mut baseline_ns, percent));
        let ratio = (base > 0.0).then(|| p50 / base);
        let asked = [
            (target.p50_us, "p50 <= {} us", Some(p50)),
            (target.p99_us, "p99 <= {} us", Some(p99)),
            (target.added_us, "p50 <= baseline + {} us", Some(p50 - base)),
            (target.ratio, "ratio <= {}", ratio),
        ];
        let asked = asked.into_iter().filter_map(|(most, words, found)| {
            let most = most?;
            let met = found.is_some_and(|found| found <= most);
            Some((words.replace("{}", &most.to_string()), met))
        });
        let (words, met): (Vec<String>, Vec<bool>) = asked.unzip();
        let has_target = !words.is_empty();
        Self {
            name: name.to_owned(),
            unit: "us",
            n: times_ns.len(),
            min,
            p50,
            p99,
            max,
            baseline: Some(Baseline { name: baseline.to_owned(), min: base_min, p50: base }),
            ratio,
            target: has_target.then(|| words.join(", ")),
            met: has_target.then(|| met.into_iter().all(|met| met)),
        }
    }

    /// A row of one value, which should be `most` or less; it has no baseline.
    pub(super) fn single(name: &str, unit: &'static str, n: usize, value: f64, most: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            n,
            min: value,
            p50: value,
            p99: value,
            max: value,
            baseline: None,
            ratio: None,
            target: Some(format!("<= {most} {unit}")),
            met: Some(value <= most),
        }
    }

    /// A row of calls a second, one figure for each round. `least` is what the median should be.
    pub(super) fn rate(
        name: &str,
        mut rates: Vec<f64>,
        (baseline, mut baseline_rates): (&str, Vec<f64>),
        least: Option<f64>,
    ) -> Self {
        let [min, p50, p99, max] = [0, 50, 99, 100].map(|percent| quantile(&mut rates, percent));
        let [base_min, base] = [0, 50].map(|percent| quantile(&mut baseline_rates, percent));
        Self {
            name: name.to_owned(),
            unit: "calls/s",
            n: rates.len(),
            min,
            p50,
            p99,
            max,
            baseline: Some(Baseline { name: baseline.to_owned(), min: base_min, p50: base }),
            ratio: (base > 0.0).then(|| p50 / base),
            target: least.map(|least| format!("p50 >= {least} calls/s")),
            met: least.map(|least| p50 >= least),
        }
    }
}

impl Report {
    /// The table for people.
    pub fn table(&self) -> String {
        let head = [
            "", "unit", "n", "min", "p50", "p99", "max", "baseline", "min", "p50", "ratio",
            "target", "met",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        for row in &self.rows {
            let baseline = row.baseline.as_ref();
            lines.push([
                row.name.clone(),
                row.unit.to_owned(),
                row.n.to_string(),
                format!("{:.2}", row.min),
                format!("{:.2}", row.p50),
                format!("{:.2}", row.p99),
                format!("{:.1}", row.max),
                baseline.map_or_else(|| "-".to_owned(), |b| b.name.clone()),
                baseline.map_or_else(|| "-".to_owned(), |b| format!("{:.2}", b.min)),
                baseline.map_or_else(|| "-".to_owned(), |b| format!("{:.2}", b.p50)),
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
    times_ns.get(rank(times_ns.len(), percent)).map_or(0.0, |ns| *ns as f64 / 1e3)
}

/// The quantile by nearest rank; 0 for no figures.
fn quantile(figures: &mut [f64], percent: usize) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(rank(figures.len(), percent)).copied().unwrap_or_default()
}

fn rank(n: usize, percent: usize) -> usize {
    (n * percent).div_ceil(100).saturating_sub(1)
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
    fn a_rate_is_to_be_no_less_than_its_target() {
        let row = |least| Row::rate("x", vec![3.0, 1.0, 2.0], ("y", vec![4.0]), least);
        assert_eq!(row(Some(2.0)).met, Some(true));
        assert_eq!(row(Some(2.1)).met, Some(false));
        let row = row(None);
        assert_eq!((row.min, row.p50, row.max, row.ratio), (1.0, 2.0, 3.0, Some(0.5)));
    }

    #[test]
    fn a_target_is_met_only_when_all_of_it_is() {
        let row = |target| Row::timed("x", vec![1_000, 9_000], ("y", vec![500]), target);
        let (yes, no) = (Some(true), Some(false));
        let none = Target::default();
        for (target, met) in [
            (Target { p50_us: Some(1.0), p99_us: Some(9.0), ..none }, yes),
            (Target { p50_us: Some(1.0), p99_us: Some(8.0), ..none }, no),
            (Target { added_us: Some(0.5), ratio: Some(2.0), ..none }, yes),
            (Target { added_us: Some(0.4), ratio: Some(2.0), ..none }, no),
            (Target { added_us: Some(0.5), ratio: Some(1.9), ..none }, no),
            (none, None),
        ] {
            assert_eq!(row(target).met, met, "{target:?}");
        }
        let row = row(none);
        assert_eq!((row.min, row.p50, row.max, row.ratio), (1.0, 1.0, 9.0, Some(2.0)));
    }
}
