//! mpm.
