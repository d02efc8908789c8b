//! Which worker has done how much: on a terminal a bar for each, else a line in the end.

use std::collections::BTreeMap;

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

pub struct Bars {
    rows: u64,
    all: MultiProgress,
    by_worker: BTreeMap<String, ProgressBar>,
}

impl Bars {
    pub fn new(rows: usize) -> Bars {
        Bars {
            rows: rows as u64,
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            by_worker: BTreeMap::new(),
        }
    }

    /// Each bar is a worker's share of all rows.
    pub fn show(&mut self, done: &BTreeMap<String, u64>) -> Result<()> {
        for (worker, rows) in done {
            if !self.by_worker.contains_key(worker) {
                let bar = self.all.add(ProgressBar::new(self.rows));
                let template = format!("  {worker:<20} {{wide_bar}} {{pos:>5}} rows");
                bar.set_style(ProgressStyle::with_template(&template)?);
                self.by_worker.insert(worker.clone(), bar);
            }
            self.by_worker[worker].set_position(*rows);
        }
        Ok(())
    }

    /// Leaves on the screen who did how many.
    pub fn finish(self) {
        for (worker, bar) in &self.by_worker {
            bar.abandon();
            if self.all.is_hidden() {
                println!("  {worker}: {} rows", bar.position());
            }
        }
        if !self.all.is_hidden() {
            println!(); // what follows is no part of the last bar
        }
    }
}
