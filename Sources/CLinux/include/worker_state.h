// What the worker keeps beside Swift: atomics on memory shared between processes, and the calling thread's request.
#ifndef REELFS_WORKER_STATE_H
#define REELFS_WORKER_STATE_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// Swift's `Atomic` cannot be placed at an address in mapped memory.
uint64_t clinux_atomic_load(const uint64_t *word);
void clinux_atomic_store(uint64_t *word, uint64_t value);
bool clinux_atomic_replace(uint64_t *word, uint64_t expected, uint64_t value);

// Swift has no thread-local storage without a dictionary look-up; a callback of libfuse finds its thread here.
void *clinux_thread_pointer(void);
void clinux_set_thread_pointer(void *pointer);

// From now on a thread that crashes adds 1 to the word it named last (NULL: none), and then the process dies as it would
// have. A crash is what the thread did itself: a fault, a trap, abort(3); the same signals sent by others do not count.
void clinux_count_crashes(void);
void clinux_set_crash_counter(uint64_t *counter);
// A stack for that, without which a thread that has used up its own could not count. Give back what was returned.
void *clinux_begin_crash_stack(void);
void clinux_end_crash_stack(void *stack);

// GNU calls, hidden from Swift's Glibc module.
int clinux_memfd_create(const char *name);
// One that is `size` bytes long, all zero, and cannot grow: EPERM for who writes more.
int clinux_memfd_bounded(const char *name, size_t size);
ssize_t clinux_splice(int from, int to, size_t count, unsigned flags);
ssize_t clinux_tee(int from, int to, size_t count);
int clinux_pipe_cloexec(int descriptors[2]);
ssize_t clinux_set_pipe_bytes(int pipe, size_t bytes);
// A handler that does nothing and does not restart calls: the signal makes a blocking call return EINTR.
int clinux_install_waking_signal(int signal);
// By kernel thread number: harmless when that thread has ended, unlike pthread_kill.
int clinux_thread_number(void);
// Of the calling thread; at most 15 bytes.
void clinux_name_thread(const char *name);
int clinux_signal_thread(int number, int signal);
#endif
