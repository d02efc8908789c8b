//! What holds on every page, as far as its text shows it; `browser/check.mjs` looks at the built
//! pages.

use std::collections::HashSet;

use crate::commands::{self, Action};
use crate::include::{self, Include, Part};
use crate::pages::{Block, Book, Kind, PAGES, Page, attributes};
use crate::prose;

/// What an output may claim.
pub const CLASSES: [&str; 5] = ["exact", "any order", "per process", "pattern", "sample"];

/// Where outputs are what the page is about.
const OUTPUTS_ARE_OPEN: [&str; 2] = ["order.md", "errors.md"];

/// A line of a page and what is wrong there.
type Fault = (usize, String);
type Rule = fn(&Book, &Page) -> Vec<Fault>;

/// What holds on every page.
const RULES: [(&str, Rule); 10] = [
    ("summary", is_in_summary),
    ("include", includes_give_text),
    ("snapshot", snapshots_are_whole),
    ("listing", listings_are_not_typed),
    ("class", outputs_have_their_class),
    ("folded", outputs_are_folded),
    ("source", listings_name_their_source),
    ("command", commands_run),
    ("figure", figures_are_measured),
    ("link", links_lead_somewhere),
];

/// What holds in the README and in the summary.
const RULES_ELSEWHERE: [(&str, Rule); 2] =
    [("command", commands_run), ("link", links_lead_somewhere)];

/// All that is wrong with the book, a line each.
pub fn faults(book: &Book) -> Vec<String> {
    let pages = book.pages.iter().map(|page| (page, &RULES[..]));
    let elsewhere = [&book.summary, &book.readme].map(|page| (page, &RULES_ELSEWHERE[..]));
    let mut faults = Vec::new();
    for (page, rules) in pages.chain(elsewhere) {
        for (name, rule) in rules {
            for (line, fault) in rule(book, page) {
                faults.push(format!("{}:{line}: {name}: {fault}", page.file));
            }
        }
    }
    faults
}

fn is_in_summary(book: &Book, page: &Page) -> Vec<Fault> {
    let links = book.summary.typed.iter().flat_map(|block| &block.links);
    let times = links.filter(|(_, to)| to == page.name()).count();
    let expected = usize::from(page.name() != "404.md");
    let fault = format!("SUMMARY.md names this page {times} times in place of {expected}");
    Vec::from_iter((times != expected).then_some((1, fault)))
}

fn includes_give_text(_: &Book, page: &Page) -> Vec<Fault> {
    let fault = |include: &Include| Some((include.line, include.text.clone().err()?));
    page.includes.iter().filter_map(fault).collect()
}

/// What insta writes before the text of a snapshot.
struct Header {
    class: Option<String>,
    lines: usize,
}

fn header(snapshot: &str) -> Option<Header> {
    let mut lines = snapshot.lines();
    if lines.next() != Some("---") {
        return None;
    }
    let fields: Vec<&str> = lines.take_while(|line| *line != "---").collect();
    let class = fields
        .iter()
        .find_map(|field| field.strip_prefix("description:"));
    Some(Header {
        class: class.map(|class| class.trim().trim_matches('"').to_owned()),
        lines: fields.len() + 2,
    })
}

/// The header of the snapshot that is included.
fn included_header(book: &Book, include: &Include) -> Option<Header> {
    let is_snapshot = include.file.ends_with(".snap");
    header(&(book.files)(&include.file)?).filter(|_| is_snapshot)
}

/// The text of a snapshot begins at its begin; what follows may be a later part of it.
fn snapshots_are_whole(book: &Book, page: &Page) -> Vec<Fault> {
    let (mut faults, mut begun) = (Vec::new(), HashSet::new());
    for include in &page.includes {
        let Some(Header { lines, .. }) = included_header(book, include) else {
            continue;
        };
        let first = lines + 1;
        let is_right = match include.part {
            Part::Lines(start, _) => {
                start == first || (start > first && begun.contains(&include.file))
            }
            _ => false,
        };
        if is_right {
            begun.insert(&include.file);
        } else {
            let fault = format!(
                "the text of {} begins on line {first}: `:{first}:`",
                include.file
            );
            faults.push((include.line, fault));
        }
    }
    faults
}

