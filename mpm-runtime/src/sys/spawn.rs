//! Starting this executable once more.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::fcntl::{FcntlArg, fcntl};

use super::process::{Child, STDOUT_FD};

/// Where a spawned worker finds its control socket.
const CONTROL_FD: libc::c_int = 3;
/// Above all the numbers that the file actions below write to.
const SAFE_FD: libc::c_int = 10;

/// What `spawn` starts.
#[derive(Debug)]
pub(crate) struct SpawnRequest<'a> {
    pub(crate) argv: &'a [CString],
    pub(crate) env: &'a [CString],
    /// Becomes descriptor 3 of the child.
    pub(crate) control: BorrowedFd<'a>,
    /// Becomes descriptor 2 of the child.
    pub(crate) stderr: BorrowedFd<'a>,
    /// Gives the child `/dev/null` as descriptor 1 and the real one as 4, for programs that print before they ask.
    pub(crate) set_stdout_aside: bool,
}

/// Starts this executable once more, leading a session and so a process group of its own, with stdin from `/dev/null` and no descriptor above
/// those named in `request`.
pub(crate) fn spawn(request: &SpawnRequest<'_>) -> io::Result<Child> {
    // Copies with high numbers, so that no file action overwrites the source of a later one.
    let control = duplicate(request.control)?;
    let stderr = duplicate(request.stderr)?;
    let mut actions = Actions::new()?;
    actions.open(0, c"/dev/null", libc::O_RDONLY)?;
    let mut first_unused = CONTROL_FD + 1;
    if request.set_stdout_aside {
        // SAFETY: F_GETFD only reads the flags of a descriptor number, open or not (fcntl(2)).
        if unsafe { libc::fcntl(1, libc::F_GETFD) } != -1 {
            actions.dup2(1, STDOUT_FD)?;
            first_unused = STDOUT_FD + 1;
        }
        actions.open(1, c"/dev/null", libc::O_WRONLY)?;
    }
    actions.dup2(stderr.as_raw_fd(), 2)?;
    actions.dup2(control.as_raw_fd(), CONTROL_FD)?;
    actions.close_from(first_unused)?;
    let attributes = Attributes::own_session_and_empty_mask()?;
    let argv = pointers(request.argv);
    let envp = pointers(request.env);
    let mut pid = 0;
    // SAFETY: the path is a C string; `actions` and `attributes` are initialised and live; argv and envp are
    // null-terminated arrays of pointers to C strings that `request` keeps alive; the child shares no memory that it
    // could damage: posix_spawn(3) execs or fails before it returns.
    let code = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            c"/proc/self/exe".as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            argv.as_ptr().cast(),
            envp.as_ptr().cast(),
        )
    };
    check(code)?;
    Child::adopt(pid)
}

fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(SAFE_FD))?;
    // SAFETY: fcntl has just made this descriptor and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

/// The posix_spawn family returns its error instead of setting `errno` (posix_spawn(3)).
fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

struct Actions(Box<MaybeUninit<libc::posix_spawn_file_actions_t>>);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = Box::new(MaybeUninit::uninit());
        // SAFETY: init writes the whole object that the pointer leads to.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        Ok(Self(actions))
    }

    fn open(&mut self, fd: libc::c_int, path: &CStr, flags: libc::c_int) -> io::Result<()> {
        // SAFETY: the object is initialised; the call copies the path (posix_spawn_file_actions_addopen(3p)).
        check(unsafe { libc::posix_spawn_file_actions_addopen(self.0.as_mut_ptr(), fd, path.as_ptr(), flags, 0) })
    }

    fn dup2(&mut self, from: libc::c_int, to: libc::c_int) -> io::Result<()> {
        // SAFETY: the object is initialised; the numbers are used in the child only.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), from, to) })
    }

    #[cfg(target_env = "gnu")]
    fn close_from(&mut self, first: libc::c_int) -> io::Result<()> {
        // SAFETY: as in `dup2`.
        check(unsafe { libc::posix_spawn_file_actions_addclosefrom_np(self.0.as_mut_ptr(), first) })
    }

    /// Other C libraries lack the call. mpm's own descriptors are close-on-exec anyway, so the child gets none of them.
    #[cfg(not(target_env = "gnu"))]
    fn close_from(&mut self, _first: libc::c_int) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed once, here.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

struct Attributes(Box<MaybeUninit<libc::posix_spawnattr_t>>);

impl Attributes {
    fn own_session_and_empty_mask() -> io::Result<Self> {
        let mut attributes = Box::new(MaybeUninit::uninit());
        // SAFETY: init writes the whole object that the pointer leads to.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        let mut this = Self(attributes);
        let at = this.0.as_mut_ptr();
        let mut mask = MaybeUninit::uninit();
        // SAFETY: sigemptyset writes the whole set and cannot fail on a valid pointer (sigsetops(3)).
        unsafe { libc::sigemptyset(mask.as_mut_ptr()) };
        let flags = libc::POSIX_SPAWN_SETSID | libc::c_short::try_from(libc::POSIX_SPAWN_SETSIGMASK).unwrap_or_default();
        // SAFETY: the attribute object is initialised.
        check(unsafe { libc::posix_spawnattr_setflags(at, flags) })?;
        // SAFETY: as above; the mask was written by sigemptyset and is copied.
        check(unsafe { libc::posix_spawnattr_setsigmask(at, mask.as_ptr()) })?;
        Ok(this)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed once, here.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}
