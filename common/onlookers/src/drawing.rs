//! A run as an SVG picture: a row for each process, time from left to right.

use std::collections::BTreeMap;
use std::time::Duration;

use common::trace::{Act, ObjectId};
use picture::{BLUE, FONT, GREEN, ORANGE, PURPLE, Svg, escape, width};

use crate::run::{Arrow, Bar, Doing, Going, Moment, Point, Run};
use crate::view::{Axis, Choice, View, time};
use crate::words;

/// In the picture's units; a phone shows 480 of them or more, and the rest when it is moved.
const WIDTH: f64 = 720.0;
const MARGIN: f64 = 8.0;
/// Of a row: its name, and its bars below.
const NAME: f64 = FONT + 2.0;
const BAR: f64 = 26.0;
/// What is held leaves room below for what is waited for meanwhile.
const HOLD: f64 = 20.0;
const ROW: f64 = NAME + BAR + 8.0;
/// So high is the end of an arrow whose other end is not shown.
const STUB: f64 = 12.0;
/// Beside a label, in its bar.
const PADDING: f64 = 7.0;

const TASK: &str = "fill=\"currentColor\" fill-opacity=\"0.18\"";
const CALL: &str = "fill=\"currentColor\" fill-opacity=\"0.6\"";
const WAIT: &str = "stroke-width=\"4\" stroke-dasharray=\"5 3\"";

const COLOURS: [&str; 4] = [ORANGE, BLUE, GREEN, PURPLE];

/// Draws it. The name is for the picture's parts: no other picture of a page has it.
pub fn draw(run: &Run, choice: &Choice, name: &str, title: &str) -> String {
    let mut view = View::of(run, choice);
    if choice.is_to_scale {
        (view.arrows, view.cut) = (Vec::new(), Vec::new()); // they would cover each other
    }
    let ends = (MARGIN + 4.0, WIDTH - MARGIN - 12.0);
    let labels = view.bars.iter().filter_map(|bar| {
        let (text, (from, to)) = (label(bar)?, free(&view, bar));
        Some((from, to, width(&text) + 2.0 * PADDING))
    });
    let axis = Axis::new(&view, choice.is_to_scale, ends, &labels.collect::<Vec<_>>());
    let scale = (!view.moments.is_empty()).then_some(NAME + 8.0);
    let colours = colours(&view);
    let legend = legend(&view, &colours);
    let rows = view.processes.len() as f64 * ROW;
    // A phone shows so much of it at first.
    let lines = legend_lines(&legend, 0.72 * WIDTH);
    let height = rows + scale.unwrap_or(0.0) + lines.len() as f64 * (FONT + 8.0) + MARGIN;
    let size = ((axis.end() + MARGIN + 12.0).max(WIDTH), height);
    let mut drawing = Drawing {
        rows: view
            .processes
            .iter()
            .zip(0..)
            .map(|(at, row)| (*at, f64::from(row) * ROW))
            .collect(),
        colours,
        svg: Svg::new(
            name,
            size,
            size.0 as u32,
            title,
            &words::all(&view).join(" "),
        ),
        view: &view,
        axis: &axis,
        name,
    };
    drawing.marker();
    drawing.breaks(rows);
    for &row in &view.processes {
        drawing.process(row);
    }
    for bar in &view.bars {
        drawing.bar(bar);
    }
    for service in &view.services {
        let (x, y) = (axis.at(service.at), drawing.bars_of(service.process));
        drawing.svg.line((x, y + 5.0), (x, y + BAR - 5.0), 0.8);
    }
    for close in &view.closes {
        let (x, top) = (axis.at(close.at), drawing.bars_of(close.process));
        drawing.close(x, top + BAR / 2.0);
    }
    for arrow in &view.arrows {
        let (from, to) = (drawing.point(arrow.from), drawing.point(arrow.to));
        drawing.arrow(arrow.what, from, to);
    }
    for arrow in &view.cut {
        drawing.stub(arrow);
    }
    for &row in &view.processes {
        drawing.end(row);
    }
    drawing.scale(rows, size.0);
    let top = rows + scale.unwrap_or(0.0) + FONT;
    for (line, at) in lines.iter().zip(0..) {
        let mut x = MARGIN;
        for sign in line {
            drawing.sign(sign, x, top + f64::from(at) * (FONT + 8.0));
            x += sign.width();
        }
    }
    drawing.svg.finish()
}

