/* A library for LD_PRELOAD that delays a program's processes and threads at random, as a busy or stalling machine does: around
 * the system calls by which they meet, and for longer after a fork and at the start of a program. `run` says how to use it.
 *
 * MPM_DELAY_PER_MILLE  of so many in a thousand calls
 * MPM_DELAY_CALL_MS    the longest delay of a call; nineteen of twenty are at most a twentieth of it
 * MPM_DELAY_START_MS   the longest delay of a start; every second has none
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned per_mille, call_ms, start_ms;
static _Thread_local uint64_t state;

static unsigned setting(const char *name) {
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : 0;
}

/* xorshift64 (Marsaglia, 2003), begun anew in each thread; a forked process goes its own way by its number. */
static uint64_t roll(void) {
    if (state == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        state = ((uint64_t)now.tv_nsec * 2654435761u) ^ (uint64_t)(uintptr_t)&state ^ 1;
    }
    uint64_t x = state ^ ((uint64_t)getpid() << 24);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (state = x ? x : 1) >> 8;
}

static void sleep_below(uint64_t nanoseconds) {
    if (nanoseconds == 0) {
        return;
    }
    uint64_t time = roll() % nanoseconds;
    struct timespec span = {(time_t)(time / 1000000000), (long)(time % 1000000000)};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
}

/* Before or after a call, whose errno stays. */
static void delay_call(void) {
    int error = errno;
    if (per_mille != 0 && roll() % 1000 < per_mille) {
        sleep_below((uint64_t)call_ms * 1000000 / (roll() % 20 == 0 ? 1 : 20));
    }
    errno = error;
}

static void delay_start(void) {
    int error = errno;
    if (roll() % 2 == 0) {
        sleep_below((uint64_t)start_ms * 1000000);
    }
    errno = error;
}

/* Puts delays before and after the next function of this name. */
#define DELAYED(type, name, parameters, arguments)                              \
    type name parameters {                                                      \
        static type(*next) parameters;                                          \
        if (next == NULL) {                                                     \
            next = (type(*) parameters)dlsym(RTLD_NEXT, #name);                 \
        }                                                                       \
        delay_call();                                                           \
        type result = next arguments;                                           \
        delay_call();                                                           \
        return result;                                                          \
    }

DELAYED(int, poll, (struct pollfd * fds, nfds_t count, int time), (fds, count, time))
DELAYED(int, ppoll, (struct pollfd * fds, nfds_t count, const struct timespec *time, const sigset_t *mask), (fds, count, time, mask))
DELAYED(int, epoll_wait, (int poller, struct epoll_event *events, int count, int time), (poller, events, count, time))
DELAYED(ssize_t, sendmsg, (int socket, const struct msghdr *message, int flags), (socket, message, flags))
DELAYED(ssize_t, recvmsg, (int socket, struct msghdr *message, int flags), (socket, message, flags))
DELAYED(ssize_t, read, (int fd, void *bytes, size_t count), (fd, bytes, count))
DELAYED(ssize_t, write, (int fd, const void *bytes, size_t count), (fd, bytes, count))
DELAYED(int, waitid, (idtype_t kind, id_t id, siginfo_t *info, int options), (kind, id, info, options))
DELAYED(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
DELAYED(int, kill, (pid_t pid, int signal), (pid, signal))
DELAYED(int, pthread_create, (pthread_t * thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument),
        (thread, attributes, body, argument))

/* Futexes and pidfds come this way. */
long syscall(long number, ...) {
    static long (*next)(long, ...);
    if (next == NULL) {
        next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    }
    long given[6];
    va_list list;
    va_start(list, number);
    for (int n = 0; n < 6; n++) {
        given[n] = va_arg(list, long);
    }
    va_end(list);
    delay_call();
    long result = next(number, given[0], given[1], given[2], given[3], given[4], given[5]);
    delay_call();
    return result;
}

/* In both processes. */
pid_t fork(void) {
    pid_t (*next)(void) = (pid_t (*)(void))dlsym(RTLD_NEXT, "fork");
    pid_t child = next();
    delay_start();
    return child;
}

__attribute__((constructor)) static void begin(void) {
    per_mille = setting("MPM_DELAY_PER_MILLE");
    call_ms = setting("MPM_DELAY_CALL_MS");
    start_ms = setting("MPM_DELAY_START_MS");
    delay_start();
}
