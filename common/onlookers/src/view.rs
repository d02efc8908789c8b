//! Which part of a run a picture shows, and where each moment of it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::trace::Act;

use crate::run::{Arrow, Bar, Deed, Doing, Going, Moment, Run};

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Objects of these kinds are left out.
    pub hidden: Vec<String>,
    /// So many steps are left out at the beginning; `None`: as many as it takes to show where most
    /// goes from one process to another.
    pub skip: Option<usize>,
    /// At most so many are shown.
    pub steps: usize,
    /// None behind the end of the process with this name.
    pub until: Option<String>,
    /// Whether a step is as wide as it took long.
    pub is_to_scale: bool,
}

/// More than fit side by side.
pub const STEPS: usize = 80;

impl Default for Choice {
    fn default() -> Self {
        Choice {
            hidden: Vec::new(),
            skip: None,
            steps: STEPS,
            until: None,
            is_to_scale: false,
        }
    }
}

/// The part of a run that is shown.
pub struct View<'a> {
    /// The run.
    pub run: &'a Run,
    /// Those of its processes that there is something of to see, by their places.
    pub processes: Vec<usize>,
    /// What they do.
    pub bars: Vec<Bar>,
    /// What goes from one to another.
    pub arrows: Vec<Arrow>,
    /// Items that come from before what is shown, or go on behind it.
    pub cut: Vec<Arrow>,
    /// What managers do.
    pub services: Vec<Deed>,
    /// Who closes a queue.
    pub closes: Vec<Deed>,
    /// When something begins or ends that is shown, one after the other.
    pub moments: Vec<Moment>,
    /// How many there are before these, and behind them.
    pub left_out: (usize, usize),
}

