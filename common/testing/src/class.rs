//! What an output may claim, given that the order of lines from several processes is not fixed.
//!
//! Each function takes an output, or what another one has made of it, and hides what differs from
//! run to run: `masked("pid ", "[pid]", any_order(output))`.

use std::collections::BTreeSet;

/// An output without what differs from run to run, and which class this makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    text: String,
    hidden: BTreeSet<Hidden>,
}

/// What is not claimed, in the order in which it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hidden {
    Order,
    Interleaving,
    Words,
    Everything,
}

impl Claim {
    /// The text to compare.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `exact`, `any order`, `per process`, `pattern`, `sample`, or several of them: with pids
    /// masked in lines of any order, it is `any order, pattern`.
    pub fn class(&self) -> String {
        if self.hidden.is_empty() {
            return "exact".to_owned();
        }
        let names = self.hidden.iter().map(|hidden| match hidden {
            Hidden::Order => "any order",
            Hidden::Interleaving => "per process",
            Hidden::Words => "pattern",
            Hidden::Everything => "sample",
        });
        names.collect::<Vec<_>>().join(", ")
    }

    /// The same with this hidden as well.
    fn without(mut self, hidden: Hidden, text: String) -> Claim {
        self.hidden.insert(hidden);
        Claim { text, ..self }
    }
}

impl<T: Into<String>> From<T> for Claim {
    fn from(output: T) -> Self {
        Claim {
            text: output.into(),
            hidden: BTreeSet::new(),
        }
    }
}

// ANCHOR: exact
/// Byte for byte.
pub fn exact(output: impl Into<Claim>) -> Claim {
    output.into()
}
// ANCHOR_END: exact

/// The same lines in whatever order.
pub fn any_order(output: impl Into<Claim>) -> Claim {
    any_order_then(0, output)
}

// ANCHOR: any_order
/// The same lines in whatever order, but for the `last` ones, which keep their place.
pub fn any_order_then(last: usize, output: impl Into<Claim>) -> Claim {
    let output = output.into();
    let mut lines: Vec<&str> = output.text.split_inclusive('\n').collect();
    let end = lines.len().saturating_sub(last);
    lines[..end].sort_unstable();
    let text = lines.concat();
    output.without(Hidden::Order, text)
}
// ANCHOR_END: any_order

// ANCHOR: per_process
/// The lines of each process in their order, one process after the other. Whose a line is, its
/// first `words` words say: 2 of them in `producer 1 produced 17`.
pub fn per_process(words: usize, output: impl Into<Claim>) -> Claim {
    let output = output.into();
    let mut lines: Vec<&str> = output.text.split_inclusive('\n').collect();
    let process = |line: &&str| -> Vec<String> {
        let first = line.split_whitespace().take(words);
        first.map(str::to_owned).collect()
    };
    lines.sort_by_cached_key(process); // stable: keeps the order of equal keys
    let text = lines.concat();
    output.without(Hidden::Interleaving, text)
}
// ANCHOR_END: per_process

// ANCHOR: pattern
/// The rest of the output, byte for byte, with a mask in the place of each word that follows
/// `before`: `masked("pid ", "[pid]", "pid 4711.")` is `pid [pid].`
///
/// A word ends at white space or at `, ; : )`; a full stop belongs to it only with more behind.
pub fn masked(before: &str, mask: &str, output: impl Into<Claim>) -> Claim {
    assert!(!before.is_empty(), "say what the masked words follow");
    let output = output.into();
    let mut pieces = output.text.split(before);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece
            .find(|c: char| c.is_whitespace() || ",;:)".contains(c))
            .unwrap_or(piece.len());
        let word = piece[..end].trim_end_matches('.');
        text += before;
        text += if word.is_empty() { "" } else { mask };
        text += &piece[word.len()..];
    }
    output.without(Hidden::Words, text)
}
// ANCHOR_END: pattern

/// The rest of the output, byte for byte, with the pids masked in a message that says who waits for
/// whom. Its last column is where it is with pids of that length, and a process that has crashed
/// left no core file: some systems write one, and the status says so.
pub fn chain(output: impl Into<Claim>) -> Claim {
    let claim = masked("(pid ", "[pid]", output);
    let text = claim.text.replace(" (core dumped)", "");
    let columns = |line: &str| {
        let (waits, at) = line.strip_prefix("  ")?.rsplit_once("  ")?;
        let waits = waits.trim_end();
        (!waits.is_empty()).then(|| (waits.to_owned(), at.to_owned()))
    };
    let width = |waits: &str| waits.chars().count();
    let all = text.lines().filter_map(columns);
    let widest = all.map(|(waits, _)| width(&waits)).max().unwrap_or(0);
    let aligned = text.split_inclusive('\n').map(|line| match columns(line) {
        Some((waits, at)) => format!("  {waits:widest$}  {at}"),
        None => line.to_owned(),
    });
    Claim {
        text: aligned.collect(),
        ..claim
    }
}

