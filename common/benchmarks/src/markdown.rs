//! What pages include: tables, and numbers in the middle of a sentence.

/// Numbers to be included in the middle of a sentence, each between anchors of its own.
#[derive(Default)]
pub struct Figures(pub String);

impl Figures {
    /// One more.
    pub fn add(&mut self, name: &str, value: &str) {
        // A number is not parted from its unit at the end of a line.
        let value = value.replace(' ', "\u{a0}");
        self.0 += &format!("# ANCHOR: {name}\n{value}\n# ANCHOR_END: {name}\n");
    }
}

/// A table; the first row is its head, and all columns but the first hold numbers.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut table = String::new();
    for (number, row) in rows.iter().enumerate() {
        table += &format!("| {} |\n", row.join(" | "));
        if number == 0 {
            table += &format!("|---{}|\n", "|--:".repeat(row.len() - 1));
        }
    }
    table
}