impl<'a> View<'a> {
    /// Of what was chosen.
    pub fn of(run: &'a Run, choice: &Choice) -> View<'a> {
        let is_hidden = |object: Option<_>| {
            object.is_some_and(|object| choice.hidden.iter().any(|it| it == run.kind(object)))
        };
        let bars = run.bars.iter().filter(|bar| {
            let counts = match bar.doing {
                Doing::Hold { .. } | Doing::Task(_) => true,
                Doing::Act { act, waits, .. } => waits || act == Act::Call,
            };
            counts && !is_hidden(bar.object())
        });
        let mut bars: Vec<Bar> = bars.cloned().collect();
        let arrows = run.arrows.iter().filter(|arrow| match arrow.what {
            Going::Item(object) | Going::Lock(object) => !is_hidden(Some(object)),
            Going::Spawn | Going::End => true,
        });
        let mut arrows: Vec<Arrow> = arrows.copied().collect();

        let ends = bars.iter().flat_map(|bar| [bar.from, bar.to]);
        let ends = ends.chain(arrows.iter().flat_map(|it| [it.from.at, it.to.at]));
        let closes = run.closes.iter().filter(|it| !is_hidden(Some(it.object)));
        let ends = ends.chain(closes.map(|it| it.at));
        let lives = run.processes.iter().flat_map(|process| {
            let end = process.end.map(|(at, _)| at);
            [Some(process.born), end].into_iter().flatten()
        });
        let all: BTreeSet<Moment> = ends.chain(lives).collect();
        let named = run
            .processes
            .iter()
            .find(|it| Some(&it.name) == choice.until.as_ref());
        let end = named.and_then(|process| process.end);
        let is_late = |at: &Moment| end.is_some_and(|(end, _)| end < *at);
        let all: Vec<Moment> = all.into_iter().filter(|at| !is_late(at)).collect();
        let skipped = choice
            .skip
            .unwrap_or_else(|| busiest(&all, choice.steps, &arrows));
        let skipped = skipped.min(all.len());
        let moments: Vec<Moment> = all[skipped..].iter().copied().take(choice.steps).collect();
        let left_out = (skipped, all.len() - skipped - moments.len());

        let mut view = View {
            run,
            processes: Vec::new(),
            bars: Vec::new(),
            arrows: Vec::new(),
            cut: Vec::new(),
            services: Vec::new(),
            closes: Vec::new(),
            moments,
            left_out,
        };
        let Some((first, last)) = view.ends() else {
            return view;
        };
        bars.retain(|bar| bar.from <= last && first <= bar.to);
        let is_item = |arrow: &&Arrow| matches!(arrow.what, Going::Item(_));
        let cut = arrows.iter().filter(is_item);
        let cut = cut.filter(|arrow| view.shows(arrow.from.at) != view.shows(arrow.to.at));
        let cut: Vec<Arrow> = cut.copied().collect();
        arrows.retain(|arrow| first <= arrow.from.at && arrow.to.at <= last);
        let is_seen = |place: &usize| {
            bars.iter().any(|bar| bar.process == *place)
                || arrows
                    .iter()
                    .chain(&cut)
                    .flat_map(|it| [it.from, it.to])
                    .any(|it| it.process == *place && view.shows(it.at))
        };
        view.processes = (0..run.processes.len()).filter(is_seen).collect();
        let shown = |deeds: &[Deed]| -> Vec<Deed> {
            let deeds = deeds.iter().filter(|it| !is_hidden(Some(it.object)));
            deeds.filter(|it| view.shows(it.at)).copied().collect()
        };
        (view.services, view.closes) = (shown(&run.services), shown(&run.closes));
        view.bars = bars;
        (view.arrows, view.cut) = (arrows, cut);
        view
    }

    /// The first and the last moment.
    pub fn ends(&self) -> Option<(Moment, Moment)> {
        Some((*self.moments.first()?, *self.moments.last()?))
    }

    /// Whether that is at a moment which is shown.
    pub fn shows(&self, at: Moment) -> bool {
        self.ends()
            .is_some_and(|(first, last)| first <= at && at <= last)
    }
}

/// Where to begin, so that most arrows begin and end among so many moments.
fn busiest(moments: &[Moment], steps: usize, arrows: &[Arrow]) -> usize {
    let last = moments.len().saturating_sub(steps);
    // With how many windows an arrow begins to be within, and with how many it ceases to be.
    let mut changes = vec![0_i32; last + 2];
    for arrow in arrows {
        let index = |at| moments.partition_point(|it| *it < at);
        let (from, to) = (index(arrow.from.at), index(arrow.to.at));
        let first = (to + 1).saturating_sub(steps);
        if first <= from.min(last) {
            changes[first] += 1;
            changes[from.min(last) + 1] -= 1;
        }
    }
    let mut within = 0;
    let counts = changes[..=last].iter().map(|change| {
        within += change;
        within
    });
    let most = counts
        .enumerate()
        .max_by_key(|&(at, count)| (count, std::cmp::Reverse(at)));
    most.map_or(0, |(at, _)| at)
}

/// Where moments are, from left to right.
pub struct Axis {
    places: BTreeMap<Moment, f64>,
    /// Where much time passed within one step: between these places, so long.
    pub breaks: Vec<(f64, f64, Duration)>,
    /// If it is to scale, how much time a unit is.
    pub unit: Option<Duration>,
}

/// A step's width, in units, if it is not to scale.
const STEP: f64 = 11.0;
/// That of a step in which so much time passes that it is said.
const BREAK: f64 = 64.0;
/// So large a part of the whole time.
const PART: u32 = 20;

impl Axis {
    /// With all the moments of a view between these two places, or wider if there are many.
    /// Between two moments of `rooms` there is at least so much.
    pub fn new(
        view: &View,
        to_scale: bool,
        ends: (f64, f64),
        rooms: &[(Moment, Moment, f64)],
    ) -> Self {
        let moments = &view.moments;
        let Some((first, last)) = view.ends() else {
            return Axis {
                places: BTreeMap::new(),
                breaks: Vec::new(),
                unit: None,
            };
        };
        let whole = last.time.saturating_sub(first.time);
        if to_scale {
            let width = ends.1 - ends.0;
            let unit = whole.max(Duration::from_nanos(1)).as_secs_f64() / width;
            let at = |it: &Moment| it.time.saturating_sub(first.time).as_secs_f64() / unit;
            return Axis {
                places: moments.iter().map(|it| (*it, ends.0 + at(it))).collect(),
                breaks: Vec::new(),
                unit: Some(Duration::from_secs_f64(unit)),
            };
        }
        let passed = |step: &[Moment]| step[1].time.saturating_sub(step[0].time);
        let is_break = |step: &[Moment]| {
            let passed = passed(step);
            passed >= whole / PART && passed >= Duration::from_millis(1)
        };
        let mut widths: Vec<f64> = moments
            .windows(2)
            .map(|step| if is_break(step) { BREAK } else { STEP })
            .collect();
        let index = |at: Moment| moments.partition_point(|it| *it < at);
        let mut rooms: Vec<_> = rooms
            .iter()
            .map(|&(from, to, room)| (index(from)..index(to).min(widths.len()), room))
            .filter(|(steps, _)| !steps.is_empty())
            .collect();
        rooms.sort_by_key(|(steps, _)| steps.len());
        for (steps, room) in rooms {
            let steps = &mut widths[steps];
            let missing = room - steps.iter().sum::<f64>();
            let share = missing.max(0.0) / steps.len().max(1) as f64;
            steps.iter_mut().for_each(|width| *width += share);
        }
        let whole: f64 = widths.iter().sum();
        let stretch = ((ends.1 - ends.0) / whole.max(1.0)).max(1.0);
        let mut at = ends.0;
        let mut places = BTreeMap::from([(first, at)]);
        let mut breaks = Vec::new();
        for (step, width) in moments.windows(2).zip(widths) {
            let from = at;
            at += width * stretch;
            places.insert(step[1], at);
            if is_break(step) {
                breaks.push((from, at, passed(step)));
            }
        }
        Axis {
            places,
            breaks,
            unit: None,
        }
    }

    /// Where a moment is; of one that is not shown, where the nearest is that is.
    pub fn at(&self, moment: Moment) -> f64 {
        let before = self.places.range(..=moment).next_back();
        let behind = self.places.range(moment..).next();
        match (before, behind) {
            (Some((_, at)), None) | (None, Some((_, at))) => *at,
            (Some((one, left)), Some((other, right))) if one != other => {
                let share = (moment.number - one.number) as f64;
                left + (right - left) * share / (other.number - one.number) as f64
            }
            (Some((_, at)), _) => *at,
            (None, None) => 0.0,
        }
    }

    /// How far it goes to the right.
    pub fn end(&self) -> f64 {
        self.places.values().next_back().copied().unwrap_or(0.0)
    }
}

/// A time for people: three digits, and a unit.
pub fn time(time: Duration) -> String {
    let nanoseconds = time.as_nanos() as f64;
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let unit = units.into_iter().find(|(size, _)| nanoseconds >= *size);
    let (size, unit) = unit.unwrap_or((1.0, "ns"));
    let number = nanoseconds / size;
    let digits = match number {
        0.0..9.95 if unit != "ns" => 1,
        _ => 0,
    };
    format!("{number:.digits$} {unit}")
}
