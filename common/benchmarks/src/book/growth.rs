//! The series of the benchmark `growth`: how a cost grows with a size or a number.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::chart::{Decades, FONT, Mark, Svg, WIDTH, width};
use crate::markdown::{Figures, table};
use crate::numbers;
use crate::record::{GrowthLine, Rounds};

/// What a chart shows of a series.
struct Chart {
    name: &'static str,
    series: &'static str,
    title: &'static str,
    x: X,
    x_label: &'static str,
    y: Y,
    y_label: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum X {
    Bytes,
    Count,
}

#[derive(Clone, Copy, PartialEq)]
enum Y {
    PerSecond,
    /// Of operations that move as many bytes as `x` says.
    BytesPerSecond,
    Time,
}

#[rustfmt::skip]
const CHARTS: [Chart; 8] = [
    Chart {
        name: "size-items", series: "size",
        title: "A queue's items per second, by their size",
        x: X::Bytes, x_label: "size of an item",
        y: Y::PerSecond, y_label: "items per second",
    },
    Chart {
        name: "size-bytes", series: "size",
        title: "A queue's bytes per second, by the size of an item",
        x: X::Bytes, x_label: "size of an item",
        y: Y::BytesPerSecond, y_label: "bytes per second",
    },
    Chart {
        name: "pairs", series: "pairs",
        title: "A queue's items per second, by how many use it",
        x: X::Count, x_label: "producers, and as many consumers",
        y: Y::PerSecond, y_label: "8-byte items per second, all together",
    },
    Chart {
        name: "capacity", series: "capacity",
        title: "A queue's items per second, by its capacity",
        x: X::Bytes, x_label: "capacity of the queue",
        y: Y::PerSecond, y_label: "items per second",
    },
    Chart {
        name: "locks", series: "locks",
        title: "Lock, add 1, unlock, by how many do it",
        x: X::Count, x_label: "processes",
        y: Y::PerSecond, y_label: "additions per second, all together",
    },
    Chart {
        name: "memory", series: "memory",
        title: "Start and join a process, by its parent's memory",
        x: X::Bytes, x_label: "memory that the parent has in use",
        y: Y::Time, y_label: "time to start and join a process",
    },
    Chart {
        name: "echoes", series: "echoes",
        title: "Queue there and back, by how many pairs do it at once",
        x: X::Count, x_label: "pairs of processes at once",
        y: Y::PerSecond, y_label: "round trips per second, all together",
    },
    Chart {
        name: "streams", series: "streams",
        title: "Queues from one to one, by how many pairs do it at once",
        x: X::Count, x_label: "pairs of processes at once",
        y: Y::PerSecond, y_label: "8-byte items per second, all together",
    },
];

/// A line of a chart: its points in the order of the series.
struct Curve {
    column: String,
    what: String,
    points: Vec<(u64, f64)>,
}

impl Curve {
    fn at(&self, x: u64) -> Option<f64> {
        let point = self.points.iter().find(|point| point.0 == x);
        point.map(|(_, y)| *y)
    }

