//! A process that is given less than usual: system calls that are denied, one CPU, control groups that are made up.
//! What is taken away stays away, so a test does this in a process of its own.

#![expect(unsafe_code, reason = "these calls have no safe form in std")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem;
use std::path::Path;
use std::ptr;

#[track_caller]
fn check(what: &str, result: libc::c_int) {
    assert_ne!(result, -1, "{what}: {}", io::Error::last_os_error());
}

/// Lets the system call of this number fail with EPERM, in this thread and all threads and processes that it starts.
///
/// # Panics
/// If the system refuses to.
pub fn deny(call: libc::c_long) {
    deny_with(call, libc::EPERM);
}

/// As [`deny`], with this error.
///
/// # Panics
/// As [`deny`].
pub fn deny_with(call: libc::c_long, error: i32) {
    let call = u32::try_from(call).expect("the number of a system call");
    let step = |code: u32, k: u32, yes: u8, no: u8| libc::sock_filter {
        code: u16::try_from(code).expect("the code of a step"),
        jt: yes,
        jf: no,
        k,
    };
    let number = u32::try_from(mem::offset_of!(libc::seccomp_data, nr)).expect("a small offset");
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, number, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | error.unsigned_abs(), 0, 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: PR_SET_NO_NEW_PRIVS takes numbers (prctl(2)).
    check("no new privileges", unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) });
    // SAFETY: PR_SET_SECCOMP copies the program, which lives until the call returns, and touches no other memory of ours.
    check("seccomp", unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) });
}

/// Lets this thread, and all that it starts, run on one CPU only.
///
/// # Panics
/// If the system refuses.
pub fn keep_to_one_cpu() {
    // SAFETY: all-zero is a valid set of no CPUs.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: sched_getaffinity(2) writes at most the size that it is given, into a live set.
    check("sched_getaffinity", unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) });
    let limit = usize::try_from(libc::CPU_SETSIZE).expect("a positive number");
    // SAFETY: CPU_ISSET reads the live set; the number is below its size.
    let first = (0..limit).find(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).expect("a CPU to run on");
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: CPU_SET writes the live set; the number is below its size.
    unsafe { libc::CPU_SET(first, &mut one) };
    // SAFETY: sched_setaffinity(2) reads the live set of the size that it is given.
    check("sched_setaffinity", unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const one) });
}

/// Shows to this thread, and to all that it starts, a control group in which these files stand: `group` is what
/// `/proc/self/cgroup` says, `folder` what lies at `/sys/fs/cgroup`. False where the system lets nobody do that, or only root.
#[must_use]
pub fn pretend_control_group(group: &Path, folder: &Path) -> bool {
    let own = format!("/proc/{}/cgroup", std::process::id());
    // SAFETY: unshare(2) takes a number; this thread then sees mounts of its own.
    let own_mounts = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    own_mounts
        && mount(None, Path::new("/"), libc::MS_REC | libc::MS_PRIVATE)
        && mount(Some(folder), Path::new("/sys/fs/cgroup"), libc::MS_BIND)
        && mount(Some(group), Path::new(&own), libc::MS_BIND)
        && fs::read(&own).ok() == fs::read(group).ok()
}

fn mount(source: Option<&Path>, at: &Path, flags: libc::c_ulong) -> bool {
    let text = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).expect("a path without NUL");
    let (source, at) = (source.map(text), text(at));
    let source = source.as_ref().map_or(ptr::null(), |source| source.as_ptr());
    // SAFETY: both paths are C strings that live until the call returns, or null; type and data are not looked at with these
    // flags (mount(2)).
    unsafe { libc::mount(source, at.as_ptr(), ptr::null(), flags, ptr::null()) == 0 }
}
