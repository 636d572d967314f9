//! What the user sees: checksums on standard output, complaints and a progress bar on standard error.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Screen {
    out: RefCell<BufWriter<StdoutLock<'static>>>,
    /// Whether lines go to the terminal, where the bar has to make room for them.
    shares_terminal: bool,
    bar: ProgressBar,
    files: Cell<u64>,
    complained: Cell<bool>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let out = io::stdout().lock();
        Self {
            shares_terminal: out.is_terminal(),
            out: RefCell::new(BufWriter::with_capacity(64 * 1024, out)),
            bar: if io::stderr().is_terminal() { new_bar() } else { ProgressBar::hidden() },
            files: Cell::new(0),
            complained: Cell::new(false),
        }
    }

    /// Prints one file's line.
    pub(crate) fn print(&self, path: &Path, digest: &[u8], bytes: u64) -> io::Result<()> {
        let name = path.as_os_str().as_bytes();
        let escaped = escape(name);
        let mut line = Vec::with_capacity(2 * digest.len() + escaped.len() + 4);
        // sha256sum marks a line that has to be unescaped like this.
        if escaped != name {
            line.push(b'\\');
        }
        for byte in digest {
            write!(line, "{byte:02x}")?;
        }
        line.extend_from_slice(b"  ");
        line.extend_from_slice(&escaped);
        line.push(b'\n');

        let mut out = self.out.borrow_mut();
        out.write_all(&line)?;
        if self.shares_terminal {
            self.bar.suspend(|| out.flush())?;
        }
        self.files.set(self.files.get() + 1);
        self.bar.inc(bytes);
        if !self.bar.is_hidden() {
            self.bar.set_message(self.files.get().to_string());
        }
        Ok(())
    }

    /// Says what is wrong with one file or folder.
    pub(crate) fn complain_about(&self, path: &Path, reason: impl Display) {
        let name = escape(path.as_os_str().as_bytes());
        let mut line = b"checksums: ".to_vec();
        line.extend_from_slice(&name);
        line.extend_from_slice(format!(": {reason}\n").as_bytes());
        self.write_error(&line);
    }

    /// Says what is wrong with the whole.
    pub(crate) fn complain(&self, reason: impl Display) {
        self.write_error(format!("checksums: {reason}\n").as_bytes());
    }

    fn write_error(&self, line: &[u8]) {
        self.complained.set(true);
        // Where nobody hears complaints, the exit code still tells.
        let _ = self.bar.suspend(|| io::stderr().write_all(line));
    }

    pub(crate) fn has_complained(&self) -> bool {
        self.complained.get()
    }

    /// Hands on what is still in the buffer.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.bar.finish_and_clear();
        self.out.borrow_mut().flush()
    }
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::no_length().with_message("0");
    // How much there is to do is known only when it is done: the tree is walked meanwhile.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} files, {binary_bytes}, {binary_bytes_per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A name as sha256sum writes it: on one line, whatever it holds.
fn escape(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'\\' => escaped.extend_from_slice(b"\\\\"),
            b'\n' => escaped.extend_from_slice(b"\\n"),
            b'\r' => escaped.extend_from_slice(b"\\r"),
            other => escaped.push(*other),
        }
    }
    escaped
}

/// Prints a text that is all there is to say.
pub(crate) fn print_and_end(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("checksums: standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