// ANCHOR: sample
/// Not checked at all, and the snapshot says so.
pub fn sample(_output: impl Into<Claim>) -> Claim {
    Claim {
        text: "a sample: not checked\n".to_owned(),
        hidden: BTreeSet::from([Hidden::Everything]),
    }
}
// ANCHOR_END: sample

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_hides_nothing() {
        assert_ne!(exact("b\na\n"), exact("a\nb\n"));
        assert_ne!(exact("a\n"), exact("a"));
    }

    #[test]
    fn any_order_hides_the_order_alone() {
        assert_eq!(any_order("b\na\n"), any_order("a\nb\n"));
        assert_ne!(any_order("a\na\n"), any_order("a\n"));
        assert_ne!(any_order("a\n"), any_order("b\n"));
        assert_ne!(any_order("a\nb"), any_order("a\nb\n"));
    }

    #[test]
    fn any_order_then_keeps_the_last_lines() {
        assert_eq!(any_order_then(1, "b\na\nend\n").text(), "a\nb\nend\n");
        assert_ne!(
            any_order_then(1, "a\nend\nb\n"),
            any_order_then(1, "a\nb\nend\n")
        );
        assert_eq!(any_order_then(3, "b\na\n").text(), "b\na\n");
    }

    // ANCHOR: per_process_test
    #[test]
    fn per_process_hides_the_interleaving_alone() {
        let sorted = per_process(1, "b 1\na 1\nb 2\na 2\n");
        assert_eq!(sorted.text(), "a 1\na 2\nb 1\nb 2\n");
        assert_ne!(
            per_process(1, "a 2\nb 1\na 1\n"),
            per_process(1, "a 1\na 2\nb 1\n")
        );
    }
    // ANCHOR_END: per_process_test

    #[test]
    fn masked_hides_the_words_alone() {
        let mask = |output: &str| masked("pid ", "[pid]", output).text().to_owned();
        assert_eq!(
            mask("(pid 1) pid 22, pid -3.5."),
            "(pid [pid]) pid [pid], pid [pid]."
        );
        assert_eq!(mask("pid 1 ended: 1\n"), "pid [pid] ended: 1\n");
        assert_eq!(mask("no such word\npid "), "no such word\npid ");
        assert_eq!(
            masked("in ", "[path]", "in /a/b.rs\n").text(),
            "in [path]\n"
        );
    }

    #[test]
    fn a_chain_hides_pids_their_width_and_core_files() {
        let told = |pid: &str, spaces: &str, core: &str| {
            chain(format!(
                "All wait:\n  main (pid {pid}) waits  {spaces}a.rs:1\n  \"read\" (pid 7) waits \
                 for room  a.rs:2\n  \"write\" (pid 8) ended: signal: 6 (SIGABRT){core}\n"
            ))
        };
        let claim = told("7", "           ", "");
        assert_eq!(
            claim.text(),
            "All wait:\n  main (pid [pid]) waits             a.rs:1\n  \"read\" (pid [pid]) waits \
             for room  a.rs:2\n  \"write\" (pid [pid]) ended: signal: 6 (SIGABRT)\n"
        );
        assert_eq!(claim, told("12345", "       ", " (core dumped)"));
        assert_eq!(claim.class(), "pattern");
        assert_ne!(claim, chain(claim.text().replace("a.rs:2", "a.rs:3")));
    }

    #[test]
    fn sample_hides_everything() {
        assert_eq!(sample("a"), sample("b"));
    }

    #[test]
    fn a_claim_names_all_that_is_hidden() {
        assert_eq!(exact("a").class(), "exact");
        assert_eq!(any_order("a").class(), "any order");
        assert_eq!(per_process(1, "a").class(), "per process");
        assert_eq!(masked("b", "c", "a").class(), "pattern");
        assert_eq!(sample(any_order("a")).class(), "sample");
        assert_eq!(
            any_order(masked("b", "c", exact("a"))).class(),
            "any order, pattern"
        );
        assert_eq!(exact(any_order("a")).class(), "any order");
    }
}
