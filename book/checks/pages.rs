//! The pages of the book, cut into the blocks that the rules speak of.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::include::{self, Files, Include};
use crate::targets::{self, Target};

/// Where the pages are.
pub const PAGES: &str = "book/src/";

/// The book, and what of the workspace it speaks of.
pub struct Book {
    /// The pages, without the summary.
    pub pages: Vec<Page>,
    /// `SUMMARY.md`.
    pub summary: Page,
    /// `README.md` of the workspace.
    pub readme: Page,
    /// The version of mdBook that builds it.
    pub mdbook: String,
    /// What cargo can run.
    pub targets: Vec<Target>,
    /// The files of the workspace.
    pub files: Box<Files>,
}

impl Book {
    /// Reads the book of the workspace.
    pub fn read(root: &Path) -> io::Result<Book> {
        let mut names = Vec::new();
        for entry in fs::read_dir(root.join(PAGES))? {
            names.extend(entry?.file_name().into_string());
        }
        names.retain(|name| name.ends_with(".md"));
        names.sort_unstable();
        let root = root.to_owned();
        let targets = targets::targets(&root)?;
        Ok(Book::new(
            &names,
            targets,
            Box::new(move |file| read(root.join(file))),
        ))
    }

    /// A book from its files.
    pub fn new<N: AsRef<str>>(names: &[N], targets: Vec<Target>, files: Box<Files>) -> Book {
        let page = |file: &str| Page::new(file, &files(file).unwrap_or_default(), &files);
        let pages = names.iter().map(AsRef::as_ref);
        let pages = pages.filter(|name| *name != "SUMMARY.md");
        let build = files("book/build").unwrap_or_default();
        let version = build.lines().find_map(|line| line.strip_prefix("version="));
        Book {
            pages: pages.map(|name| page(&format!("{PAGES}{name}"))).collect(),
            summary: page("book/src/SUMMARY.md"),
            readme: page("README.md"),
            mdbook: version.unwrap_or("?").to_owned(),
            targets,
            files,
        }
    }
}

fn read(path: PathBuf) -> Option<String> {
    if path.is_dir() {
        return Some(String::new());
    }
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A page.
pub struct Page {
    /// Its file, from the root of the workspace.
    pub file: String,
    /// Its text, with a character in the place of each include.
    pub marked: String,
    /// What it includes.
    pub includes: Vec<Include>,
    /// What somebody typed.
    pub typed: Vec<Block>,
    /// What a reader sees.
    pub shown: Vec<Block>,
}

impl Page {
    fn new(file: &str, source: &str, files: &Files) -> Page {
        let (marked, includes) = include::take_out(file, source, files);
        let lines: Vec<usize> = (1..).take(1 + marked.matches('\n').count()).collect();
        let (shown, lines_shown) = include::put_in(&marked, &includes);
        Page {
            typed: blocks(&marked, &lines),
            shown: blocks(&shown, &lines_shown),
            file: file.to_owned(),
            marked,
            includes,
        }
    }

    /// Its name as links have it.
    pub fn name(&self) -> &str {
        self.file.strip_prefix(PAGES).unwrap_or(&self.file)
    }

    /// The line of a place in the typed text.
    pub fn line(&self, place: usize) -> usize {
        1 + self.marked[..place].matches('\n').count()
    }
}

/// What a block is.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// A heading, or the term of a definition.
    Heading,
    /// A paragraph, an item of a list, a row of a table.
    Text,
    /// A fenced listing, with its language.
    Fenced(String),
    /// A listing by indentation.
    Indented,
    /// HTML.
    Html,
}

/// A piece of a page.
#[derive(Debug)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// The line of the page where it begins.
    pub line: usize,
    /// Where it is in the text.
    pub range: Range<usize>,
    /// All words of it.
    pub text: String,
    /// The same without code.
    pub prose: String,
    /// Its HTML, comments included.
    pub html: String,
    /// Its inline code, and where each ends.
    pub codes: Vec<(String, usize)>,
    /// Its links: the words, and where to.
    pub links: Vec<(String, String)>,
    /// Its pictures: the alternative text, and the file.
    pub pictures: Vec<(String, String)>,
}

impl Block {
    /// The reason in a comment such as `<!-- not run: REASON -->`.
    pub fn reason(&self, marker: &str) -> Option<&str> {
        reason(&self.html, marker)
    }
}

/// The reason in the first comment such as `<!-- not run: REASON -->`.
pub fn reason<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let rest = text.split_once(&format!("<!-- {marker}: "))?.1;
    let reason = rest.split_once("-->")?.0.trim();
    (!reason.is_empty()).then_some(reason)
}

