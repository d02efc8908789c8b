//! mdBook's `{{#include FILE:PART}}`, and what it gives.
//!
//! mdBook only logs that a file is missing, and a missing anchor or line gives an empty text
//! without a word. Here each is an error.

/// Gives the text of a file (of a folder: nothing), named from the root of the workspace.
pub type Files = dyn Fn(&str) -> Option<String>;

/// An include of a page.
#[derive(Debug)]
pub struct Include {
    /// The line of the page.
    pub line: usize,
    /// The file, from the root of the workspace.
    pub file: String,
    /// What of it is shown.
    pub part: Part,
    /// The text that is shown, or why there is none.
    pub text: Result<String, String>,
}

/// What of a file is shown.
#[derive(Debug, PartialEq)]
pub enum Part {
    /// All of it.
    Whole,
    /// From a line, counted from 1, to a line or the end.
    Lines(usize, Option<usize>),
    /// What stands between `ANCHOR: NAME` and `ANCHOR_END: NAME`, without such lines.
    Anchor(String),
}

/// In a page without its includes, a character for the first one, the next one for the second.
/// They belong to nobody (Unicode's private use), so no page has them.
const FIRST: u32 = 0xE000;

/// The number of the include that a character stands for.
pub fn number(stand_in: char) -> Option<usize> {
    let number = u32::from(stand_in).checked_sub(FIRST)?;
    (number < 0x1900).then_some(number as usize)
}

/// A page with a character in the place of each include, and the includes.
pub fn take_out(page: &str, source: &str, files: &Files) -> (String, Vec<Include>) {
    let (mut marked, mut includes) = (String::new(), Vec::new());
    let mut rest = source;
    while let Some(start) = rest.find("{{") {
        let inside = &rest[start + 2..];
        let end = inside.find("}}");
        let escaped = rest[..start].ends_with('\\');
        let (Some(end), true, false) = (end, inside.trim_start().starts_with('#'), escaped) else {
            marked += &rest[..start + 2];
            rest = inside;
            continue;
        };
        marked += &rest[..start];
        let line = 1 + marked.matches('\n').count();
        marked.extend(char::from_u32(FIRST + includes.len() as u32));
        includes.push(read(page, line, inside[..end].trim(), files));
        rest = &inside[end + 2..];
    }
    (marked + rest, includes)
}

/// A page with the included texts in their places, and for each of its lines the typed one.
pub fn put_in(marked: &str, includes: &[Include]) -> (String, Vec<usize>) {
    let (mut page, mut lines) = (String::new(), Vec::new());
    for (line, text) in (1..).zip(marked.split_inclusive('\n')) {
        for c in text.chars() {
            match number(c).and_then(|number| includes.get(number)) {
                Some(include) => page += include.text.as_deref().unwrap_or_default(),
                None => page.push(c),
            }
        }
        let begun = usize::from(!page.ends_with('\n'));
        lines.resize(page.matches('\n').count() + begun, line);
    }
    lines.push(1 + marked.matches('\n').count());
    (page, lines)
}

/// The path from the root of the workspace, of one that is relative to a file there.
pub fn from_root(file: &str, relative: &str) -> Option<String> {
    let mut path: Vec<&str> = file.split('/').collect();
    path.pop();
    for step in relative.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(path.pop()?),
            name => path.push(name),
        }
    }
    Some(path.join("/"))
}

fn read(page: &str, line: usize, directive: &str, files: &Files) -> Include {
    let words: Vec<&str> = directive.split_whitespace().collect();
    let ["#include", what] = words[..] else {
        return Include {
            line,
            file: String::new(),
            part: Part::Whole,
            text: Err(format!("`{directive}`: only `#include FILE:PART` is used")),
        };
    };
    let (path, part) = what.split_once(':').unwrap_or((what, ""));
    let part = parse_part(part);
    let file = from_root(page, path).unwrap_or_default();
    let text = match files(&file) {
        Some(text) => shown(&text, &part),
        None => Err("there is no such file".to_owned()),
    };
    Include {
        line,
        text: text.map_err(|error| format!("{what}: {error}")),
        file,
        part,
    }
}

/// Reads `5:9`, `5:`, `:9`, `5` and `anchor` as mdBook does.
fn parse_part(part: &str) -> Part {
    let (start, end) = match part.split_once(':') {
        Some((start, end)) => (start, end.parse().ok()),
        None => (part, part.parse().ok()),
    };
    match (start, start.parse()) {
        (_, Ok(start)) => Part::Lines(start, end),
        ("", _) if end.is_none() => Part::Whole,
        ("", _) => Part::Lines(1, end),
        _ => Part::Anchor(start.to_owned()),
    }
}

