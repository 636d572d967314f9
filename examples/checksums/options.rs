//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub(crate) const USAGE: &str = "usage: checksums [--workers N] [--help] [PATH]";

pub(crate) const HELP: &str = "\
usage: checksums [--workers N] [--help] [PATH]

Prints the SHA-256 of every regular file below PATH (default: the current folder), as sha256sum does and in the order
of the paths. Symbolic links are not followed.

  --workers N   hash in N worker processes (default: one for each CPU that this program may use)
  --help        print this text

Exit code: 0 if all is well, 1 if some file or folder could not be read, 2 if the command line makes no sense.
";

/// What the user wants.
pub(crate) enum Asked {
    Help,
    Checksums(Options),
}

pub(crate) struct Options {
    pub(crate) path: PathBuf,
    pub(crate) workers: Option<usize>,
}

/// Reads the command line, without the program's name. The error is the reason why it makes no sense.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut arguments = arguments.into_iter();
    let (mut path, mut workers, mut only_paths) = (None, None, false);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--") if !only_paths => only_paths = true,
            Some("--help" | "-h") if !only_paths => return Ok(Asked::Help),
            Some("--workers") if !only_paths => {
                workers = Some(number(&arguments.next().ok_or("--workers wants a number behind it")?)?);
            }
            Some(text) if !only_paths && text.starts_with("--workers=") => {
                workers = Some(number(OsStr::new(&text["--workers=".len()..]))?);
            }
            _ if !only_paths && argument.len() > 1 && argument.as_encoded_bytes().starts_with(b"-") => {
                return Err(format!("there is no option {argument:?}; a path that begins like one goes behind --"));
            }
            _ if path.is_some() => return Err(format!("one path is enough, {argument:?} is one too many")),
            _ => path = Some(PathBuf::from(argument)),
        }
    }
    Ok(Asked::Checksums(Options { path: path.unwrap_or_else(|| ".".into()), workers }))
}

fn number(text: &OsStr) -> Result<usize, String> {
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| format!("--workers wants a number from 1 on, and {text:?} is none"))
}
