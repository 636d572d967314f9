//! The chart: how many times worse than the limit mpm, threads and the best peer are, on a logarithmic scale.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::figures::Figures;
use crate::print::{best_peer, measured, short};
use crate::table::{Better, Figure, MPM, THREADS};

const WIDTH: u32 = 1000;
/// Of a group: its title and three bars.
const GROUP: u32 = 76;
const AROUND: u32 = 110;
const FURTHEST: f64 = 3e4;

struct Bar {
    who: String,
    times_worse: f64,
    label: String,
    colour: RGBColor,
}

/// The bars of a figure; none where its limit was not measured, or is no time and no rate.
fn bars(figures: &Figures, figure: &Figure) -> Vec<Bar> {
    let who = [(MPM.to_owned(), RGBColor(31, 90, 180)), (THREADS.to_owned(), RGBColor(120, 120, 120))];
    let peer = best_peer(figures, figure).map(|(who, _)| (who.to_owned(), RGBColor(226, 135, 40)));
    let bar = |(who, colour): (String, RGBColor)| {
        let ratio = figures.ratio(figure.key, &who, figure.limit)?.median;
        let times_worse = if figure.better == Better::Lower { ratio } else { ratio.recip() };
        let label = format!("{} — {who}", short(figures.spread(figure.key, &who)?.median));
        Some(Bar { who, times_worse, label, colour })
    };
    who.into_iter().chain(peer).filter_map(bar).filter(|bar| bar.times_worse.is_finite()).collect()
}

/// Draws it into a file.
pub(crate) fn draw(figures: &Figures, file: &Path) -> Result<(), Box<dyn Error>> {
    let groups: Vec<(&Figure, Vec<Bar>)> = measured(figures).map(|figure| (figure, bars(figures, figure))).collect();
    let groups: Vec<_> = groups.into_iter().filter(|(_, bars)| bars.iter().any(|bar| bar.who == MPM)).collect();
    let rows = groups.len() as u32;
    let root = SVGBackend::new(file, (WIDTH, rows * GROUP + AROUND)).into_drawing_area();
    root.fill(&WHITE)?;
    let all = || groups.iter().flat_map(|(_, bars)| bars).map(|bar| bar.times_worse);
    let scale = all().fold(0.5, f64::min) / 1.2..(all().fold(2.0, f64::max) * 10.0).min(FURTHEST);
    let left = scale.start;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .caption("times worse than the limit (left of 1: better), and medians", ("sans-serif", 20))
        .x_label_area_size(28)
        .build_cartesian_2d(scale.log_scale(), f64::from(rows)..0.0)?;
    chart.configure_mesh().disable_y_mesh().disable_y_axis().x_label_formatter(&|times| short(*times)).draw()?;
    for (row, (figure, bars)) in (0..).map(f64::from).zip(&groups) {
        chart.draw_series([Text::new(figure.title, (left, row + 0.1), ("sans-serif", 15))])?;
        for (place, bar) in (0..).map(f64::from).zip(bars) {
            let (top, end) = (row + 0.33 + 0.2 * place, bar.times_worse.min(FURTHEST));
            chart.draw_series([Rectangle::new([(1.0, top), (end, top + 0.17)], bar.colour.filled())])?;
            let label = Text::new(bar.label.clone(), (end.max(1.0) * 1.04, top + 0.02), ("sans-serif", 12));
            chart.draw_series([label])?;
        }
    }
    chart.draw_series([PathElement::new([(1.0, 0.0), (1.0, f64::from(rows))], BLACK)])?;
    root.present()?;
    Ok(())
}
