//! As whom this process runs, and what it is called in listings.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::iter;
use std::os::unix::ffi::OsStrExt;
use std::ptr::{self, NonNull};

use nix::unistd::{getegid, geteuid, getgid, getuid};

/// Real and effective user, real and effective group.
pub(crate) fn identity() -> [u32; 4] {
    [getuid().as_raw(), geteuid().as_raw(), getgid().as_raw(), getegid().as_raw()]
}

/// Gives this process these variables, `K=V`, in a copy that has one thread.
pub(crate) fn set_environment(variables: &[CString]) {
    for variable in variables {
        let bytes = variable.as_bytes();
        // A name that begins with `=` is none that std sets; it was in the environment before.
        let Some((key, value)) = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0).map(|at| bytes.split_at(at))
        else {
            continue;
        };
        let value = value.get(1..).unwrap_or_default();
        // SAFETY: the environment may be changed where no other thread reads it (std::env::set_var); this process is a copy
        // that has one thread, and runs no code of the user's yet.
        unsafe { std::env::set_var(OsStr::from_bytes(key), OsStr::from_bytes(value)) };
    }
}

/// Sets the name that `ps` and `top` show for the calling thread: the first 15 bytes, which is what the kernel keeps.
pub(crate) fn rename(name: &str) {
    let mut kept = [0; 16];
    for (to, byte) in kept.iter_mut().take(15).zip(name.bytes()) {
        *to = if byte == 0 { b' ' } else { byte };
    }
    if let Ok(name) = CStr::from_bytes_until_nul(&kept) {
        let _ = nix::sys::prctl::set_name(name);
    }
}

/// The part of this process's command line that a copy may write its own name into.
#[derive(Debug)]
pub(crate) struct Title {
    start: NonNull<u8>,
    len: usize,
}

impl Title {
    /// Finds it: from the last ` [` of the first argument to its end. `None` if there is none.
    pub(crate) fn find() -> Option<Self> {
        let first = std::env::args_os().next()?;
        let at = first.as_bytes().windows(2).rposition(|two| two == b" [")? + 1;
        // Field 48 of proc_pid_stat(5): where the arguments begin. The name in field 2 may hold anything but `)`.
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let start: usize = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(45)?.parse().ok().filter(|start| *start != 0)?;
        // The program may have moved its arguments: then they are not what is listed.
        let listed = fs::read("/proc/self/cmdline").ok()?;
        if !listed.starts_with(first.as_bytes()) {
            return None;
        }
        let start = NonNull::new(ptr::with_exposed_provenance_mut(start + at))?;
        Some(Self { start, len: first.len() - at })
    }

    /// Writes `[name]` there, as far as it fits.
    pub(crate) fn write(&self, name: &str) {
        let text = iter::once(b'[').chain(name.bytes().filter(|byte| *byte != 0)).chain(iter::once(b']'));
        let shown = text.chain(iter::repeat(b' ')).take(self.len);
        for (at, byte) in shown.enumerate() {
            // SAFETY: `find` has seen that `len` bytes from `start` on are the end of this process's first argument, which lies in
            // writable memory for its whole life (execve(2)); the copy that calls this has one thread, so nobody reads it meanwhile.
            let to = unsafe { self.start.add(at) };
            // SAFETY: as above.
            unsafe { to.write(byte) };
        }
    }
}
