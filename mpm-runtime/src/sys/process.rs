//! Child processes: start one, learn how it ended, end it with all that it started.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::fcntl::{FcntlArg, fcntl};

/// Where a spawned worker finds its control socket.
const CONTROL_FD: libc::c_int = 3;
/// Where a worker whose standard output was set aside finds the real one.
const STDOUT_FD: libc::c_int = 4;
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

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) core_dumped: bool,
    /// The most memory that it held at once, in bytes; 0 where unknown.
    pub(crate) max_rss: u64,
}

/// A child of this process that has not been reaped yet.
#[derive(Debug)]
pub(crate) struct Child {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    reaped: Option<Exit>,
}

impl Child {
    fn adopt(pid: libc::pid_t) -> io::Result<Self> {
        // SAFETY: the call takes two numbers (pidfd_open(2)).
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            // Without a pidfd nobody would notice its end: give it up, and leave no zombie.
            // SAFETY: the calls take numbers and a null pointer; `pid` is our child and not reaped.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            // SAFETY: as above (waitpid(2) allows a null status).
            unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
            return Err(error);
        }
        let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel has just made this descriptor, close-on-exec, and nobody else owns it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { pid, pidfd, reaped: None })
    }

    pub(crate) fn pid(&self) -> u32 {
        u32::try_from(self.pid).unwrap_or(0)
    }

    /// Kills the child and everything in its process group. A child that is reaped is left alone: its number may belong
    /// to somebody else.
    pub(crate) fn kill_group(&self) {
        if self.reaped.is_some() {
            return;
        }
        // SAFETY: the call takes numbers and a null pointer; the pidfd means this very process, whoever reaps it
        // (pidfd_send_signal(2)). It also reaches a child that has left its group.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), libc::SIGKILL, ptr::null::<u8>(), 0) };
        if self.is_ours() {
            // SAFETY: the call takes two numbers. The group's number is bound to our child, which is not reaped: nobody
            // else in this program reaps it between the two calls, unless it waits for all children on another thread.
            unsafe { libc::killpg(self.pid, libc::SIGKILL) };
        }
    }

    /// Whether the child, running or ended, is still there to be reaped: with SIGCHLD ignored, or a `waitpid(-1)`
    /// elsewhere in the program, it may be gone.
    fn is_ours(&self) -> bool {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: `info` is a live object of the type that waitid(2) writes; WNOWAIT leaves the child as it is.
        unsafe { libc::waitid(libc::P_PID, self.pid.unsigned_abs(), info.as_mut_ptr(), flags) == 0 }
    }

    /// How the child ended, if it has. What it left running in its group is killed first, while the group's number is
    /// still bound to it.
    pub(crate) fn try_reap(&mut self) -> Option<Exit> {
        if self.reaped.is_none() && self.has_ended() {
            self.kill_group();
            self.reaped = Some(self.wait());
        }
        self.reaped
    }

    fn has_ended(&self) -> bool {
        let mut poll = [nix::poll::PollFd::new(self.pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut poll, nix::poll::PollTimeout::ZERO).is_ok_and(|n| n > 0)
    }

    fn wait(&self) -> Exit {
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both pointers lead to live objects of the types that wait4(2) writes; `pid` is our child.
        let pid = unsafe { libc::wait4(self.pid, &raw mut status, 0, usage.as_mut_ptr()) };
        // SAFETY: all-zero is a valid rusage, so it is initialised whether the call wrote it or not.
        let usage = unsafe { usage.assume_init() };
        if pid != self.pid {
            // ECHILD: the program ignores SIGCHLD, so the kernel has thrown the status away.
            return Exit { code: None, signal: None, core_dumped: false, max_rss: 0 };
        }
        Exit {
            code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            core_dumped: libc::WIFSIGNALED(status) && libc::WCOREDUMP(status),
            max_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    /// Leaves neither a running process nor a zombie.
    fn drop(&mut self) {
        if self.reaped.is_none() {
            self.kill_group();
            self.reaped = Some(self.wait());
        }
    }
}

/// Ends this process the ordinary way: exit hooks run, buffered output is written.
pub(crate) fn finish(code: i32) -> ! {
    std::process::exit(code)
}

/// Ends this process here and now, without exit hooks.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Sets the name that `ps` and `top` show for the calling thread; the kernel keeps the first 15 bytes.
pub(crate) fn rename(name: &str) {
    if let Ok(name) = CString::new(name.replace('\0', " ")) {
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// Puts the standard output that the parent set aside back in its place.
pub(crate) fn adopt_stdout() {
    // SAFETY: both calls take numbers; descriptor 4 is ours by the agreement with `spawn`, or closed.
    if unsafe { libc::dup2(STDOUT_FD, 1) } == 1 {
        // SAFETY: as above.
        unsafe { libc::close(STDOUT_FD) };
    }
}
