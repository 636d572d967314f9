//! What the compiler says about each mistake in the use of the macros. One file per mistake in `ui/`, named after it,
//! beside the exact text; `TRYBUILD=overwrite cargo test -p mpm-tests --test ui` writes new texts, to be read before
//! they are committed. The texts are those of the toolchain in `rust-version`.

#[test]
fn every_mistake_is_told_in_its_own_words() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    cases.pass("tests/ui/accepted/*.rs");
}