/// What stands in a bar.
fn label(bar: &Bar) -> Option<String> {
    match bar.doing {
        Doing::Hold {
            found: Some(found),
            left,
            ..
        } => Some(match left {
            Some(left) if left != found => format!("{found}→{left}"),
            _ => found.to_string(),
        }),
        Doing::Task(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The part of a bar that no other lock is held in, or the first.
fn free(view: &View, bar: &Bar) -> (Moment, Moment) {
    let within = view.bars.iter().filter(|it| {
        let is_hold = matches!(it.doing, Doing::Hold { .. });
        it.process == bar.process && is_hold && bar.from < it.from && it.from < bar.to
    });
    (bar.from, within.map(|it| it.from).min().unwrap_or(bar.to))
}

/// What locks and tasks are drawn in: one colour each, as far as there are some.
fn colours(view: &View) -> BTreeMap<ObjectId, &'static str> {
    let locks = view.bars.iter().filter_map(|bar| match bar.doing {
        Doing::Hold { object, .. } => Some(object),
        Doing::Act {
            act: Act::Lock,
            object,
            ..
        } => object,
        _ => None,
    });
    let mut locks: Vec<ObjectId> = locks.collect();
    locks.sort();
    locks.dedup();
    locks.into_iter().zip(COLOURS.into_iter().cycle()).collect()
}

struct Drawing<'a> {
    svg: Svg,
    view: &'a View<'a>,
    axis: &'a Axis,
    name: &'a str,
    /// The top of each process's row.
    rows: BTreeMap<usize, f64>,
    colours: BTreeMap<ObjectId, &'static str>,
}

impl Drawing<'_> {
    fn bars_of(&self, process: usize) -> f64 {
        self.rows.get(&process).copied().unwrap_or(0.0) + NAME
    }

    fn colour(&self, of: Option<ObjectId>) -> &'static str {
        let colour = of.and_then(|object| self.colours.get(&object));
        colour.copied().unwrap_or("currentColor")
    }

    fn point(&self, point: Point) -> (f64, f64) {
        let middle = self.bars_of(point.process) + BAR / 2.0;
        (self.axis.at(point.at), middle)
    }

    /// The head of all arrows.
    fn marker(&mut self) {
        self.svg.element(format_args!(
            "<defs><marker id=\"{}-head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" \
             markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" \
             orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"currentColor\"/></marker></defs>",
            self.name
        ));
    }

    fn process(&mut self, place: usize) {
        let process = &self.view.run.processes[place];
        let (from, top) = (self.axis.at(process.born), self.bars_of(place));
        let to = process
            .end
            .map_or(self.axis.end(), |(at, _)| self.axis.at(at));
        let middle = top + BAR / 2.0;
        self.svg.label(MARGIN, top - 5.0, "start", &process.name);
        self.svg.element(format_args!(
            "<path d=\"M{from:.1} {middle:.1}H{to:.1}\" stroke=\"currentColor\" \
             stroke-width=\"2\" stroke-opacity=\"0.5\"/>"
        ));
    }

    fn bar(&mut self, bar: &Bar) {
        let (from, to) = (self.axis.at(bar.from), self.axis.at(bar.to));
        let top = self.bars_of(bar.process);
        if bar.is_wait() {
            let colour = self.colour(bar.object());
            return self.svg.element(format_args!(
                "<path d=\"M{from:.1} {:.1}H{to:.1}\" stroke=\"{colour}\" {WAIT}/>",
                top + BAR - 2.0
            ));
        }
        let (inset, style) = match bar.doing {
            Doing::Task(_) => (0.0, TASK.to_owned()),
            Doing::Hold { object, .. } => {
                let outer = self.view.bars.iter().filter(|it| it.process == bar.process);
                let outer = outer.filter(|it| matches!(it.doing, Doing::Hold { .. }));
                let depth = outer
                    .filter(|it| it.from < bar.from && bar.from < it.to)
                    .count();
                let inset = 3.0 * depth.min(3) as f64;
                let edge = if depth > 0 { " stroke=\"#fff\"" } else { "" };
                (inset, format!("fill=\"{}\"{edge}", self.colours[&object]))
            }
            Doing::Act { .. } => (5.0, CALL.to_owned()),
        };
        let high = if bar.object().is_some() { HOLD } else { BAR };
        let (top, high) = (top + inset, high - 2.0 * inset);
        let wide = (to - from).max(2.0);
        self.svg.element(format_args!(
            "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" \
             rx=\"2\" {style}/>"
        ));
        let (left, right) = free(self.view, bar);
        let (left, right) = (self.axis.at(left), self.axis.at(right));
        if let Some(label) = label(bar).filter(|label| right - left >= width(label)) {
            let colour = match bar.doing {
                Doing::Hold { .. } => "#fff",
                _ => "currentColor",
            };
            let (x, y) = ((left + right) / 2.0, top + high / 2.0 + 0.34 * FONT);
            self.svg.element(format_args!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" font-weight=\"600\" \
                 fill=\"{colour}\">{}</text>",
                escape(&label)
            ));
        }
    }

    fn arrow(&mut self, what: Going, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        // From bar to bar, not from middle to middle.
        let down = if y2 > y1 { 1.0 } else { -1.0 };
        let edge = down * (BAR / 2.0 - 2.0);
        let (y1, y2) = if y1 == y2 {
            (y1, y2)
        } else {
            (y1 + edge, y2 - edge)
        };
        let (colour, style) = match what {
            Going::Item(_) => ("currentColor", "stroke-opacity=\"0.9\""),
            Going::Lock(object) => (self.colour(Some(object)), "stroke-dasharray=\"3 3\""),
            Going::Spawn | Going::End => ("currentColor", "stroke-opacity=\"0.35\""),
        };
        let head = match what {
            Going::Item(_) | Going::Lock(_) => format!(" marker-end=\"url(#{}-head)\"", self.name),
            Going::Spawn | Going::End => String::new(),
        };
        self.svg.element(format_args!(
            "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"1.5\" {style}{head}/>"
        ));
    }

    /// The end of an arrow that is shown, towards the row of the other end, or where there is none,
    /// away from its own.
    fn stub(&mut self, arrow: &Arrow) {
        let row = |point: Point| self.rows.get(&point.process).copied();
        let down = if row(arrow.from) > row(arrow.to) {
            -1.0
        } else {
            1.0
        };
        let ((x, y), style) = match self.view.shows(arrow.to.at) {
            true => (
                self.point(arrow.to),
                format!("marker-end=\"url(#{}-head)\"", self.name),
            ),
            false => (self.point(arrow.from), String::new()),
        };
        let (wide, high) = (0.7 * STUB, down * STUB);
        let (x, y) = match style.is_empty() {
            false => (x - wide, y - down * (BAR / 2.0 - 2.0) - high),
            true => (x, y + down * (BAR / 2.0 - 2.0)),
        };
        self.svg.element(format_args!(
            "<path d=\"M{x:.1} {y:.1}l{wide:.1} {high:.1}\" stroke=\"currentColor\" \
             stroke-width=\"1.5\" stroke-opacity=\"0.9\" {style}/>"
        ));
    }

    /// A stroke at the end of a life, and a cross at that of one that was cut off.
    fn end(&mut self, place: usize) {
        let process = &self.view.run.processes[place];
        let Some((at, end)) = process.end.filter(|(at, _)| self.view.shows(*at)) else {
            return;
        };
        let (x, y) = (self.axis.at(at), self.bars_of(place) + BAR / 2.0);
        if end.is_good() {
            self.svg.line((x, y - 8.0), (x, y + 8.0), 0.7);
            return;
        }
        self.cross(x, y);
        let how = words::how(end);
        let (x, anchor) = match x + 14.0 + width(&how) < self.axis.end() {
            true => (x + 14.0, "start"),
            false => (x, "end"),
        };
        let y = if anchor == "end" {
            y - BAR / 2.0 - 5.0
        } else {
            y + 6.0
        };
        self.svg.label(x, y, anchor, &how);
    }

    fn close(&mut self, x: f64, y: f64) {
        self.svg.element(format_args!(
            "<path d=\"M{:.1} {:.1}h8v12h-8z\" fill=\"currentColor\"/>",
            x - 4.0,
            y - 6.0
        ));
    }

    fn cross(&mut self, x: f64, y: f64) {
        self.svg.element(format_args!(
            "<path d=\"M{:.1} {:.1}l16 16m0-16l-16 16\" stroke=\"{ORANGE}\" stroke-width=\"4\" \
             stroke-linecap=\"round\"/>",
            x - 8.0,
            y - 8.0
        ));
    }

    /// Where much time passes in one step: a bright band behind all rows.
    fn breaks(&mut self, rows: f64) {
        for &(from, to, _) in &self.axis.breaks {
            let (middle, wide) = ((from + to) / 2.0, 10.0);
            self.svg.element(format_args!(
                "<rect x=\"{:.1}\" y=\"0\" width=\"{wide}\" height=\"{rows:.1}\" \
                 fill=\"currentColor\" fill-opacity=\"0.1\"/>",
                middle - wide / 2.0
            ));
        }
    }

    fn scale(&mut self, rows: f64, wide: f64) {
        let y = rows + NAME;
        let Some((first, last)) = self.view.ends() else {
            return;
        };
        let whole = last.time.saturating_sub(first.time);
        if let Some(unit) = self.axis.unit {
            let step = round(whole / 4);
            let mut at = Duration::ZERO;
            while at <= whole {
                let x = MARGIN + 4.0 + at.as_secs_f64() / unit.as_secs_f64().max(1e-12);
                self.svg.line((x, rows), (x, rows + 5.0), 0.7);
                let anchor = if at.is_zero() { "start" } else { "middle" };
                let text = if at.is_zero() { "0".into() } else { time(at) };
                self.svg.label(x, y, anchor, &text);
                at += step;
            }
            return;
        }
        for &(from, to, passed) in &self.axis.breaks {
            self.svg
                .label((from + to) / 2.0, y, "middle", &time(passed));
        }
        if self.axis.breaks.is_empty() {
            let text = format!("{} in all", time(whole));
            self.svg.label(wide - MARGIN, y, "end", &text);
        }
    }

    fn sign(&mut self, sign: &Sign, x: f64, y: f64) {
        let top = y - 0.34 * FONT - 7.0;
        let middle = top + 7.0;
        match &sign.shape {
            Shape::Box(style) => self.svg.element(format_args!(
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"22\" height=\"14\" rx=\"2\" {style}/>"
            )),
            Shape::Tick => self.svg.line((x + 11.0, top), (x + 11.0, top + 14.0), 0.8),
            Shape::Wait => self.svg.element(format_args!(
                "<path d=\"M{x:.1} {middle:.1}h22\" stroke=\"currentColor\" {WAIT}/>"
            )),
            Shape::Going(style) => {
                let head = format!("marker-end=\"url(#{}-head)\"", self.name);
                self.svg.element(format_args!(
                    "<path d=\"M{x:.1} {middle:.1}h22\" stroke=\"currentColor\" \
                     stroke-width=\"1.5\" {style} {head}/>"
                ));
            }
            Shape::Close => self.close(x + 11.0, middle),
            Shape::Cross => self.cross(x + 11.0, middle),
            Shape::None => {}
        }
        self.svg.label(x + sign.indent(), y, "start", &sign.text);
    }
}

