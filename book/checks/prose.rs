//! What of the prose would be a figure that somebody measured.

/// Whole words that follow a number.
const UNITS: [&str; 15] = [
    "ps",
    "ns",
    "us",
    "µs",
    "μs",
    "ms",
    "s",
    "sec",
    "second",
    "seconds",
    "nanoseconds",
    "microseconds",
    "milliseconds",
    "microsecond",
    "millisecond",
];

/// Numbers in words: `ten times as fast` is a figure, too.
const NUMBERS: [&str; 15] = [
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twenty", "forty",
    "fifty", "hundred", "thousand", "million",
];

/// Times, rates, and how many times as fast something is: each as it is written.
pub fn figures(prose: &str) -> Vec<String> {
    let words: Vec<&str> = prose.split_whitespace().collect();
    let begin_of_figure = |at| {
        let words = &words[at..];
        let length = length(words)?;
        Some(words[..length].join(" "))
    };
    (0..words.len()).filter_map(begin_of_figure).collect()
}

/// How many words from the first on are a figure.
fn length(words: &[&str]) -> Option<usize> {
    let is_mark = |c: char| !c.is_alphanumeric() && c != '×';
    let word = |number: usize| {
        words
            .get(number)
            .map_or("", |word| word.trim_matches(is_mark))
    };
    let is_unit = |word: &str| UNITS.contains(&word) || word.ends_with("/s");
    let is_number = word(0).starts_with(|c: char| c.is_ascii_digit());
    // 100ms, 40x
    let attached = word(0).trim_start_matches(|c: char| c.is_ascii_digit() || ".,_–-".contains(c));
    if is_number && (is_unit(attached) || ["x", "×"].contains(&attached)) {
        return Some(1);
    }
    // 100 ms
    if is_number && is_unit(word(1)) {
        return Some(2);
    }
    // 40 times as fast, ten times faster, twice as fast
    let counts = is_number || NUMBERS.contains(&word(0));
    let compares = ["as", "faster", "slower", "more", "less"].contains(&word(2));
    let doubles = ["twice", "half"].contains(&word(0)) && word(1) == "as";
    if (counts && word(1) == "times" && compares) || doubles {
        return Some(3.min(words.len()));
    }
    // 3 million items per second
    let is_rate =
        |at: &usize| ["a", "per", "each"].contains(&word(*at)) && word(at + 1) == "second";
    let rate = (1..4).find(is_rate).filter(|_| is_number)?;
    Some(rate + 2)
}

/// The words of HTML.
pub fn without_tags(html: &str) -> String {
    let pieces = html.split('<');
    let words = pieces.map(|piece| piece.split_once('>').map_or(piece, |(_, words)| words));
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found() {
        for figure in [
            "12 ns",
            "1.5 ms",
            "100ms",
            "2 seconds",
            "3 GB/s",
            "10–20 µs",
            "40x",
            "40×",
            "9 times as",
            "ten times faster",
            "twice as fast",
            "5,000 messages a second",
            "3 million items per second",
        ] {
            assert_eq!(figures(&format!("It takes {figure}")), [figure]);
        }
        assert_eq!(figures("It takes (about 12\nns)."), ["12 ns)."]);
    }

    #[test]
    fn other_numbers_are_none() {
        let text = "The 2 consumers, 1600x1200, 4 processes, four times, 90 minutes, 1 GiB, \
                    chapter 2, 1..=2000, 10 as a start, half of it, a second one";
        assert_eq!(figures(text), Vec::<String>::new());
    }

    #[test]
    fn html_has_words() {
        let html = "<figcaption>It takes <b>1</b> s.</figcaption>";
        assert_eq!(without_tags(html), "It takes 1 s.");
    }
}
