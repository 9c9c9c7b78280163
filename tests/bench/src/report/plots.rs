//! The plots, as SVG.

use std::fmt::Display;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::document::Picture;
use super::markdown::whole;
use crate::samples::{Figure, Results};
use crate::subject::{Entry, Kind, ROSTER};
use crate::trouble::Trouble;

/// Colours that can be told apart in grey, too.
const FIRST: RGBColor = RGBColor(0x1f, 0x4e, 0x79);
const SECOND: RGBColor = RGBColor(0xe0, 0x8e, 0x2b);
const GREY: RGBColor = RGBColor(0x55, 0x55, 0x55);
const WIDTH: u32 = 900;
const LINE: i32 = 19;
const LEFT: i32 = 210;
const RIGHT: i32 = 110;
const FONT: &str = "sans-serif";

/// One group of bars: whose they are, and a value for each series.
type Group = (String, Vec<Option<f64>>);

/// Draws what was measured into `docs`; answers what there is to show.
pub(super) fn draw(results: &Results, docs: &Path) -> Result<Vec<Picture>, Trouble> {
    let by =
        |figure, x| move |entry: Entry| results.spread(figure, &entry.name(), x).map(|spread| spread.median);
    let groups = |series: &[&dyn Fn(Entry) -> Option<f64>]| -> Vec<Group> {
        ROSTER.iter().map(|&entry| (entry.name(), series.iter().map(|of| of(entry)).collect())).collect()
    };
    let cpu =
        Picture { file: "performance-cpu.svg", shows: "CPU of a datagram, in ns, at 50 000/s and 200 000/s" };
    let (at_50, at_200) = (by(Figure::CpuNs, 50_000), by(Figure::CpuNs, 200_000));
    bars(&docs.join(cpu.file), cpu.shows, &["50 000/s", "200 000/s"], &groups(&[&at_50, &at_200]))?;
    let rate =
        Picture { file: "performance-rate.svg", shows: "Highest rate without loss, datagrams a second" };
    bars(&docs.join(rate.file), rate.shows, &["a second"], &groups(&[&by(Figure::HighestRate, 0)]))?;
    let growth = Picture {
        file: "performance-growth.svg",
        shows: "CPU of a datagram, in ns, as workers and senders grow",
    };
    lines(&docs.join(growth.file), results)?;
    Ok(vec![cpu, rate, growth])
}

fn undrawable(file: &Path) -> impl Fn(&dyn Display) -> Trouble {
    let what = format!("cannot draw {}", file.display());
    move |why| Trouble::broken(&what, why)
}

/// Horizontal bars, a group below the other. What was not measured has none.
fn bars(file: &Path, title: &str, series: &[&str], groups: &[Group]) -> Result<(), Trouble> {
    let (failed, colours) = (undrawable(file), [FIRST, SECOND]);
    let all = groups.iter().flat_map(|(_, values)| values.iter().flatten());
    let most = all.copied().fold(1.0, f64::max);
    let group = LINE * series.len() as i32 + LINE / 2;
    let height = 60 + group * groups.len() as i32 + LINE;
    let area = SVGBackend::new(file, (WIDTH, height.unsigned_abs())).into_drawing_area();
    let text = |size: i32, colour: RGBColor, side: HPos| {
        (FONT, size).into_font().color(&colour).pos(Pos::new(side, VPos::Center))
    };
    let put = |words: String, at: (i32, i32), style: TextStyle<'_>| {
        area.draw(&Text::new(words, at, style)).map_err(|e| failed(&e))
    };
    area.fill(&WHITE).map_err(|e| failed(&e))?;
    put(title.into(), (10, 18), text(17, BLACK, HPos::Left))?;
    if series.len() > 1 {
        for (i, (name, colour)) in series.iter().zip(colours).enumerate() {
            put((*name).into(), (LEFT + 110 * i as i32, 42), text(14, colour, HPos::Left))?;
        }
    }
    for (row, (name, values)) in groups.iter().enumerate() {
        let top = 60 + group * row as i32;
        put(name.clone(), (LEFT - 10, top + LINE * series.len() as i32 / 2), text(14, BLACK, HPos::Right))?;
        for (i, (value, colour)) in values.iter().zip(colours).enumerate() {
            let (y, value) = (top + LINE * i as i32, value.unwrap_or(0.0));
            let end = LEFT + (value / most * f64::from(WIDTH as i32 - LEFT - RIGHT)) as i32;
            let bar = Rectangle::new([(LEFT, y + 1), (end, y + LINE - 2)], colour.filled());
            area.draw(&bar).map_err(|e| failed(&e))?;
            put(whole(value), (end + 6, y + LINE / 2), text(13, GREY, HPos::Left))?;
        }
    }
    area.present().map_err(|e| failed(&e))
}

