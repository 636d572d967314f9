//! mpm.
mod link;
mod sys;
