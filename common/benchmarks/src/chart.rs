//! Charts. A column has a colour of its own, and a mark of its own shape for whoever does not see it.

use std::ops::{Deref, DerefMut};

use picture::{BLUE, GREEN, ORANGE, PURPLE};
pub use picture::{FONT, width};

/// Of a chart, in its own units; its letters are readable when this is 330 pixels.
pub const WIDTH: f64 = 480.0;

/// What stands for a column: a shape and a colour.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mark {
    /// A disc.
    Ours,
    /// A square.
    CPython,
    /// A triangle.
    Crate,
    /// A rhombus, which leaves free what is under it.
    Limit,
}

impl Mark {
    /// That of the mark, wherever it stands.
    pub fn colour(self) -> &'static str {
        match self {
            Mark::Ours => ORANGE,
            Mark::CPython => BLUE,
            Mark::Crate => GREEN,
            Mark::Limit => PURPLE,
        }
    }
}

/// A chart while it is drawn.
pub struct Svg(picture::Svg);

impl Deref for Svg {
    type Target = picture::Svg;

    fn deref(&self) -> &picture::Svg {
        &self.0
    }
}

impl DerefMut for Svg {
    fn deref_mut(&mut self) -> &mut picture::Svg {
        &mut self.0
    }
}

impl Svg {
    /// The title and the description are for who cannot see it.
    pub fn new(name: &str, height: f64, title: &str, description: &str) -> Self {
        let size = (WIDTH, height);
        Svg(picture::Svg::new(name, size, 500, title, description))
    }

    /// Through the points, with a mark at each.
    pub fn curve(&mut self, mark: Mark, points: &[(f64, f64)]) {
        let path: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        self.element(format_args!(
            "<path d=\"M{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            path.join("L"),
            mark.colour()
        ));
        for (x, y) in points {
            self.mark(mark, *x, *y);
        }
    }

    /// One mark.
    pub fn mark(&mut self, mark: Mark, x: f64, y: f64) {
        let colour = mark.colour();
        match mark {
            Mark::Ours => self.element(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>"
            )),
            Mark::CPython => self.element(format_args!(
                "<path d=\"M{x:.1} {y:.1}m-4.5-4.5h9v9h-9z\" fill=\"{colour}\"/>"
            )),
            Mark::Crate => self.element(format_args!(
                "<path d=\"M{x:.1} {y:.1}m0-6l6 10.5h-12z\" fill=\"{colour}\"/>"
            )),
            Mark::Limit => self.element(format_args!(
                "<path d=\"M{x:.1} {y:.1}m0-7l7 7-7 7-7-7z\" fill=\"none\" stroke=\"{colour}\" \
                 stroke-width=\"2\"/>"
            )),
        }
    }

    /// The whole picture.
    pub fn finish(self) -> String {
        self.0.finish()
    }
}

/// A logarithmic axis from `from` to `to` in the picture, which begins and ends at a round
/// number.
pub struct Decades {
    ticks: Vec<f64>,
    range: (f64, f64),
    from: f64,
    to: f64,
}

impl Decades {
    /// With all the values on it; `None` for no values.
    pub fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| *value > 0.0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if most == 0.0 {
            return None;
        }
        let (first, last) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        let steps: Vec<f64> = (first..=last)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|step| decimal(step, power)))
            .collect();
        let begin = steps.iter().rposition(|step| *step <= least).unwrap_or(0);
        let end = steps.iter().position(|step| *step >= most);
        let end = end.unwrap_or(steps.len() - 1).max(begin + 1);
        let mut ticks = steps[begin..=end].to_vec();
        let range = (ticks[0], ticks[ticks.len() - 1]);
        // Powers of ten, and what is between where few of these would show.
        if range.1 / range.0 > 100.0 {
            ticks.retain(|tick| decimal(1.0, tick.log10().round() as i32) == *tick);
        }
        Some(Decades {
            ticks,
            range,
            from,
            to,
        })
    }

    /// The round numbers on it.
    pub fn ticks(&self) -> impl Iterator<Item = f64> {
        self.ticks.iter().copied()
    }

    /// Where a value is.
    pub fn at(&self, value: f64) -> f64 {
        let (least, most) = self.range;
        let share = (value / least).ln() / (most / least).ln();
        self.from + share * (self.to - self.from)
    }
}

/// The number nearest to `step` times ten to the `power`: 0.1, and not 0.10000000000000001.
fn decimal(step: f64, power: i32) -> f64 {
    if power < 0 {
        step / 10_f64.powi(-power)
    } else {
        step * 10_f64.powi(power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_numbers_on_it() {
        let axis = |values: &[f64]| {
            let axis = Decades::new(values.iter().copied(), 0.0, 100.0);
            axis.map(|axis| axis.ticks().collect::<Vec<_>>())
        };
        assert_eq!(axis(&[0.03, 70.0]), Some(vec![0.1, 1.0, 10.0, 100.0]));
        assert_eq!(axis(&[3.0, 9.0]), Some(vec![2.0, 5.0, 10.0]));
        assert_eq!(axis(&[2.0]), Some(vec![2.0, 5.0]));
        assert_eq!(axis(&[]), None);
        let axis = Decades::new([0.03, 70.0].into_iter(), 0.0, 100.0);
        let ends = axis.map(|axis| [0.02, 100.0].map(|end| axis.at(end).round()));
        assert_eq!(ends, Some([0.0, 100.0]));
    }
}
