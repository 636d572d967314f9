//! `#[mpm::main]` on a function with arguments.

#[mpm::main]
fn main(arguments: Vec<String>) {
    drop(arguments);
}
