// Tells ThreadSanitizer what Swift's `Synchronization.Mutex` does when there is contention: the fast path
// is compiled into our instrumented code, where its atomics are seen, but the slow path is in the
// library, and hands the lock over by a futex in the kernel. Without this, whatever a contended mutex
// protects looks like a race. Loaded by LD_PRELOAD before the Swift runtime.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

// Those of the process's ThreadSanitizer; null in processes that have none.
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

static void *next(const char *symbol) {
  void *found = dlsym(RTLD_NEXT, symbol);
  if (!found) {
    fprintf(stderr, "no %s: this Swift's mutex is another\n", symbol);
    abort();
  }
  return found;
}

// Synchronization._MutexHandle._lockSlow(Swift.UInt32) -> ()
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
SWIFT void lock(uint32_t thread, SELF) __asm__(LOCK);
SWIFT void lock(uint32_t thread, SELF) {
  static SWIFT void (*real)(uint32_t, SELF);
  if (!real) real = (SWIFT void (*)(uint32_t, SELF))next(LOCK);
  real(thread, self);
  if (__tsan_acquire) __tsan_acquire(self);
}

// Synchronization._MutexHandle._tryLockSlow() -> Swift.Bool
#define TRY_LOCK "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
SWIFT _Bool try_lock(SELF) __asm__(TRY_LOCK);
SWIFT _Bool try_lock(SELF) {
  static SWIFT _Bool (*real)(SELF);
  if (!real) real = (SWIFT _Bool (*)(SELF))next(TRY_LOCK);
  _Bool is_locked = real(self);
  if (is_locked && __tsan_acquire) __tsan_acquire(self);
  return is_locked;
}

// Synchronization._MutexHandle._unlockSlow() -> ()
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
SWIFT void unlock(SELF) __asm__(UNLOCK);
SWIFT void unlock(SELF) {
  static SWIFT void (*real)(SELF);
  if (!real) real = (SWIFT void (*)(SELF))next(UNLOCK);
  if (__tsan_release) __tsan_release(self);
  real(self);
}
