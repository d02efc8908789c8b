//! The rows of the benchmark `peers`: each next to CPython, another crate and the limit.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::chart::{Decades, Mark, Svg, WIDTH, width};
use crate::markdown::{Figures, table};
use crate::numbers::{ratio, time, wanted};
use crate::record::{Column, Met, PeersLine, Rounds, Unit};

/// One figure of one row.
struct Figure {
    line: PeersLine,
    seconds: f64,
}

impl Figure {
    fn value(&self) -> String {
        self.line.unit.show(self.seconds)
    }
}

/// What is known of a row, column by column.
struct Row([Option<Figure>; 4]);

impl Row {
    fn any(&self) -> Option<&PeersLine> {
        self.0.iter().flatten().next().map(|figure| &figure.line)
    }

    fn title(&self) -> &str {
        self.any().map_or("", |line| &line.title)
    }

    /// How many times as fast as CPython each column is.
    fn speeds(&self) -> Option<[Option<f64>; 4]> {
        let cpython = self.0[1].as_ref()?;
        if cpython.line.unit == Unit::Cpu {
            // To wait for less is not to be faster.
            return None;
        }
        let mut speeds = [0, 1, 2, 3].map(|column| {
            let figure = self.0[column].as_ref()?;
            Some(cpython.seconds / figure.seconds)
        });
        // The same number as in the table: the median of the rounds' ratios.
        speeds[0] = cpython.line.ours_times_as_fast;
        Some(speeds)
    }
}

pub fn render(
    lines: Vec<(PeersLine, Rounds)>,
    figures: &mut Figures,
    files: &mut BTreeMap<String, String>,
) -> Result<()> {
    let mut rows: Vec<Row> = Vec::new();
    for (line, rounds) in lines {
        let last = rows.last().and_then(Row::any);
        if last.is_none_or(|last| last.row != line.row) {
            rows.push(Row([None, None, None, None]));
        }
        let row = rows.last_mut().context("no row")?;
        let place = &mut row.0[line.column as usize];
        ensure!(place.is_none(), "{} twice", line.row);
        let figure = place.insert(Figure {
            line,
            seconds: rounds.median_seconds,
        });
        let (row, column) = (&figure.line.row, figure.line.column.word());
        figures.add(&format!("{row}-{column}"), &figure.value());
        if let Some(times) = figure.line.ours_times_as_fast {
            figures.add(&format!("{row}-x-{column}"), &ratio(times));
        }
    }
    files.insert("peers.md".into(), peers_table(&rows));
    files.insert("peers.svg".into(), peers_chart(&rows)?);
    Ok(())
}

fn peers_table(rows: &[Row]) -> String {
    let head = [
        "operation",
        "ours",
        "CPython",
        "another crate",
        "the limit",
        "met",
    ];
    let mut cells = vec![head.map(String::from).to_vec()];
    for row in rows {
        let mut line = vec![row.title().to_owned()];
        line.extend(
            row.0
                .iter()
                .map(|column| column.as_ref().map_or_else(String::new, cell)),
        );
        let met = row.0.iter().flatten().filter_map(|figure| figure.line.met);
        line.push(
            met.min()
                .map_or_else(String::new, |met| met.word().to_owned()),
        );
        cells.push(line);
    }
    format!(
        "{}\n× says how many times as fast ours is, the median of the rounds' ratios. In brackets: \
         the least that\nwe want; **bold** where that was missed.\n",
        table(&cells)
    )
}

