//! Two runs side by side, by their ratios: what a machine does faster or slower as a whole is not seen.

use crate::figures::{Figures, Spread};
use crate::print::short;
use crate::table::{Better, Figure, MEASURES, MPM, THREADS};

/// Whether the ratios got worse, or better, by more than they spread in either run.
fn verdict(better: Better, old: Spread, new: Spread) -> &'static str {
    let (higher, lower) =
        (new.median > old.largest && old.median < new.smallest, new.median < old.smallest && old.median > new.largest);
    match (better, higher, lower) {
        (_, false, false) => "",
        (Better::Lower, true, _) | (Better::Higher, _, true) => "**WORSE**",
        _ => "better",
    }
}

fn line(figure: &Figure, who: &str, to: &str, [old, new]: [&Figures; 2]) {
    let ratio = |figures: &Figures| figures.ratio(figure.key, who, to);
    let (Some(old), Some(new)) = (ratio(old), ratio(new)) else { return };
    let text = |spread: Spread| format!("{} ({} – {})", short(spread.median), short(spread.smallest), short(spread.largest));
    println!("| {} | {who} | {to} | {} | {} | {} |", figure.title, text(old), text(new), verdict(figure.better, old, new));
}

/// Prints mpm's ratios to the limits and to threads in both runs.
pub(crate) fn table(old: &Figures, new: &Figures) {
    let how = |figures: &Figures| (figures.machine.cpu.clone(), figures.machine.kernel.clone(), figures.under_load, figures.quick);
    if how(old) != how(new) {
        println!("The runs differ: (processor, kernel, under load, quick) was {:?} and is {:?}.\n", how(old), how(new));
    }
    println!("| | | ratio to | old | new | |\n|---|---|---|---|---|---|");
    for figure in MEASURES.iter().flat_map(|measure| measure.figures) {
        for who in new.values.get(figure.key).into_iter().flatten().map(|(who, _)| who).filter(|who| who.starts_with(MPM)) {
            line(figure, who, figure.limit, [old, new]);
            line(figure, who, THREADS, [old, new]);
        }
    }
}
