//! What a run becomes: tables, plots, a page of the documentation.

mod document;
mod markdown;
mod plots;
mod tables;
mod targets;

use std::path::Path;

use crate::samples::Results;
use crate::trouble::{Trouble, cannot};

/// The page, below the folder of documents.
const PAGE: &str = "performance.md";

/// The tables as text, for a terminal.
pub(crate) fn text(results: &Results) -> String {
    tables::all(results)
}

/// Writes tables and plots into the folder of documents.
pub(crate) fn write(results: &Results, docs: &Path) -> Result<(), Trouble> {
    let page = docs.join(PAGE);
    let old = std::fs::read_to_string(&page).map_err(cannot(format_args!("read {}", page.display())))?;
    let plots = plots::draw(results, docs)?;
    let figures = format!("{}\n{}", tables::all(results), document::pictures(&plots));
    let new = document::replace(&old, &figures)?;
    std::fs::write(&page, new).map_err(cannot(format_args!("write {}", page.display())))
}
