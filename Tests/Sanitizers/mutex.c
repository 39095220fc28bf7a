// Shows the thread sanitizer what the standard library's Mutex does when it has to wait.
//
// Where nobody waits, Mutex is inlined and seen. Where somebody does, it calls these functions of libswiftSynchronization, which
// are not instrumented, and everything behind a contended Mutex would look unguarded. Preloaded, they are called through here.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

// Of the sanitizer, in programs that have one.
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

#define HANDLE __attribute__((swift_context)) void *handle
#define SYMBOL(name) __asm__("$s15Synchronization12_MutexHandleV" name)

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((swiftcall)) void lock_slow(uint32_t thread, HANDLE) SYMBOL("9_lockSlowyys6UInt32VF");
__attribute__((swiftcall)) void lock_slow(uint32_t thread, HANDLE) {
  __attribute__((swiftcall)) void (*original)(uint32_t, HANDLE) = next("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
  original(thread, handle);
  if (__tsan_acquire) __tsan_acquire(handle);
}

__attribute__((swiftcall)) bool try_lock_slow(HANDLE) SYMBOL("12_tryLockSlowSbyF");
__attribute__((swiftcall)) bool try_lock_slow(HANDLE) {
  __attribute__((swiftcall)) bool (*original)(HANDLE) = next("$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF");
  bool has_it = original(handle);
  if (has_it && __tsan_acquire) __tsan_acquire(handle);
  return has_it;
}

__attribute__((swiftcall)) void unlock_slow(HANDLE) SYMBOL("11_unlockSlowyyF");
__attribute__((swiftcall)) void unlock_slow(HANDLE) {
  __attribute__((swiftcall)) void (*original)(HANDLE) = next("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
  if (__tsan_release) __tsan_release(handle);
  original(handle);
}
