// Loaded into every process of `deploy/sanitize thread`: tells the sanitizer of the half of Swift's Mutex that it
// cannot see.
//
// Taking a Mutex that is free is compiled into our code, instrumented. Waiting for one that is held, and giving one up
// for which somebody waits, is done in libswiftSynchronization.so, which is not: to the sanitizer the two threads were
// never ordered, and everything that the Mutex guards is a race. These two functions stand before those of the library
// (Swift 6.3), call them, and say what they did.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

#define SWIFT_METHOD __attribute__((swiftcall))
#define SWIFT_SELF __attribute__((swift_context))

// _MutexHandle._lockSlow(UInt32) and _MutexHandle._unlockSlow()
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef SWIFT_METHOD void LockSlow(uint32_t thread, SWIFT_SELF void *mutex);
typedef SWIFT_METHOD void UnlockSlow(SWIFT_SELF void *mutex);

LockSlow lockSlow __asm__(LOCK_SLOW);
UnlockSlow unlockSlow __asm__(UNLOCK_SLOW);

// A program that is not built for the sanitizer (swift itself) has no such function, and needs none.
static void tell(const char *name, void *mutex) {
    void (*function)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, name);
    if (function != NULL) function(mutex);
}

SWIFT_METHOD void lockSlow(uint32_t thread, SWIFT_SELF void *mutex) {
    LockSlow *real = (LockSlow *)dlsym(RTLD_NEXT, LOCK_SLOW);
    real(thread, mutex);
    tell("__tsan_acquire", mutex);
}

SWIFT_METHOD void unlockSlow(SWIFT_SELF void *mutex) {
    UnlockSlow *real = (UnlockSlow *)dlsym(RTLD_NEXT, UNLOCK_SLOW);
    tell("__tsan_release", mutex);
    real(mutex);
}