    fn mark(&self) -> Result<Mark> {
        Ok(match self.column.as_str() {
            "ours" | "fork" | "8B" => Mark::Ours,
            "cpython" => Mark::CPython,
            "crate" | "exec" | "1KiB" => Mark::Crate,
            "limit" => Mark::Limit,
            other => bail!("no mark for the column {other:?}"),
        })
    }
}

pub fn render(
    lines: &[(GrowthLine, Rounds)],
    figures: &mut Figures,
    files: &mut BTreeMap<String, String>,
) -> Result<()> {
    for (line, _) in lines {
        let known = CHARTS.iter().any(|chart| chart.series == line.series);
        ensure!(known, "no chart for the series {:?}", line.series);
    }
    for chart in &CHARTS {
        let curves = chart
            .curves(lines)
            .with_context(|| format!("no series {:?}", chart.series))?;
        chart.add_figures(&curves, figures);
        files.insert(format!("{}.md", chart.name), chart.table(&curves));
        files.insert(format!("{}.svg", chart.name), chart.draw(&curves)?);
    }
    Ok(())
}

impl Chart {
    fn curves(&self, lines: &[(GrowthLine, Rounds)]) -> Option<Vec<Curve>> {
        let mut curves: Vec<Curve> = Vec::new();
        for (line, rounds) in lines.iter().filter(|(line, _)| line.series == self.series) {
            let seconds = rounds.median_seconds;
            let y = match self.y {
                Y::PerSecond => 1.0 / seconds,
                Y::BytesPerSecond => line.x as f64 / seconds,
                Y::Time => seconds,
            };
            let known = curves.iter().position(|curve| curve.column == line.column);
            let curve = known.unwrap_or_else(|| {
                curves.push(Curve {
                    column: line.column.clone(),
                    what: line.what.clone(),
                    points: Vec::new(),
                });
                curves.len() - 1
            });
            curves[curve].points.push((line.x, y));
        }
        (!curves.is_empty()).then_some(curves)
    }

    fn show_x(&self, x: u64) -> String {
        match self.x {
            X::Bytes => numbers::size(x),
            X::Count => x.to_string(),
        }
    }

    fn show_y(&self, y: f64) -> String {
        match self.y {
            Y::PerSecond => numbers::count(y),
            Y::BytesPerSecond => numbers::bytes_per_second(y),
            Y::Time => numbers::time(y),
        }
    }

    /// All values of `x`, in order.
    fn xs(curves: &[Curve]) -> Vec<u64> {
        let points = curves.iter().flat_map(|curve| &curve.points);
        let mut xs: Vec<u64> = points.map(|(x, _)| *x).collect();
        xs.sort_unstable();
        xs.dedup();
        xs
    }

    /// `pairs-8-ours`, `size-bytes-4KiB-limit`; `pairs-8-x-cpython` for how many times as fast.
    fn add_figures(&self, curves: &[Curve], figures: &mut Figures) {
        for (number, curve) in curves.iter().enumerate() {
            for &(x, y) in &curve.points {
                let at = format!("{}-{}", self.name, self.show_x(x).replace(' ', ""));
                let value = match self.y {
                    Y::PerSecond => numbers::count_in_words(y),
                    _ => self.show_y(y),
                };
                figures.add(&format!("{at}-{}", curve.column), &value);
                if number > 0
                    && let Some(first) = curves[0].at(x)
                {
                    let times = if self.y == Y::Time {
                        y / first
                    } else {
                        first / y
                    };
                    let name = format!("{at}-x-{}", curve.column);
                    figures.add(&name, &numbers::ratio(times));
                }
            }
        }
    }

    fn table(&self, curves: &[Curve]) -> String {
        let mut head = vec![self.x_label.to_owned()];
        head.extend(curves.iter().map(|curve| curve.what.clone()));
        let mut rows = vec![head];
        for x in Self::xs(curves) {
            let value = |curve: &Curve| curve.at(x).map_or_else(String::new, |y| self.show_y(y));
            let mut row = vec![self.show_x(x)];
            row.extend(curves.iter().map(value));
            rows.push(row.iter().map(|cell| cell.replace(' ', "&nbsp;")).collect());
        }
        let (first, rest) = self.y_label.split_at(1);
        format!("{}{rest}:\n\n{}", first.to_uppercase(), table(&rows))
    }