fn shown(text: &str, part: &Part) -> Result<String, String> {
    let lines: Vec<&str> = text.lines().collect();
    let shown = match part {
        Part::Whole => lines.join("\n"),
        Part::Lines(start, end) => {
            let range = start.wrapping_sub(1)..end.unwrap_or(lines.len());
            let lines = lines.get(range).ok_or_else(|| {
                let count = lines.len();
                format!("there are no such lines, the file has {count}")
            })?;
            lines.join("\n")
        }
        Part::Anchor(name) => anchored(&lines, name)?,
    };
    if shown.trim().is_empty() {
        return Err("that gives no text".to_owned());
    }
    if shown.contains("ANCHOR:") || shown.contains("ANCHOR_END:") {
        return Err("that shows a line with an anchor: put an anchor around all of it".to_owned());
    }
    if shown.contains("{{#") {
        return Err("mdBook would take a part of that for an include".to_owned());
    }
    Ok(shown)
}

fn anchored(lines: &[&str], name: &str) -> Result<String, String> {
    let place = |mark| {
        let mut places = (0..lines.len()).filter(|at| anchor(lines[*at], mark) == Some(name));
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err(format!("there is no `{mark} {name}`")),
            _ => Err(format!("there are two of `{mark} {name}`")),
        }
    };
    let (start, end) = (place("ANCHOR:")?, place("ANCHOR_END:")?);
    let inside = lines.get(start + 1..end).unwrap_or_default();
    let lines = inside
        .iter()
        .filter(|line| anchor(line, "ANCHOR:").is_none() && anchor(line, "ANCHOR_END:").is_none());
    Ok(lines.copied().collect::<Vec<_>>().join("\n"))
}

/// The name in a line with an anchor.
fn anchor<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let name = line.split_once(mark)?.1.trim_start();
    let end = name.find(|c: char| !(c.is_alphanumeric() || "_-".contains(c)));
    Some(&name[..end.unwrap_or(name.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "one\n# ANCHOR: a-1\ntwo\n# ANCHOR: b\nthree\n# ANCHOR_END: b\n\
                        # ANCHOR_END: a-1\n\nfive\n";

    fn text(what: &str) -> Result<String, String> {
        let files = |file: &str| (file == "dir/file.rs").then(|| FILE.to_owned());
        let page = format!("a\n{{{{#include {what}}}}} b");
        let (marked, mut includes) = take_out("book/src/page.md", &page, &files);
        assert_eq!(marked, "a\n\u{E000} b");
        assert_eq!(includes[0].line, 2);
        includes.remove(0).text
    }

    #[test]
    fn parts_are_those_of_mdbook() {
        assert_eq!(text("../../dir/file.rs:1").as_deref(), Ok("one"));
        assert_eq!(text("../../dir/file.rs:8:").as_deref(), Ok("\nfive"));
        assert_eq!(text("../../dir/file.rs::1").as_deref(), Ok("one"));
        assert_eq!(text("../../dir/file.rs:9:9").as_deref(), Ok("five"));
        assert_eq!(text("../../dir/file.rs:a-1").as_deref(), Ok("two\nthree"));
        assert_eq!(text("../../dir/file.rs:b").as_deref(), Ok("three"));
        assert_eq!(parse_part(""), Part::Whole);
        assert_eq!(parse_part(":"), Part::Whole);
    }

    #[test]
    fn what_mdbook_passes_over_is_an_error() {
        for (what, error) in [
            ("../dir/file.rs", "no such file"),
            ("../../../../dir/file.rs", "no such file"),
            ("../../dir/file.rs:10:", "no text"),
            ("../../dir/file.rs:11:", "has 9"),
            ("../../dir/file.rs:0:", "no such lines"),
            ("../../dir/file.rs:5:4", "no text"),
            ("../../dir/file.rs:9:10", "has 9"),
            ("../../dir/file.rs:8:8", "no text"),
            ("../../dir/file.rs:c", "no `ANCHOR: c`"),
            ("../../dir/file.rs:a", "no `ANCHOR: a`"),
            ("../../dir/file.rs", "a line with an anchor"),
            ("../../dir/file.rs hidden", "only `#include"),
        ] {
            let found = text(what).expect_err(what);
            assert!(found.contains(error), "{what}: {found}");
        }
    }

    #[test]
    fn other_braces_stay() {
        let page = "`{{}}` and \\{{#include a}} and {{#include";
        let (marked, includes) = take_out("page.md", page, &|_| None);
        assert_eq!((&*marked, includes.len()), (page, 0));
    }

    #[test]
    fn what_was_taken_out_is_put_in() {
        let files = |_: &str| Some("one\ntwo\n".to_owned());
        let page = "{{#include a}}, {{ #include b }}\n\n{{#include c}}\n";
        let (marked, includes) = take_out("page.md", page, &files);
        let (page, lines) = put_in(&marked, &includes);
        assert_eq!(page, "one\ntwo, one\ntwo\n\none\ntwo\n");
        assert_eq!(lines, [1, 1, 1, 2, 3, 3, 4]);
    }
}
