//! What an output may claim, given that the order of lines from several processes is not fixed.
//!
//! Each function turns an output into the text to compare: what is claimed is in it, and what
//! differs from run to run is not.

/// Byte for byte.
pub fn exact(output: &str) -> String {
    output.to_owned()
}

/// The same lines in whatever order.
pub fn any_order(output: &str) -> String {
    any_order_then(0, output)
}

/// The same lines in whatever order, but for the `last` ones, which keep their place.
pub fn any_order_then(last: usize, output: &str) -> String {
    let mut lines: Vec<&str> = output.split_inclusive('\n').collect();
    let end = lines.len().saturating_sub(last);
    lines[..end].sort_unstable();
    lines.concat()
}

/// The lines of each process in their order, one process after the other. `process` finds in a
/// line whose it is: [`first_words`] does for `producer 1 produced 17`.
pub fn per_process<'a, K: Ord>(output: &'a str, process: impl Fn(&'a str) -> K) -> String {
    let mut lines: Vec<&str> = output.split_inclusive('\n').collect();
    lines.sort_by_key(|line| process(line)); // stable: keeps the order of equal keys
    lines.concat()
}

/// The rest of the output, byte for byte, with a mask in the place of each word that follows
/// `before`: `masked("pid ", "[pid]", "pid 4711.")` is `pid [pid].`
///
/// A word ends at white space or at `, ; : )`; a full stop belongs to it only with more behind.
pub fn masked(before: &str, mask: &str, output: &str) -> String {
    assert!(!before.is_empty(), "say what the masked words follow");
    let mut pieces = output.split(before);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece
            .find(|c: char| c.is_whitespace() || ",;:)".contains(c))
            .unwrap_or(piece.len());
        let word = piece[..end].trim_end_matches('.');
        result += before;
        result += if word.is_empty() { "" } else { mask };
        result += &piece[word.len()..];
    }
    result
}

/// Not checked at all, and the snapshot says so.
pub fn sample(_output: &str) -> String {
    "a sample: not checked\n".to_owned()
}

/// The first `count` words of a line.
pub fn first_words(count: usize, line: &str) -> Vec<&str> {
    line.split_whitespace().take(count).collect()
}

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
        assert_eq!(any_order_then(1, "b\na\nend\n"), "a\nb\nend\n");
        assert_ne!(
            any_order_then(1, "a\nend\nb\n"),
            any_order_then(1, "a\nb\nend\n")
        );
        assert_eq!(any_order_then(3, "b\na\n"), "b\na\n");
    }

    #[test]
    fn per_process_hides_the_interleaving_alone() {
        let by_process = |output| per_process(output, |line| first_words(1, line));
        assert_eq!(by_process("b 1\na 1\nb 2\na 2\n"), "a 1\na 2\nb 1\nb 2\n");
        assert_ne!(by_process("a 2\nb 1\na 1\n"), by_process("a 1\na 2\nb 1\n"));
    }

    #[test]
    fn masked_hides_the_words_alone() {
        let mask = |output| masked("pid ", "[pid]", output);
        assert_eq!(
            mask("(pid 1) pid 22, pid -3.5."),
            "(pid [pid]) pid [pid], pid [pid]."
        );
        assert_eq!(mask("pid 1 ended: 1\n"), "pid [pid] ended: 1\n");
        assert_eq!(mask("no such word\npid "), "no such word\npid ");
        assert_eq!(masked("in ", "[path]", "in /a/b.rs\n"), "in [path]\n");
    }

    #[test]
    fn sample_hides_everything() {
        assert_eq!(sample("a"), sample("b"));
    }
}
