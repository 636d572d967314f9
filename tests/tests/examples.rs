//! The example programs as a user runs them: they print what the book says, and `checksums` keeps its contract. The big
//! comparison of `checksums` with `sha256sum` is `.ci/checksums`.

use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use mpm_tests::{children_of, kill, wait_until, watchdog};

/// SHA-256 of nothing, and of `abc`.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// An example program. Cargo builds them next to the tests.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("a test knows its own file");
    let folder = test.parent().and_then(Path::parent).expect("tests lie two folders deep");
    let program = folder.join("examples").join(name);
    assert!(
        program.exists(),
        "{} is not there: `cargo test --workspace` builds it, or `cargo build --examples`",
        program.display()
    );
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env_remove("RUST_BACKTRACE");
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the example starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the book says that an example prints: the example's name with its arguments, and the first lines of its standard output.
fn quotes() -> Vec<(String, String)> {
    let mut quotes: Vec<(String, String)> = Vec::new();
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src");
    for entry in fs::read_dir(book).expect("the book is there") {
        let path = entry.expect("a page").path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let mut quoting = false;
        for line in fs::read_to_string(&path).expect("a page is text").lines() {
            if let Some(name) = line.strip_prefix("$ cargo run --release --example ") {
                quotes.push((name.to_owned(), String::new()));
                quoting = true;
            } else if line.starts_with("```") {
                quoting = false;
            } else if quoting && let Some((_, quote)) = quotes.last_mut() {
                quote.push_str(line);
                quote.push('\n');
            }
        }
    }
    quotes.retain(|(_, quote)| !quote.is_empty());
    quotes
}

/// Numbers and spans of time differ from run to run, and so does the kernel's mind about core dumps.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    let text = text.replace(" (core dumped)", "");
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        plain.push_str(&rest[..start]);
        plain.push('0');
        rest = rest[start..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        for unit in ["ns", "µs", "ms", "s"] {
            match rest.strip_prefix(unit) {
                Some(after) if !after.starts_with(char::is_alphanumeric) => {
                    rest = after;
                    break;
                }
                _ => {}
            }
        }
    }
    plain + rest
}

#[test]
fn the_examples_print_what_the_book_quotes() {
    let _guard = watchdog();
    let quotes = quotes();
    assert!(quotes.len() >= 6, "only {quotes:?} found in the book");
    for (name, quote) in quotes {
        let (program, arguments) = name.split_once(" -- ").unwrap_or((&name, ""));
        let prints_it = || {
            let output = run(example(program).args(arguments.split_whitespace()));
            let (printed, said) = (text(&output.stdout), text(&output.stderr));
            let is_it = output.status.success() && without_numbers(&printed).starts_with(&without_numbers(&quote));
            is_it || {
                eprintln!("{name} ended with {}, and printed:\n{printed}{said}", output.status);
                false
            }
        };
        // These have limits of a fraction of a second, and a machine may stall for longer.
        let tries = if ["errors", "several", "timeouts"].contains(&program) { 3 } else { 1 };
        assert!((0..tries).any(|_| prints_it()), "{name} does not print what the book quotes:\n{quote}");
    }
}

fn preload(arguments: &[&str]) -> Output {
    run(example("preload").env_remove("MPM_START_METHOD").args(arguments))
}

