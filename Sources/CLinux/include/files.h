// Calls on files and folders.
#ifndef REELFS_CLINUX_FILES_H
#define REELFS_CLINUX_FILES_H
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// glibc has no wrapper before 2.30; the raw call also fills a buffer that we parse ourselves, without DIR's lock and copy.
static inline long clinux_getdents64(int fd, void *buffer, size_t count) {
  return syscall(SYS_getdents64, fd, buffer, count);
}
// In Swift, `statx` names the structure and hides the function.
static inline int clinux_statx(int fd, const char *path, int flags, unsigned mask, struct statx *result) {
  return statx(fd, path, flags, mask, result);
}

// Macros with casts, which Swift does not import.
static inline uint64_t clinux_makedev(unsigned major, unsigned minor) { return makedev(major, minor); }
static inline long clinux_utime_now(void) { return UTIME_NOW; }
static inline int clinux_o_tmpfile(void) { return O_TMPFILE; }
static inline int clinux_o_path(void) { return O_PATH; }
static inline long clinux_utime_omit(void) { return UTIME_OMIT; }

#endif
