//! The tables that people read, in Markdown.

use crate::figures::{Figures, Spread};
use crate::table::{Aim, Better, Figure, MEASURES, MPM, THREADS};

/// Three digits that count, with `k` and `M` for thousands and millions.
pub(crate) fn short(value: f64) -> String {
    let (value, suffix) = match value.abs() {
        v if v >= 999_500.0 => (value / 1e6, "M"),
        v if v >= 9_995.0 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        0.0 => 0,
        v if v < 0.01 => 4,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{suffix}")
}

fn or_nothing(spread: Option<Spread>) -> String {
    spread.map_or_else(String::new, |spread| short(spread.median))
}

/// "≤ 2 × limit: yes (1.4)".
fn verdict(figures: &Figures, figure: &Figure, aim: Aim) -> String {
    let sign = if figure.better == Better::Lower { '≤' } else { '≥' };
    let (bound, text) = match aim {
        Aim::TimesTheLimit(bound) => (bound, format!("{sign} {} × limit", short(bound))),
        Aim::TimesTheThreads(bound) => (bound, format!("{sign} {} × threads", short(bound))),
        Aim::Value(bound) => (bound, format!("{sign} {}", short(bound))),
    };
    match figures.aimed(figure, MPM, aim) {
        None => format!("{text}: not measured"),
        Some(Spread { median, .. }) => {
            let reached = if figure.better == Better::Lower { median <= bound } else { median >= bound };
            format!("{text}: {} ({})", if reached { "yes" } else { "**no**" }, short(median))
        }
    }
}

/// The best of those who are neither mpm nor a limit nor threads.
pub(crate) fn best_peer<'a>(figures: &'a Figures, figure: &Figure) -> Option<(&'a str, Spread)> {
    let is_peer = |who: &str| !who.starts_with(MPM) && !who.starts_with("limit") && who != THREADS;
    figures.ranking(figure).into_iter().find(|(who, _)| is_peer(who))
}

/// The figures of which there is any value.
pub(crate) fn measured(figures: &Figures) -> impl Iterator<Item = &'static Figure> {
    MEASURES.iter().flat_map(|measure| measure.figures).filter(|figure| figures.values.contains_key(figure.key))
}

/// mpm in one line for each figure.
fn summary(figures: &Figures) {
    println!("| | mpm: median (smallest – largest) | limit | threads | best peer | ratio to limit | to threads | aim |");
    println!("|---|---|---|---|---|---|---|---|");
    for figure in measured(figures) {
        let Some(mpm) = figures.spread(figure.key, MPM) else { continue };
        let aims: Vec<_> = figure.aims.iter().map(|aim| verdict(figures, figure, *aim)).collect();
        println!(
            "| {} | {} ({} – {}) | {} | {} | {} | {} | {} | {} |",
            figure.title,
            short(mpm.median),
            short(mpm.smallest),
            short(mpm.largest),
            or_nothing(figures.spread(figure.key, figure.limit)),
            or_nothing(figures.spread(figure.key, THREADS)),
            best_peer(figures, figure).map_or_else(String::new, |(who, spread)| format!("{} ({who})", short(spread.median))),
            or_nothing(figures.ratio(figure.key, MPM, figure.limit)),
            or_nothing(figures.ratio(figure.key, MPM, THREADS)),
            aims.join("; "),
        );
    }
}

/// All who have done it, the best first, and those who never came to a value.
fn details(figures: &Figures, figure: &Figure) {
    println!("\n### {}\n", figure.title);
    println!("| | median | smallest – largest | ratio to {} | ratio to threads |\n|---|---|---|---|---|", figure.limit);
    for (who, spread) in figures.ranking(figure) {
        let remark = figures.remarks.get(figure.key).and_then(|remarks| remarks.get(who));
        let remark = remark.map_or_else(String::new, |remark| format!(" ({remark})"));
        let bold = if who == figure.limit || who == MPM { "**" } else { "" };
        println!(
            "| {bold}{who}{bold}{remark} | {} | {} – {} | {} | {} |",
            short(spread.median),
            short(spread.smallest),
            short(spread.largest),
            or_nothing(figures.ratio(figure.key, who, figure.limit)),
            or_nothing(figures.ratio(figure.key, who, THREADS)),
        );
    }
    for (who, remark) in figures.remarks.get(figure.key).into_iter().flatten() {
        if figures.spread(figure.key, who).is_none() {
            println!("| {who} | never: {remark} | | | |");
        }
    }
}

/// Prints all that was found.
pub(crate) fn tables(figures: &Figures) {
    let machine = &figures.machine;
    println!(
        "{} × {}, Linux {}, {}; {} rounds, interleaved{}{}. Ratios are medians of those within a round.\n",
        machine.cpus,
        machine.cpu,
        machine.kernel,
        machine.rustc,
        figures.rounds,
        if figures.under_load { ", all CPUs busy with something else" } else { "" },
        if figures.quick { ", a tenth of the work" } else { "" },
    );
    summary(figures);
    measured(figures).for_each(|figure| details(figures, figure));
    if !figures.left_out.is_empty() {
        println!("\n### Left out\n");
        figures.left_out.iter().for_each(|(who, reason)| println!("- {who}: {reason}"));
    }
    if !figures.failures.is_empty() {
        println!("\n### Failed\n");
        figures.failures.iter().for_each(|failure| println!("- {failure}"));
    }
}
