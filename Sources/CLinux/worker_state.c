#define _GNU_SOURCE
#include "worker_state.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
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

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
enum { crash_signal_count = sizeof crash_signals / sizeof crash_signals[0] };
static struct sigaction earlier_actions[crash_signal_count];
static _Thread_local uint64_t *crash_counter;
void clinux_set_crash_counter(uint64_t *counter) { crash_counter = counter; }

// Nothing but async-signal-safe calls: memory may be in any state.
static void crashed(int signal, siginfo_t *info, void *context) {
  (void)context;
  bool is_fault = info->si_code > 0;
  bool is_own = is_fault || (info->si_code == SI_TKILL && info->si_pid == getpid());
  if (is_own && crash_counter) __atomic_add_fetch(crash_counter, 1, __ATOMIC_SEQ_CST);
  crash_counter = NULL;
  for (int i = 0; i < crash_signal_count; i++)
    if (crash_signals[i] == signal) sigaction(signal, &earlier_actions[i], NULL);
  // A fault is repeated by the return, with all its details. A trap is not (x86), nor what was sent.
  if (!is_fault || signal == SIGTRAP) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
}

void clinux_count_crashes(void) {
  static bool is_done;
  if (__atomic_exchange_n(&is_done, true, __ATOMIC_SEQ_CST)) return;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = crashed;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int i = 0; i < crash_signal_count; i++) sigaction(crash_signals[i], &action, &earlier_actions[i]);
}

// What the kernel saves there grows with the processor (some 11 KiB with AMX); the handler itself wants next to nothing.
enum { crash_stack_bytes = 64 << 10 };
void *clinux_begin_crash_stack(void) {
  void *memory = malloc(crash_stack_bytes);
  stack_t stack = {.ss_sp = memory, .ss_size = crash_stack_bytes};
  if (memory) sigaltstack(&stack, NULL);
  return memory;
}

void clinux_end_crash_stack(void *stack) {
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  free(stack);
}

int clinux_memfd_create(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int clinux_memfd_bounded(const char *name, size_t size) {
  int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return -1;
  if (ftruncate(descriptor, (off_t)size) == 0 && fcntl(descriptor, F_ADD_SEALS, F_SEAL_GROW) == 0) return descriptor;
  close(descriptor);
  return -1;
}
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
