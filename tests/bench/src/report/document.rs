//! The page of the documentation: what is measured stands between two markers, everything else is written by hand.

use crate::trouble::Trouble;

const BEGIN: &str = "<!-- measured: scripts/bench.sh writes from here -->\n";
const END: &str = "<!-- to here -->";

/// A picture: its file beside the page, and what it shows.
pub(crate) struct Picture {
    pub(crate) file: &'static str,
    pub(crate) shows: &'static str,
}

/// The page with `figures` between its markers.
pub(super) fn replace(page: &str, figures: &str) -> Result<String, Trouble> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", figures.trim()))
    });
    let hint = format!("a line `{}` and, below it, one `{END}`", BEGIN.trim());
    parts.ok_or_else(|| Trouble::broken("docs/performance.md has no place for what is measured", hint))
}

/// The pictures, one below the other.
pub(super) fn pictures(all: &[Picture]) -> String {
    all.iter().map(|picture| format!("![{}]({})\n\n", picture.shows, picture.file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let page = format!("# Title\n\n{BEGIN}\nold\n\n{END}\n\ntail\n");
        let new = replace(&page, "new\n").unwrap();
        assert_eq!(new, format!("# Title\n\n{BEGIN}\nnew\n\n{END}\n\ntail\n"));
        assert_eq!(replace(&new, "new").unwrap(), new, "twice is as once");
        assert!(replace("# Title\n", "new").is_err());
    }
}