    /// What one sees, for who does not.
    fn description(&self, curves: &[Curve]) -> String {
        let xs = Self::xs(curves);
        let mut text = format!(
            "A chart with logarithmic axes: {} over {}, from {} to {}.",
            self.y_label,
            self.x_label,
            self.show_x(xs[0]),
            self.show_x(xs[xs.len() - 1])
        );
        for curve in curves {
            let [first, .., last] = &curve.points[..] else {
                let (x, y) = curve.points[0];
                text += &format!(" {}: {} at {}.", curve.what, self.show_y(y), self.show_x(x));
                continue;
            };
            let by = |a: &&(u64, f64), b: &&(u64, f64)| a.1.total_cmp(&b.1);
            let (least, most) = (
                curve.points.iter().min_by(by),
                curve.points.iter().max_by(by),
            );
            let show = |(x, y): &(u64, f64)| format!("{} at {}", self.show_y(*y), self.show_x(*x));
            text += &format!(" {}: from {} to {}", curve.what, show(first), show(last));
            for (name, extreme) in [("lowest", least), ("highest", most)] {
                if let Some(point) = extreme
                    && point.0 != first.0
                    && point.0 != last.0
                {
                    text += &format!(", {name} {}", show(point));
                }
            }
            text += ".";
        }
        text
    }

    fn draw(&self, curves: &[Curve]) -> Result<String> {
        let (height, top, bottom) = (360.0, 40.0, 302.0);
        let xs = Self::xs(curves);
        let ys = curves.iter().flat_map(|curve| &curve.points);
        let y_axis = Decades::new(ys.map(|point| point.1), bottom, top).context("no points")?;
        let widest = |texts: &mut dyn Iterator<Item = String>| {
            texts.map(|text| width(&text)).fold(0.0, f64::max)
        };
        let show_tick = |tick| numbers::without_zeros(&self.show_y(tick));
        let left = widest(&mut y_axis.ticks().map(&show_tick)) + 14.0;
        let right = WIDTH - widest(&mut curves.iter().map(|curve| curve.what.clone())) - 18.0;
        let (least, most) = (xs[0] as f64, xs[xs.len() - 1] as f64);
        let x_at = |x: u64| left + (x as f64 / least).ln() / (most / least).ln() * (right - left);

        let mut svg = Svg::new(self.name, height, self.title, &self.description(curves));
        svg.label(2.0, 18.0, "start", self.y_label);
        for tick in y_axis.ticks() {
            let y = y_axis.at(tick);
            svg.line((left, y), (right, y), 0.2);
            svg.label(left - 10.0, y + 6.0, "end", &show_tick(tick));
        }
        // From the right, since the last one matters most, and as many as there is room for.
        let mut free = f64::INFINITY;
        for &x in xs.iter().rev() {
            let (at, label) = (x_at(x), self.show_x(x));
            svg.line((at, bottom), (at, bottom + 5.0), 0.6);
            let half = width(&label) / 2.0;
            if at + half < free {
                svg.label(at, bottom + 24.0, "middle", &label);
                free = at - half - 6.0;
            }
        }
        svg.line((left, bottom), (right, bottom), 0.6);
        svg.label((left + right) / 2.0, height - 8.0, "middle", self.x_label);
        let mut ends = Vec::new();
        for curve in curves {
            let points: Vec<_> = curve
                .points
                .iter()
                .map(|&(x, y)| (x_at(x), y_axis.at(y)))
                .collect();
            svg.curve(curve.mark()?, &points);
            let (x, y) = points[points.len() - 1];
            ends.push((y, (x, y), &curve.what));
        }
        spread(&mut ends, top, bottom);
        for (y, (x, end), what) in ends {
            if (y - end).abs() > 3.0 {
                svg.line((x + 5.0, end), (x + 12.0, y), 0.6);
            }
            svg.label(x + 13.0, y + 6.0, "start", what);
        }
        Ok(svg.finish())
    }
}

/// Moves labels apart that would cover each other, as little as it takes.
fn spread<P, T>(labels: &mut [(f64, P, T)], top: f64, bottom: f64) {
    let apart = FONT + 2.0;
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = top;
    for label in labels.iter_mut() {
        label.0 = label.0.max(free);
        free = label.0 + apart;
    }
    let mut free = bottom;
    for label in labels.iter_mut().rev() {
        label.0 = label.0.min(free);
        free = label.0 - apart;
    }
}