/// `9.48 µs`, `41× (15)` and what it is where the column does not say, below each other.
fn cell(figure: &Figure) -> String {
    let line = &figure.line;
    let mut parts = vec![figure.value()];
    let times = line
        .ours_times_as_fast
        .map(|times| format!("{}×", ratio(times)));
    let times = times.map(|times| match line.met {
        Some(Met::No) => format!("**{times}**"),
        _ => times,
    });
    let bar = line.bar.map(|bar| match line.unit {
        Unit::Cpu if line.column == Column::Ours => format!("({})", time(bar)),
        _ => format!("({})", wanted(bar)),
    });
    let comparison: Vec<_> = [times, bar].into_iter().flatten().collect();
    if !comparison.is_empty() {
        parts.push(comparison.join(" "));
    }
    // A number is not parted from what belongs to it.
    for part in &mut parts {
        *part = part.replace(' ', "&nbsp;");
    }
    if matches!(line.column, Column::Crate | Column::Limit) {
        parts.push(line.what.clone());
    }
    parts.join("<br>")
}

const ROW_HEIGHT: f64 = 48.0;
const TOP: f64 = 76.0;

fn peers_chart(rows: &[Row]) -> Result<String> {
    let rows: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.speeds()?)))
        .collect();
    let speeds = rows.iter().flat_map(|(_, speeds)| speeds).flatten();
    let axis = Decades::new(speeds.copied(), 24.0, WIDTH - 24.0).context("nothing to draw")?;
    let mut text = String::from(
        "A chart on a logarithmic scale, with a line for each operation; further right is faster, \
         and CPython is at 1.",
    );
    for (row, speeds) in &rows {
        text += &format!(" {}:", row.title());
        let names = [
            "ours",
            "",
            row.0[2].as_ref().map_or("", |figure| &figure.line.what),
            row.0[3].as_ref().map_or("", |figure| &figure.line.what),
        ];
        let parts: Vec<_> = names
            .iter()
            .zip(speeds)
            .filter(|(name, _)| !name.is_empty())
            .filter_map(|(name, speed)| Some(format!(" {name} {}", ratio((*speed)?))))
            .collect();
        text += &format!("{}.", parts.join(";"));
    }
    let height = TOP + rows.len() as f64 * ROW_HEIGHT + 30.0;
    let mut svg = Svg::new("peers", height, "How many times as fast as CPython", &text);

    let legend = [
        (Mark::Ours, "ours"),
        (Mark::CPython, "CPython"),
        (Mark::Crate, "another crate"),
        (Mark::Limit, "the limit"),
    ];
    let mut x = 20.0;
    for (mark, name) in legend {
        svg.mark(mark, x, 12.0);
        svg.label(x + 10.0, 18.0, "start", name);
        x += 28.0 + width(name);
    }
    svg.label(WIDTH / 2.0, 42.0, "middle", "times as fast as CPython →");
    let bottom = height - 24.0;
    for tick in axis.ticks() {
        let x = axis.at(tick);
        for y in [TOP - 13.0, bottom + 17.0] {
            svg.label(x, y, "middle", &format!("{tick}"));
        }
    }
    for (number, (row, speeds)) in rows.iter().enumerate() {
        let y = TOP + number as f64 * ROW_HEIGHT;
        svg.label(4.0, y + 14.0, "start", row.title());
        if let Some(ours) = speeds[0] {
            svg.label(WIDTH - 4.0, y + 14.0, "end", &format!("{}×", ratio(ours)));
        }
        let y = y + 31.0;
        // Beside the titles and not through them.
        for tick in axis.ticks() {
            let opacity = if tick == 1.0 { 0.7 } else { 0.25 };
            svg.line(
                (axis.at(tick), y - 10.0),
                (axis.at(tick), y + 10.0),
                opacity,
            );
        }
        let ends: Vec<_> = speeds
            .iter()
            .flatten()
            .map(|speed| axis.at(*speed))
            .collect();
        let least = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ends.iter().copied().fold(0.0, f64::max);
        svg.line((least, y), (most, y), 0.5);
        // Ours on top of what it is compared with.
        for (column, mark) in [
            (1, Mark::CPython),
            (2, Mark::Crate),
            (0, Mark::Ours),
            (3, Mark::Limit),
        ] {
            if let Some(speed) = speeds[column] {
                svg.mark(mark, axis.at(speed), y);
            }
        }
    }
    Ok(svg.finish())
}