/// The values of an attribute in HTML.
pub fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    let values = html.split(&start).skip(1);
    values.filter_map(|rest| rest.split('"').next()).collect()
}

fn blocks(markdown: &str, lines: &[usize]) -> Vec<Block> {
    // mdBook's options.
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_SMART_PUNCTUATION
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM;
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = Vec::new(); // the blocks around a place
    let (mut in_link, mut in_picture) = (false, false);
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        if let Event::Start(tag) = &event
            && let Some(kind) = kind(tag)
        {
            open.push(blocks.len());
            blocks.push(Block {
                kind,
                line: lines[markdown[..range.start].matches('\n').count()],
                range,
                text: String::new(),
                prose: String::new(),
                html: String::new(),
                codes: Vec::new(),
                links: Vec::new(),
                pictures: Vec::new(),
            });
            continue;
        }
        let Some(block) = open.last().map(|number| &mut blocks[*number]) else {
            continue;
        };
        let (words, is_code) = match event {
            Event::End(end) if ends(end) => {
                open.pop();
                continue;
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                in_link = true;
                block.links.push((String::new(), dest_url.into_string()));
                continue;
            }
            Event::End(TagEnd::Link) => {
                in_link = false;
                continue;
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                in_picture = true;
                block.pictures.push((String::new(), dest_url.into_string()));
                continue;
            }
            Event::End(TagEnd::Image) => {
                in_picture = false;
                continue;
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                block.html += &html;
                continue;
            }
            Event::Code(code) => {
                block.codes.push((code.to_string(), range.end));
                (code, true)
            }
            Event::Text(text) => (text, false),
            Event::SoftBreak | Event::HardBreak => (" ".into(), false),
            _ => continue,
        };
        match (block.pictures.last_mut(), block.links.last_mut()) {
            (Some((alternative, _)), _) if in_picture => {
                *alternative += &words;
                continue;
            }
            (_, Some((link, _))) if in_link => *link += &words,
            _ => {}
        }
        block.text += &words;
        block.prose += if is_code { "`" } else { &words };
    }
    blocks
}

fn kind(tag: &Tag) -> Option<Kind> {
    Some(match tag {
        Tag::Heading { .. } | Tag::DefinitionListTitle => Kind::Heading,
        Tag::CodeBlock(CodeBlockKind::Fenced(language)) => Kind::Fenced(language.to_string()),
        Tag::CodeBlock(CodeBlockKind::Indented) => Kind::Indented,
        Tag::HtmlBlock => Kind::Html,
        Tag::Paragraph
        | Tag::Item
        | Tag::TableHead
        | Tag::TableRow
        | Tag::DefinitionListDefinition => Kind::Text,
        _ => return None,
    })
}

fn ends(end: TagEnd) -> bool {
    matches!(
        end,
        TagEnd::Heading(_)
            | TagEnd::DefinitionListTitle
            | TagEnd::CodeBlock
            | TagEnd::HtmlBlock
            | TagEnd::Paragraph
            | TagEnd::Item
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::DefinitionListDefinition
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(source: &str) -> Page {
        Page::new("book/src/page.md", source, &|_| None)
    }

    #[test]
    fn a_page_is_cut_into_blocks() {
        let page = page(
            "# One\n\nSee `code` and\n[this **link**](a.md). ![alt](b.png)\n\n```rust\nfn\n```\n\n\
             <!-- why: because -->\n\n- item\n\n|a|\n|-|\n|b|\n",
        );
        let kinds: Vec<_> = page.typed.iter().map(|block| &block.kind).collect();
        let rust = Kind::Fenced("rust".to_owned());
        let text = Kind::Text;
        let expected = [
            &Kind::Heading,
            &text,
            &rust,
            &Kind::Html,
            &text,
            &text,
            &text,
        ];
        assert_eq!(kinds, expected);
        let paragraph = &page.typed[1];
        assert_eq!(paragraph.text, "See code and this link. ");
        assert_eq!(paragraph.prose, "See ` and this link. ");
        assert_eq!(paragraph.line, 3);
        assert_eq!(paragraph.links, [("this link".into(), "a.md".into())]);
        assert_eq!(paragraph.pictures, [("alt".into(), "b.png".into())]);
        assert_eq!(page.typed[3].reason("why"), Some("because"));
        assert_eq!(page.typed[6].text, "b");
    }

    #[test]
    fn a_marker_without_a_reason_is_none() {
        assert_eq!(reason("<!-- not run: -->", "not run"), None);
        assert_eq!(reason("<!-- not run:  -->", "not run"), None);
    }
}