/// A round number that is near.
fn round(time: Duration) -> Duration {
    let nanoseconds = (time.as_nanos() as f64).max(1.0);
    let power = 10_f64.powf(nanoseconds.log10().floor());
    let step = [1.0, 2.0, 5.0]
        .into_iter()
        .rev()
        .find(|step| step * power <= nanoseconds);
    Duration::from_nanos((step.unwrap_or(1.0) * power) as u64)
}

/// What a shape stands for.
struct Sign {
    shape: Shape,
    text: String,
}

enum Shape {
    Box(String),
    Wait,
    Tick,
    Going(&'static str),
    Close,
    Cross,
    None,
}

impl Sign {
    /// Where its text begins.
    fn indent(&self) -> f64 {
        match self.shape {
            Shape::None => 0.0,
            _ => 28.0,
        }
    }

    fn width(&self) -> f64 {
        self.indent() + width(&self.text) + 18.0
    }
}

/// Of what there is in the picture alone.
fn legend(view: &View, colours: &BTreeMap<ObjectId, &str>) -> Vec<Sign> {
    let mut signs = Vec::new();
    let mut sign = |shape, text: &str| {
        let text = text.to_owned();
        signs.push(Sign { shape, text });
    };
    for (&object, colour) in colours {
        let text = format!("holds {}", view.run.name(object));
        sign(Shape::Box(format!("fill=\"{colour}\"")), &text);
    }
    let has = |is: &dyn Fn(&Bar) -> bool| view.bars.iter().any(is);
    if has(&Bar::is_wait) {
        sign(Shape::Wait, "waits");
    }
    if has(&|bar| matches!(bar.doing, Doing::Task(_))) {
        sign(Shape::Box(TASK.into()), "a task");
    }
    if has(&|bar| matches!(bar.doing, Doing::Act { act: Act::Call, .. })) {
        sign(Shape::Box(CALL.into()), "a callback");
    }
    if !view.services.is_empty() {
        sign(Shape::Tick, "a request");
    }
    let arrows = || view.arrows.iter().chain(&view.cut);
    let goes = |is: &dyn Fn(Going) -> bool| arrows().any(|arrow| is(arrow.what));
    if goes(&|what| matches!(what, Going::Item(_))) {
        sign(Shape::Going(""), "an item");
    }
    if goes(&|what| matches!(what, Going::Lock(_))) {
        sign(
            Shape::Going("stroke-dasharray=\"3 3\""),
            "the lock, to who waits for it",
        );
    }
    if !view.closes.is_empty() {
        sign(Shape::Close, "closes a queue");
    }
    let dies = |place: &usize| {
        let end = view.run.processes[*place].end;
        end.is_some_and(|(at, end)| view.shows(at) && !end.is_good())
    };
    if view.processes.iter().any(dies) {
        sign(Shape::Cross, "a death");
    }
    let (before, behind) = view.left_out;
    if before + behind > 0 {
        let text = format!(
            "shown: {} of {} steps",
            view.moments.len(),
            view.moments.len() + before + behind
        );
        sign(Shape::None, &text);
    }
    signs
}

fn legend_lines(signs: &[Sign], wide: f64) -> Vec<Vec<&Sign>> {
    let mut lines: Vec<Vec<&Sign>> = Vec::new();
    let mut used = f64::INFINITY;
    for sign in signs {
        if used + sign.width() > wide {
            lines.push(Vec::new());
            used = 0.0;
        }
        used += sign.width();
        if let Some(line) = lines.last_mut() {
            line.push(sign);
        }
    }
    lines
}
