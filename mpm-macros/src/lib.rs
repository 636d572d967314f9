//! The attribute macros of mpm.
