#define _GNU_SOURCE
#include "processes.h"
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

union one_descriptor {
  struct cmsghdr header;
  char room[CMSG_SPACE(sizeof(int))];
};

ssize_t clinux_receive_message(int socket, void *bytes, size_t room, int *descriptor) {
  struct iovec data = {.iov_base = bytes, .iov_len = room};
  union one_descriptor control;
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  *descriptor = -1;
  ssize_t received;
  do received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (received < 0 && errno == EINTR);
  if (received < 0) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
    memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
  return received;
}

int clinux_receive_descriptor(int socket) {
  char byte;
  int descriptor;
  if (clinux_receive_message(socket, &byte, 1, &descriptor) >= 0 && descriptor < 0) errno = 0;
  return descriptor;
}

int clinux_notify(const char *socket_name, const char *text, size_t length, int descriptor) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t name = strlen(socket_name);
  if (name >= sizeof address.sun_path) return ENAMETOOLONG;
  memcpy(address.sun_path, socket_name, name);
  if (socket_name[0] == '@') address.sun_path[0] = 0;
  struct iovec data = {.iov_base = (void *)text, .iov_len = length};
  struct msghdr message = {
      .msg_name = &address,
      .msg_namelen = offsetof(struct sockaddr_un, sun_path) + name,
      .msg_iov = &data,
      .msg_iovlen = 1};
  union one_descriptor control = {.room = {0}};
  if (descriptor >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sender < 0) return errno;
  // A manager that does not read must not stop the supervisor.
  struct timeval patience = {.tv_sec = 2};
  setsockopt(sender, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ssize_t sent;
  do sent = sendmsg(sender, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  int error = sent < 0 ? errno : 0;
  close(sender);
  return error;
}

// The kernel forgets the wish with the thread that had it, so that is one that never ends.
static void *die_with(void *supervisor) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have died before.
  if (getppid() != (pid_t)(intptr_t)supervisor) _exit(0);
  while (true) pause();
}

int clinux_die_with(pid_t supervisor) {
  pthread_t thread;
  int error = pthread_create(&thread, NULL, die_with, (void *)(intptr_t)supervisor);
  if (!error) pthread_detach(thread);
  return error;
}

int clinux_pidfd_open(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int clinux_signal_descriptor(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
  int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (error) {
    errno = error;
    return -1;
  }
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int clinux_next_signal(int descriptor) {
  struct signalfd_siginfo info;
  return read(descriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

int clinux_spawn(
    pid_t *process, const char *program, char *const arguments[], char *const environment[],
    const struct clinux_inheritance *inherited, int count, int new_session) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  int highest = 2, error = 0;
  for (int i = 0; i < count && !error; i++) {
    error = posix_spawn_file_actions_adddup2(&actions, inherited[i].source, inherited[i].target);
    if (inherited[i].target > highest) highest = inherited[i].target;
  }
  if (!error) error = posix_spawn_file_actions_addclosefrom_np(&actions, highest + 1);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  flags |= new_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
  posix_spawnattr_setflags(&attributes, flags);
  if (!error) error = posix_spawnp(process, program, &actions, &attributes, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

char **clinux_environment(void) { return environ; }

int clinux_wait_status(int status, int *code) {
  if (WIFEXITED(status)) {
    *code = WEXITSTATUS(status);
    return 1;
  }
  if (WIFSIGNALED(status)) {
    *code = WTERMSIG(status);
    return 2;
  }
  *code = 0;
  return 0;
}
