//! The chart.

use std::path::Path;

use crate::figures::Figures;

pub(crate) fn draw(_figures: &Figures, _file: &Path) {}