/// Two panels: workers to the left, senders to the right; the null sink and the cluster in each.
fn lines(file: &Path, results: &Results) -> Result<(), Trouble> {
    let failed = undrawable(file);
    let area = SVGBackend::new(file, (WIDTH, 360)).into_drawing_area();
    area.fill(&WHITE).map_err(|e| failed(&e))?;
    let panels = area.split_evenly((1, 2));
    let shown = [(Figure::ByWorkersNs, "workers", 2.0), (Figure::BySendersNs, "senders, 4 workers", 10.0)];
    for (panel, (figure, what, base)) in panels.iter().zip(shown) {
        let curves = [Kind::Null, Kind::Cluster].map(|kind| curve(results, figure, kind));
        let points = || curves.iter().flatten();
        let most = points().map(|point| point.1).fold(1.0, f64::max) * 1.1;
        let last = points().map(|point| point.0).fold(2.0, f64::max);
        let mut chart = ChartBuilder::on(panel)
            .caption(what, (FONT, 16))
            .margin(12)
            .margin_right(30)
            .x_label_area_size(30)
            .y_label_area_size(60)
            .build_cartesian_2d((1.0..last).log_scale().base(base), 0.0..most)
            .map_err(|e| failed(&e))?;
        let number = |value: &f64| whole(*value);
        let mut mesh = chart.configure_mesh();
        let mesh =
            mesh.disable_x_mesh().max_light_lines(1).x_label_formatter(&number).y_label_formatter(&number);
        mesh.y_desc("ns").draw().map_err(|e| failed(&e))?;
        for (curve, (colour, name)) in curves.iter().zip([(SECOND, "null sink"), (FIRST, "atlas-cluster")]) {
            let drawn =
                chart.draw_series(LineSeries::new(curve.clone(), colour.stroke_width(2)).point_size(3));
            let drawn = drawn.map_err(|e| failed(&e))?;
            drawn
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        let mut legend = chart.configure_series_labels();
        let legend = legend.position(SeriesLabelPosition::LowerRight).label_font((FONT, 13));
        legend.background_style(WHITE.mix(0.8)).draw().map_err(|e| failed(&e))?;
    }
    area.present().map_err(|e| failed(&e))
}

/// Medians over `x`.
fn curve(results: &Results, figure: Figure, kind: Kind) -> Vec<(f64, f64)> {
    let at = |x: u64| {
        let workers = if figure == Figure::ByWorkersNs { x as usize } else { 4 };
        let spread = results.spread(figure, &Entry::new(kind, workers).name(), x)?;
        Some((x as f64, spread.median))
    };
    results.xs(figure).into_iter().filter_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Sample;

    #[test]
    fn every_picture_is_drawn_with_its_numbers_or_without_any() {
        let folder = tempfile::tempdir().unwrap();
        let mut results = Results { rounds: 1, ..Results::default() };
        assert_eq!(draw(&results, folder.path()).unwrap().len(), 3);
        for (figure, workers, x) in
            [(Figure::CpuNs, 4, 50_000), (Figure::ByWorkersNs, 1, 1), (Figure::ByWorkersNs, 64, 64)]
        {
            let subject = Entry::new(Kind::Cluster, workers).name();
            results.samples.push(Sample { figure, subject, x, round: 0, value: 4321.0 });
        }
        for picture in draw(&results, folder.path()).unwrap() {
            let text = std::fs::read_to_string(folder.path().join(picture.file)).unwrap();
            assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{}", picture.file);
            assert_eq!(text.contains("4 321"), picture.file == "performance-cpu.svg", "{text}");
        }
    }
}
