//! A picture as SVG that stands inside a page and follows its theme, or in a file of its own.
//!
//! Text and axes have the colour of the page's text; the other [colours](ORANGE) read on light and
//! on dark.

use std::fmt::{Arguments, Write};

/// A colour that stands out on each ground of mdBook's.
pub const ORANGE: &str = "#d9480f";
/// Another one.
pub const BLUE: &str = "#3776ab";
/// Another one.
pub const GREEN: &str = "#2f8a3c";
/// Another one.
pub const PURPLE: &str = "#8a63b8";

/// The height of a line of text.
pub const FONT: f64 = 18.0;

/// A letter's, about: nobody knows the reader's font.
const LETTER: f64 = 0.54 * FONT;

/// How wide a text is, about.
pub fn width(text: &str) -> f64 {
    LETTER * text.chars().count() as f64
}

/// A picture while it is drawn: one block of HTML without an empty line, which is how Markdown
/// wants it.
pub struct Svg(String);

impl Svg {
    /// So wide and so high, in units in which a line of text has the height [`FONT`], and at most so
    /// many pixels wide. The title and the description are for who cannot see it; the name is for
    /// them, too, and no other picture of the page has it.
    pub fn new(
        name: &str,
        (width, height): (f64, f64),
        most: u32,
        title: &str,
        description: &str,
    ) -> Self {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-labelledby=\"{name}-title {name}-desc\" \
             style=\"display:block;width:100%;max-width:min(100%,{most}px);height:auto;\
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
        self.element(format_args!(
            "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"currentColor\" \
             stroke-opacity=\"{opacity}\"/>"
        ));
    }

    /// A text; `anchor` is `start`, `middle` or `end`.
    pub fn label(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        self.element(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        ));
    }

    /// An element as it is to be in the file.
    pub fn element(&mut self, element: Arguments<'_>) {
        let _ = writeln!(self.0, "{element}");
    }

    /// The whole picture.
    pub fn finish(mut self) -> String {
        self.0 += "</svg>\n";
        self.0
    }
}

/// A text without what a terminal would obey and XML does not have. An empty line would end the
/// picture in a page.
pub fn printable(text: &str) -> String {
    let is_none = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.replace(is_none, "\u{fffd}")
}

/// A text as it has to be written between elements and in attributes.
pub fn escape(text: &str) -> String {
    printable(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
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
            for colour in [ORANGE, BLUE, GREEN, PURPLE] {
                let (a, b) = (luminance(ground), luminance(colour));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 3.0, "{colour} on {ground}: {contrast:.2}");
            }
        }
    }
}