/// The include that a listing consists of.
fn source<'a>(page: &'a Page, block: &Block) -> Option<&'a Include> {
    let mut characters = block.text.trim().chars();
    let number = include::number(characters.next()?)?;
    let is_all = characters.next().is_none() && matches!(block.kind, Kind::Fenced(_));
    page.includes.get(number).filter(|_| is_all)
}

fn listings_are_not_typed(_: &Book, page: &Page) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut before = None;
    for block in &page.typed {
        let marked = before.and_then(|block: &Block| block.reason("not from a file"));
        let is_listing = matches!(&block.kind, Kind::Fenced(language) if language != "sh");
        let typed = is_listing && source(page, block).is_none() && marked.is_none();
        if typed || block.kind == Kind::Indented {
            let fault =
                "neither one include nor a command (`sh`): `<!-- not from a file: REASON -->`?";
            faults.push((block.line, fault.to_owned()));
        }
        before = Some(block);
    }
    faults
}

/// The listings that show a file, each with the paragraph before it.
fn listings(page: &Page) -> Vec<(usize, &Include, Option<&Block>)> {
    let mut listings = Vec::new();
    let mut before = None;
    for block in &page.typed {
        if let Some(include) = source(page, block) {
            listings.push((block.line, include, before));
        }
        match block.kind {
            Kind::Html => {}
            Kind::Text if block.text.is_empty() => {} // an item around others
            Kind::Text => before = Some(block),
            _ => before = None,
        }
    }
    listings
}

fn outputs_have_their_class(book: &Book, page: &Page) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (line, include, paragraph) in listings(page) {
        let Some(header) = included_header(book, include) else {
            continue;
        };
        let named = paragraph.and_then(class);
        let file = &include.file;
        let fault = match (named, header.class) {
            (None, _) => "the paragraph before names no class as `[exact](order.md#exact)`".into(),
            (Some(_), None) => format!("{file} records no class in its `description:`"),
            (Some(named), Some(class)) if named != class => {
                format!("{named} here, {class} in {file}")
            }
            _ => continue,
        };
        faults.push((line, fault));
    }
    faults
}

/// Predict, then run: a program is open, its output folded under a question.
fn outputs_are_folded(book: &Book, page: &Page) -> Vec<Fault> {
    if OUTPUTS_ARE_OPEN.contains(&page.name()) {
        return Vec::new();
    }
    let (mut faults, mut summary) = (Vec::new(), None);
    for block in &page.typed {
        if let Some((_, rest)) = block.html.split_once("<summary>") {
            summary = rest.split("</summary>").next();
        } else if block.html.contains("</details>") {
            summary = None;
        }
        let Some(include) = source(page, block) else {
            continue;
        };
        let is_output = included_header(book, include).is_some();
        let fault = match (is_output, summary) {
            (true, Some(question)) if question.ends_with('?') => continue,
            (true, _) => "an output is folded, under a question that it answers",
            (false, Some(_)) => "a program is open, so that a reader can predict what it prints",
            (false, None) => continue,
        };
        faults.push((block.line, fault.to_owned()));
    }
    faults
}

/// The classes that a paragraph names, each linked to its heading, as a snapshot records them.
fn class(paragraph: &Block) -> Option<String> {
    let named = |class: &&str| {
        let anchor = format!("#{}", class.replace(' ', "-"));
        let mut links = paragraph.links.iter();
        links.any(|(text, to)| text == class && to.strip_prefix("order.md").unwrap_or(to) == anchor)
    };
    let classes: Vec<&str> = CLASSES.into_iter().filter(named).collect();
    (!classes.is_empty()).then(|| classes.join(", "))
}

