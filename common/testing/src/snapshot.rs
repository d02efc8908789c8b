//! Compares a claim with its snapshot, in which its class is written.

use insta::comparator::{Comparator, DefaultComparator};
use insta::{Settings, Snapshot};

use crate::Claim;

/// Compares a [`Claim`] with the snapshot of the test's name, or of another name given before it.
///
/// The class stands in the snapshot's `description`, and it has to be the same, too.
///
/// ```no_run
/// use testing::{any_order, assert_output, run};
///
/// assert_output!(any_order(run("/bin/ls").success()));
/// assert_output!("main_program", any_order(run("/bin/ls").success()));
/// ```
#[macro_export]
macro_rules! assert_output {
    ($claim:expr) => {
        $crate::assert_output!($crate::insta::_macro_support::AutoName, $claim)
    };
    ($name:expr, $claim:expr) => {{
        let claim: $crate::Claim = $claim;
        let _until_compared = $crate::settings(&claim).bind_to_scope();
        $crate::insta::assert_snapshot!($name, claim.text())
    }};
}

/// For [`assert_output`].
#[doc(hidden)]
pub fn settings(claim: &Claim) -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_description(claim.class());
    settings.set_omit_expression(true); // the test's code, which tells a reader little
    settings.set_comparator(Box::new(SameClass));
    settings
}

/// insta compares the text alone.
struct SameClass;

impl Comparator for SameClass {
    fn matches(&self, reference: &Snapshot, test: &Snapshot) -> bool {
        let class = |of: &Snapshot| of.metadata().description().unwrap_or("none").to_owned();
        let (old, new) = (class(reference), class(test));
        if old != new {
            // Of the two, insta shows the new one alone.
            eprintln!("The snapshot's class is {old}, the output's {new}.");
        }
        old == new && DefaultComparator.matches(reference, test)
    }

    fn dyn_clone(&self) -> Box<dyn Comparator> {
        Box::new(SameClass)
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use super::*;

    #[test]
    fn the_class_is_compared_too() {
        let snapshot = |class: &str, text: &str| {
            let file = env::temp_dir().join(format!("class-{}.snap", process::id()));
            fs::write(&file, format!("---\ndescription: {class}\n---\n{text}\n")).expect("written");
            let snapshot = Snapshot::from_file(&file).expect("a snapshot");
            fs::remove_file(file).expect("removed");
            snapshot
        };
        let matches =
            |class, text| SameClass.matches(&snapshot("any order", "a"), &snapshot(class, text));
        assert!(matches("any order", "a"));
        assert!(!matches("exact", "a"));
        assert!(!matches("any order", "b"));
    }
}
