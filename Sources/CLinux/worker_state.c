#define _GNU_SOURCE
#include "worker_state.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t clinux_atomic_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
void clinux_atomic_store(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
bool clinux_atomic_replace(uint64_t *word, uint64_t expected, uint64_t value) {
  return __atomic_compare_exchange_n(word, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static _Thread_local void *thread_pointer;
void *clinux_thread_pointer(void) { return thread_pointer; }
void clinux_set_thread_pointer(void *pointer) { thread_pointer = pointer; }

int clinux_memfd_create(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
ssize_t clinux_splice(int from, int to, size_t count, unsigned flags) {
  return splice(from, NULL, to, NULL, count, flags);
}
ssize_t clinux_tee(int from, int to, size_t count) { return tee(from, to, count, 0); }
int clinux_pipe_cloexec(int descriptors[2]) { return pipe2(descriptors, O_CLOEXEC); }

ssize_t clinux_set_pipe_bytes(int pipe, size_t bytes) { return fcntl(pipe, F_SETPIPE_SZ, (int)bytes); }

static void wake(int signal) { (void)signal; }
int clinux_install_waking_signal(int signal) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = wake;
  return sigaction(signal, &action, NULL);
}

int clinux_thread_number(void) { return (int)syscall(SYS_gettid); }
int clinux_signal_thread(int number, int signal) {
  return (int)syscall(SYS_tgkill, getpid(), number, signal);
}
void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