#[test]
fn preload_shares_its_table_but_for_spawn() {
    let _guard = watchdog();
    let common = ["--megabytes", "20", "--workers", "3"];
    // What each worker has for itself, in tenths of a megabyte.
    let private = |printed: &str| -> Vec<u32> {
        let workers = printed.lines().filter(|line| line.starts_with("worker "));
        let number = |line: &str| line.split(" MB").nth(1)?.rsplit(' ').next()?.replace('.', "").parse().ok();
        workers.map(|line| number(line).unwrap_or_else(|| panic!("no number in {line}"))).collect()
    };
    for (method, shares) in [(None, true), (Some("forkserver"), true), (Some("fork"), true), (Some("spawn"), false)] {
        let chosen = method.map(|method| ["--start", method]);
        let arguments: Vec<&str> = common.into_iter().chain(chosen.into_iter().flatten()).collect();
        let output = preload(&arguments);
        let printed = text(&output.stdout);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{method:?}");
        assert!(printed.starts_with(&format!("a table of 20 MB, 3 workers by {}\n", method.unwrap_or("forkserver"))), "{printed}");
        let private = private(&printed);
        assert!(private.len() == 3 && private.iter().all(|own| (*own < 100) == shares), "{method:?}: {private:?}: {printed}");
        assert_eq!(printed.contains("sharing has saved"), shares, "{printed}");
        assert_eq!(printed.contains("each worker has loaded its own copy"), !shares, "{printed}");
    }
}

#[test]
fn preload_tells_misuse_from_trouble() {
    let _guard = watchdog();
    let help = preload(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).starts_with("usage: preload "));
    for misuse in
        [&["--megabytes"][..], &["--megabytes", "0"], &["--workers", "many"], &["--start", "teleport"], &["--what"], &["500"]]
    {
        let output = preload(misuse);
        assert_eq!(output.status.code(), Some(2), "{misuse:?}");
        let complaint = text(&output.stderr);
        assert!(complaint.starts_with("preload: ") && complaint.ends_with("; see --help\n"), "{misuse:?}: {complaint}");
    }
    let much = preload(&["--megabytes", "1000000", "--workers", "1000", "--start", "spawn"]);
    assert_eq!(much.status.code(), Some(1));
    assert!(text(&much.stderr).contains(" MB available; see --megabytes"), "{}", text(&much.stderr));
}

/// Whatever the start methods, single processes do the same.
#[test]
fn process_prints_the_same_by_every_start_method() {
    let _guard = watchdog();
    let printed = |method: &str| {
        let output = run(example("process").env("MPM_START_METHOD", method));
        assert!(output.status.success(), "{method}: {}", text(&output.stderr));
        without_numbers(&text(&output.stdout))
    };
    assert_eq!(printed("spawn"), printed("forkserver"));
    assert_eq!(printed("fork"), printed("forkserver"));
}

/// One model for each worker, but for preloading into a template.
#[test]
fn classifier_tells_how_often_its_model_is_built() {
    let _guard = watchdog();
    for (method, preloaded) in [("forkserver", 1), ("fork", 1), ("spawn", 2)] {
        let output = run(example("classifier").env("MPM_START_METHOD", method));
        let printed = text(&output.stdout);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{method}");
        assert!(printed.contains("\nmodels for 2 workers: 2\n"), "{method}: {printed}");
        assert!(printed.contains(&format!("\npreloaded, by {method}: {preloaded}\n")), "{printed}");
    }
}

fn checksums(arguments: &[&Path]) -> Output {
    run(example("checksums").args(arguments))
}

#[test]
fn checksums_prints_regular_files_in_the_order_of_their_paths() {
    let _guard = watchdog();
    let tree = tempfile::tempdir().expect("a folder");
    let name = |bytes: &[u8]| tree.path().join(std::ffi::OsStr::from_bytes(bytes));
    for folder in ["a", "a.b", "a-b", "empty"] {
        fs::create_dir(tree.path().join(folder)).expect("a folder");
    }
    let names: [&[u8]; 8] = [b"a-b/x", b"a.b/x", b"a/x", b"back\\slash", b"line\nfeed", b"plain", b"r\r", b"z\xff"];
    for file in names {
        fs::write(name(file), if file == b"plain" { "abc" } else { "" }).expect("a file");
    }
    symlink("plain", name(b"link")).expect("a link");
    symlink("a", name(b"link to folder")).expect("a link");
    assert!(Command::new("mkfifo").arg(name(b"pipe")).status().expect("mkfifo runs").success());

    let output = checksums(&[tree.path()]);
    let mut expected = Vec::new();
    for (file, escaped, sum) in [
        (names[0], "", NOTHING),
        (names[1], "", NOTHING),
        (names[2], "", NOTHING),
        (b"back\\\\slash", "\\", NOTHING),
        (b"line\\nfeed", "\\", NOTHING),
        (names[5], "", ABC),
        (b"r\\r", "\\", NOTHING),
        (names[7], "", NOTHING),
    ] {
        expected.extend_from_slice(format!("{escaped}{sum}  {}/", tree.path().display()).as_bytes());
        expected.extend_from_slice(file);
        expected.push(b'\n');
    }
    assert_eq!(text(&output.stdout), text(&expected));
    assert_eq!(output.stdout, expected);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));

    let one = checksums(&[&name(b"plain")]);
    assert_eq!(text(&one.stdout), format!("{ABC}  {}/plain\n", tree.path().display()));
}