/// Where a program is shown first, its command stands beside it.
fn listings_name_their_source(book: &Book, page: &Page) -> Vec<Fault> {
    let (mut faults, mut seen) = (Vec::new(), HashSet::new());
    for (line, include, paragraph) in listings(page) {
        let file = &include.file;
        if included_header(book, include).is_some() {
            continue;
        }
        let codes = paragraph.map(|block| &block.codes[..]).unwrap_or_default();
        if !codes.iter().any(|(code, _)| code == file) {
            faults.push((line, format!("the paragraph before does not name `{file}`")));
        }
        let runs = |command: &str| match commands::action(book, command) {
            Ok(Action::Run(target, ..)) => target.holds(file),
            Ok(Action::Python(program, _)) => program == *file,
            _ => false,
        };
        let is_program = file.contains("/python/") || book.targets.iter().any(|t| t.holds(file));
        if is_program && seen.insert(file) && !codes.iter().any(|(code, _)| runs(code)) {
            faults.push((
                line,
                format!("the paragraph before has no command for `{file}`"),
            ));
        }
    }
    faults
}

fn commands_run(book: &Book, page: &Page) -> Vec<Fault> {
    let mut faults = Vec::new();
    for command in commands::written(page) {
        let fault = match (commands::action(book, &command.text), command.not_run) {
            (Ok(Action::Unchecked), None) => "no test runs this".to_owned(),
            (Err(error), None) => error,
            _ => continue,
        };
        let text = command.text;
        let fault = format!("`{text}`: {fault}: `<!-- not run: REASON -->`?");
        faults.push((command.line, fault));
    }
    faults
}

fn figures_are_measured(_: &Book, page: &Page) -> Vec<Fault> {
    let mut faults = Vec::new();
    for block in &page.typed {
        if matches!(block.kind, Kind::Fenced(_) | Kind::Indented) {
            continue;
        }
        if block.reason("not measured").is_none() {
            let words = block.prose.clone() + " " + &prose::without_tags(&block.html);
            for figure in prose::figures(&words) {
                let fault = format!("{figure:?} is typed: `<!-- not measured: REASON -->`?");
                faults.push((block.line, fault));
            }
        }
    }
    faults
}

fn links_lead_somewhere(book: &Book, page: &Page) -> Vec<Fault> {
    let mut faults = Vec::new();
    for block in &page.shown {
        let html = ["href", "src"]
            .into_iter()
            .flat_map(|name| attributes(&block.html, name));
        let links = block
            .links
            .iter()
            .chain(&block.pictures)
            .map(|(_, to)| &**to);
        for to in links.chain(html) {
            if let Err(fault) = follow(book, page, to) {
                faults.push((block.line, fault));
            }
        }
    }
    faults
}

