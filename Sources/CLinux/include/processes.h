// Mounting and looking after child processes: calls and macros that Swift's Glibc module does not offer.
#ifndef REELFS_PROCESSES_H
#define REELFS_PROCESSES_H
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

// SCM_RIGHTS needs the CMSG macros. Returns the descriptor, or -1 (errno 0: the other end closed without sending one).
int clinux_receive_descriptor(int socket);
// The next message of up to `room` bytes, with the descriptor that came with it, or -1 in `descriptor`. Returns its length,
// or -1 (errno).
ssize_t clinux_receive_message(int socket, void *bytes, size_t room, int *descriptor);
// Sends a datagram, with `descriptor` unless that is -1, to a service manager's socket: a path, or `@` and an abstract
// name. Waits for at most two seconds. Returns 0 or an errno.
int clinux_notify(const char *socket_name, const char *text, size_t length, int descriptor);
// The process is killed when its parent, `supervisor`, dies, or at once if it is dead already. Returns 0 or an errno.
int clinux_die_with(pid_t supervisor);
// A descriptor that becomes readable when the process ends.
int clinux_pidfd_open(pid_t process);
// Blocks `signals` (count of them) for the calling thread and returns a descriptor that reports them.
int clinux_signal_descriptor(const int *signals, int count);
// The next reported signal, 0 when there is none.
int clinux_next_signal(int descriptor);

struct clinux_inheritance {
  int source;  // in this process
  int target;  // in the child
};
// Starts `program` in a process group of its own, with no signal blocked and only 0, 1, 2 and the given descriptors.
// Returns 0 or an errno. Sources must be above every target.
int clinux_spawn(
    pid_t *process, const char *program, char *const arguments[], char *const environment[],
    const struct clinux_inheritance *inherited, int count, int new_session);
// `environ`, which Swift 6 does not let through as it is a variable.
char **clinux_environment(void);
// How a wait status reads: 1 exited (code), 2 killed by a signal (code), 0 neither.
int clinux_wait_status(int status, int *code);
// malloc keeps an arena a thread otherwise, up to eight a core: two serve as well, in a fraction of the memory.
static inline void clinux_limit_arenas(void) { mallopt(M_ARENA_MAX, 2); }
#endif