#[test]
fn checksums_tells_misuse_from_trouble() {
    let _guard = watchdog();
    let arguments = |list: &[&'static str]| -> Vec<&Path> { list.iter().map(|text| Path::new(*text)).collect() };
    for misuse in [&["--workers"][..], &["--workers", "0"], &["--workers=x"], &["--workers", "5000"], &["--what"], &["a", "b"]] {
        let output = checksums(&arguments(misuse));
        assert_eq!(output.status.code(), Some(2), "{misuse:?}");
        assert!(text(&output.stderr).contains("usage: "), "{misuse:?}: {}", text(&output.stderr));
    }
    let help = checksums(&arguments(&["--help"]));
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).starts_with("usage: checksums [--workers N] [--help] [PATH]\n"));

    for nothing in ["no such folder", "/dev/null", "--"] {
        let output = checksums(&arguments(&["--workers", "1", "--", nothing]));
        assert_eq!(output.status.code(), Some(1), "{nothing}");
        let complaint = text(&output.stderr);
        assert!(complaint.starts_with(&format!("checksums: {nothing}: ")) && complaint.lines().count() == 1, "{complaint}");
    }
}

#[test]
fn checksums_ends_quietly_when_nobody_reads() {
    let _guard = watchdog();
    let tree = tempfile::tempdir().expect("a folder");
    fs::write(tree.path().join("file"), "abc").expect("a file");
    let mut command = example("checksums");
    let mut child = command.arg(tree.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

/// The worker of `parent` that has `file` open.
fn reader_of(parent: &Child, file: &Path) -> Option<u32> {
    children_of(parent.id()).into_iter().find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| target == file)
    })
}

#[test]
fn a_worker_that_dies_with_a_file_costs_checksums_that_file() {
    let _guard = watchdog();
    let tree = tempfile::tempdir().expect("a folder");
    for file in ["a", "c"] {
        fs::write(tree.path().join(file), "abc").expect("a file");
    }
    // Large enough that nobody is ever done with it, and not a byte on the disk.
    let huge: PathBuf = tree.path().canonicalize().expect("it is there").join("b");
    fs::File::create(&huge).and_then(|file| file.set_len(1 << 42)).expect("a sparse file");

    let mut command = example("checksums");
    command.args(["--workers", "1"]).arg(tree.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut worker = None;
    wait_until("a worker reads the huge file", || {
        worker = reader_of(&child, &huge);
        worker.is_some()
    });
    kill(worker.expect("seen a moment ago"), libc::SIGKILL);

    let (mut printed, mut complaint) = (String::new(), String::new());
    child.stdout.take().expect("a pipe").read_to_string(&mut printed).expect("text");
    child.stderr.take().expect("a pipe").read_to_string(&mut complaint).expect("text");
    let tree = tree.path().display();
    assert_eq!(printed, format!("{ABC}  {tree}/a\n{ABC}  {tree}/c\n"));
    assert!(complaint.starts_with(&format!("checksums: {tree}/b: worker checksums-0 (pid ")), "{complaint}");
    assert!(complaint.contains("was killed by SIGKILL while running job 2 "), "{complaint}");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}