fn follow(book: &Book, page: &Page, to: &str) -> Result<(), String> {
    if ["https://", "http://", "mailto:"]
        .iter()
        .any(|start| to.starts_with(start))
    {
        return Ok(());
    }
    let (path, anchor) = to.split_once('#').unwrap_or((to, ""));
    let file = match path {
        "" => Some(page.file.clone()),
        _ => include::from_root(&page.file, path).filter(|_| !path.starts_with('/')),
    };
    let file = file.ok_or(format!("{to} is outside"))?;
    if page.file.starts_with(PAGES) && !file.starts_with(PAGES) {
        return Err(format!("{to} is outside the book"));
    }
    if (book.files)(&file).is_none() {
        return Err(format!("{to} does not exist"));
    }
    let is_page = page.file.starts_with(PAGES) && file.ends_with(".md");
    if !anchor.is_empty() && !is_page {
        return Err(format!("no check follows #{anchor} here"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Target;

    const PAGE: &str = "# Page\n\n`a/src/main.rs`, run with `cargo run --bin a`:\n\n```rust\n\
        {{#include ../../a/src/main.rs}}\n```\n\n\
        <details><summary>Which is first?</summary>\n\nOutput, [any order](order.md#any-order):\n\n\
        ```text\n{{#include ../../a/a.snap:5:}}\n```\n\n</details>\n\nA lock takes {{#include f.txt:lock}}.\n";

    /// A book of one page and `order.md`.
    fn book(page: &str) -> Book {
        let page = page.to_owned();
        let files = move |file: &str| {
            let text = match file {
                "book/src/SUMMARY.md" => "# Summary\n- [Page](page.md)\n- [Order](order.md)\n",
                "book/src/page.md" => &page,
                "book/src/order.md" => "# Order\n## Exact\n## Any order\n",
                "book/src/f.txt" => "# ANCHOR: lock\n12 ns\n# ANCHOR_END: lock\n",
                "a/src/main.rs" => "fn main() {}\n",
                "a/src/lib.rs" => "//! A library.\n",
                "a/a.snap" => "---\nsource: a\ndescription: any order\n---\none\ntwo\n",
                "a/old.snap" => "---\nsource: a\nexpression: b\n---\none\n",
                "README.md" => "[a](a/src/main.rs)\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let target = Target {
            package: "a".to_owned(),
            kind: "bin".to_owned(),
            name: "a".to_owned(),
            file: "a/src/main.rs".to_owned(),
        };
        Book::new(
            &["SUMMARY.md", "order.md", "page.md"],
            vec![target],
            Box::new(files),
        )
    }

    #[test]
    fn a_good_page_has_no_fault() {
        assert_eq!(faults(&book(PAGE)), Vec::<String>::new());
    }

    /// A change of the good page makes one fault, of this rule and with these words.
    fn breaks(old: &str, new: &str, fault: &str) {
        assert!(PAGE.contains(old), "{old}");
        let found = faults(&book(&PAGE.replacen(old, new, 1)));
        assert!(
            found.len() == 1 && found[0].contains(fault),
            "{fault}: {found:#?}"
        );
    }

    /// So does a text that is added.
    fn adds(text: &str, fault: &str) {
        breaks("A lock", &format!("{text}\n\nA lock"), fault);
    }

    /// While this adds no fault.
    fn is_fine(text: &str) {
        let found = faults(&book(&PAGE.replace("A lock", &format!("{text}\n\nA lock"))));
        assert!(found.is_empty(), "{text}: {found:#?}");
    }

    #[test]
    fn summary() {
        let mut book = book(PAGE);
        book.summary.typed[1].links.clear();
        assert!(faults(&book)[0].contains("summary: SUMMARY.md names this page 0 times"));
        let link = ("Gone".to_owned(), "gone.md".to_owned());
        book.summary.shown[1].links.push(link);
        assert_eq!(
            faults(&book)[1],
            "book/src/SUMMARY.md:2: link: gone.md does not exist"
        );
    }

    #[test]
    fn include() {
        breaks(
            "f.txt:lock",
            "f.txt:clock",
            ":19: include: f.txt:clock: there is no `ANCHOR: clock`",
        );
        breaks(
            "f.txt:lock",
            "g.txt:lock",
            "include: g.txt:lock: there is no such file",
        );
    }

    #[test]
    fn snapshot() {
        for part in ["", ":6:", ":4:", "::6"] {
            breaks(
                ".snap:5:",
                &format!(".snap{part}"),
                ":14: snapshot: the text of a/a.snap begins on line 5",
            );
        }
        is_fine(
            "<details><summary>And the end?</summary>\n\nIts end, [any order](order.md#any-order):\n\n\
             ```text\n{{#include ../../a/a.snap:6:}}\n```\n\n</details>",
        );
    }

    #[test]
    fn listing() {
        adds("```rust\nfn typed() {}\n```", "listing: neither");
        adds("    indented", "listing: neither");
        adds(
            "`a/src/lib.rs`:\n\n```rust\n{{#include ../../a/src/lib.rs}}\nfn f() {}\n```",
            "listing: neither",
        );
        adds(
            "<!-- not from a file: -->\n```text\na\n```",
            "listing: neither",
        );
        is_fine("<!-- not from a file: a picture -->\n```text\na -> b\n```");
    }

    #[test]
    fn class() {
        breaks(
            "[any order](order.md#any-order)",
            "any order",
            "class: the paragraph before names no class",
        );
        breaks(
            "#any-order",
            "#exact",
            "class: the paragraph before names no class",
        );
        breaks(
            "[any order](order.md#any-order)",
            "[exact](order.md#exact)",
            "class: exact here, any order in",
        );
        breaks(
            "Output",
            "[exact](order.md#exact)",
            "class: exact, any order here, any order in",
        );
        breaks("a.snap", "old.snap", "class: a/old.snap records no class");
        breaks(
            "order):\n",
            "order):\n\n## Exact\n",
            "class: the paragraph before names no class",
        );
    }

    #[test]
    fn folded() {
        breaks("first?", "first", ":13: folded: an output is folded, under");
        breaks(
            "<details><summary>Which is first?</summary>\n\n",
            "",
            ":11: folded: an output is folded, under",
        );
        adds(
            "<details><summary>Why?</summary>\n\n`a/src/lib.rs`:\n\n```rust\n\
             {{#include ../../a/src/lib.rs}}\n```\n\n</details>",
            "folded: a program is open",
        );
    }

    #[test]
    fn source() {
        breaks(
            "`a/src/main.rs`",
            "The program",
            "source: the paragraph before does not name",
        );
        breaks(
            "`cargo run --bin a`",
            "cargo",
            "source: the paragraph before has no command",
        );
        breaks(
            "`cargo run --bin a`",
            "`cargo test -p a`",
            "source: the paragraph before has no command",
        );
        is_fine("`a/src/main.rs` again:\n\n```rust\n{{#include ../../a/src/main.rs}}\n```");
        is_fine("`a/src/lib.rs`:\n\n```rust\n{{#include ../../a/src/lib.rs}}\n```");
    }

    #[test]
    fn command() {
        adds(
            "Try `cargo run --bin b`.",
            "command: `cargo run --bin b`: there is no bin b",
        );
        adds(
            "```sh\ncargo run --example e\n```",
            ":20: command: `cargo run --example e`: there is no",
        );
        adds(
            "Try `cargo bench`.",
            "command: `cargo bench`: no test runs this",
        );
        adds("```sh\nps\n```", "command: `ps`: neither");
        is_fine("```sh\nps\n```\n<!-- not run: its output differs -->");
        is_fine("Try `cargo bench`. <!-- not run: it takes minutes -->");
    }

    #[test]
    fn figure() {
        adds("It takes 12\nns.", "figure: \"12 ns.\" is typed");
        adds(
            "<figcaption>It takes 12 ns.</figcaption>",
            "figure: \"12 ns.\"",
        );
        adds("|a|\n|-|\n|12 ns|", "figure: \"12 ns\"");
        is_fine("After 100 ms it looks again. <!-- not measured: a constant of the code -->");
        is_fine("Here is code: `sleep 2 s`.");
    }

    #[test]
    fn link() {
        adds("[a](other.md)", "link: other.md does not exist");
        adds("[a](f.txt#b)", "link: no check follows #b here");
        adds(
            "[a](../../a/src/main.rs)",
            "link: ../../a/src/main.rs is outside the book",
        );
        adds("<a href=\"none.md\">a</a>", "link: none.md does not exist");
        adds("[a](/order.md)", "link: /order.md is outside");
        is_fine("[a](order.md#any-order) [b](#page) [c](https://example.org/x#y) [d](f.txt)");
    }

    #[test]
    fn readme() {
        let mut book = book(PAGE);
        book.readme.shown[0].links[0].1 = "a/none.rs".to_owned();
        assert_eq!(
            faults(&book),
            ["README.md:1: link: a/none.rs does not exist"]
        );
        book.readme.shown[0].links[0].1 = "#part".to_owned();
        assert_eq!(
            faults(&book),
            ["README.md:1: link: no check follows #part here"]
        );
    }
}
