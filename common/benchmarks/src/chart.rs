//! Charts as SVG that stands inside a page and follows its theme, or in a file of its own.
//!
//! Text and axes have the colour of the page's text. A column has a colour that reads on light and
//! on dark, and a mark of its own shape for whoever does not see it.

use std::fmt::Write;

/// Of a chart, in its own units; its letters are readable when this is 330 pixels.
pub const WIDTH: f64 = 480.0;
/// The height of a line of text.
pub const FONT: f64 = 18.0;

/// A letter's, about: nobody knows the reader's font.
const LETTER: f64 = 0.54 * FONT;

/// How wide a text is, about.
pub fn width(text: &str) -> f64 {
    LETTER * text.chars().count() as f64
}

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
            Mark::Ours => "#d9480f",
            Mark::CPython => "#3776ab",
            Mark::Crate => "#2f8a3c",
            Mark::Limit => "#8a63b8",
        }
    }
}

/// A picture while it is drawn: one block of HTML without an empty line, which is how Markdown
/// wants it.
pub struct Svg(String);

impl Svg {
    /// The title and the description are for who cannot see it.
    pub fn new(name: &str, height: f64, title: &str, description: &str) -> Self {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             role=\"img\" aria-labelledby=\"{name}-title {name}-desc\" \
             style=\"display:block;width:100%;max-width:min(100%,500px);height:auto;\
             margin:1em auto\" \
             font-size=\"{FONT}\" fill=\"currentColor\">\n"
        );
        // In a file of its own it has to say what a page says otherwise.
        svg += "<style>svg:root{color-scheme:light dark;color:CanvasText;background:Canvas;\
                font-family:sans-serif}</style>\n";
        for (tag, text) in [("title", title), ("desc", description)] {
            let _ = writeln!(svg, "<{tag} id=\"{name}-{tag}\">{}</{tag}>", escape(text));
        }
        Svg(svg)
    }

    /// A thin line in the colour of the text.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), opacity: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.0,
            "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"currentColor\" \
             stroke-opacity=\"{opacity}\"/>"
        );
    }

    /// A text; `anchor` is `start`, `middle` or `end`.
    pub fn label(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }

    /// Through the points, with a mark at each.
    pub fn curve(&mut self, mark: Mark, points: &[(f64, f64)]) {
        let path: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1} {y:.1}"))
            .collect();
        let _ = writeln!(
            self.0,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            path.join("L"),
            mark.colour()
        );
        for (x, y) in points {
            self.mark(mark, *x, *y);
        }
    }

    /// One mark.
    pub fn mark(&mut self, mark: Mark, x: f64, y: f64) {
        let colour = mark.colour();
        let _ = match mark {
            Mark::Ours => writeln!(
                self.0,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>"
            ),
            Mark::CPython => writeln!(
                self.0,
                "<path d=\"M{x:.1} {y:.1}m-4.5-4.5h9v9h-9z\" fill=\"{colour}\"/>"
            ),
            Mark::Crate => writeln!(
                self.0,
                "<path d=\"M{x:.1} {y:.1}m0-6l6 10.5h-12z\" fill=\"{colour}\"/>"
            ),
            Mark::Limit => writeln!(
                self.0,
                "<path d=\"M{x:.1} {y:.1}m0-7l7 7-7 7-7-7z\" fill=\"none\" stroke=\"{colour}\" \
                 stroke-width=\"2\"/>"
            ),
        };
    }

    /// The whole picture.
    pub fn finish(mut self) -> String {
        self.0 += "</svg>\n";
        self.0
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
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

    /// The luminance of a colour, by the rules for accessible pages (WCAG 2).
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let part = u8::from_str_radix(&colour[at..at + 2], 16).expect("hexadecimal");
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    #[test]
    fn colours_stand_out_on_each_ground_of_mdbook() {
        // light, rust, coal, navy, ayu.
        for ground in ["#ffffff", "#e1e1db", "#131516", "#161923", "#0f1419"] {
            for mark in [Mark::Ours, Mark::CPython, Mark::Crate, Mark::Limit] {
                let (a, b) = (luminance(ground), luminance(mark.colour()));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 3.0, "{mark:?} on {ground}: {contrast:.2}");
            }
        }
    }

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
