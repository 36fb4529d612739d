#ifndef WAYBILL_CFAULTDISK_H
#define WAYBILL_CFAULTDISK_H

#include <stdint.h>

/*
 * Disks that break, for tests and simulation: an SQLite VFS over files in memory.
 *
 * A write is pending until its file is synced. A crash leaves what was synced and some of what was pending, part of
 * it torn at 512-byte sectors. Files that nobody claimed go to SQLite's own VFS, untouched. All calls may come from any
 * thread.
 */

typedef struct fault_disk fault_disk;

/* Kinds of operation, to be added up. */
enum {
    FAULT_OPEN = 1,
    FAULT_READ = 2,
    FAULT_WRITE = 4,
    FAULT_TRUNCATE = 8,
    FAULT_SYNC = 16,
    FAULT_DELETE = 32
};

/* What a crash takes. */
enum {
    /* The machine loses power: pending writes survive by chance, torn or whole. */
    FAULT_POWER_CUT = 0,
    /* The process dies, the machine goes on: nothing written is lost, and it stays pending. */
    FAULT_KILLED = 1
};

/* Where the contents of a claimed file are. */
enum {
    FAULT_IN_MEMORY = 0,
    /* In the file system, under everything whose name begins with the path; such a disk counts and fails, but forgets
     * nothing in a crash. For files that others than SQLite read as well. */
    FAULT_BELOW_PATH = 1
};

/* ---- the VFS, once for the process ---- */

/* Registers the VFS as the default one. May be repeated. Returns an SQLite result code. */
int fault_vfs_register(void);
/* Makes SQLite's own random numbers (salts, random()) begin again from `seed`; 0 gives them back to the system. */
void fault_vfs_seed_randomness(uint32_t seed);
/* What SQL's 'now' is, in milliseconds since 1970; 0 is the time of day. */
void fault_vfs_set_clock(int64_t milliseconds);
/* Whether SQLite's waits for a lock take time. A simulation on one thread wants none. */
void fault_vfs_set_sleeps(int really);

/* ---- one disk ---- */

fault_disk *fault_disk_create(uint64_t seed);
/* Gives up the disk and its claims. Handles that are open fail from now on, and may be closed later. */
void fault_disk_destroy(fault_disk *disk);

/* Returns 0, or -1 when another disk has the path. With its -wal, -journal and -shm. */
int fault_disk_claim(fault_disk *disk, const char *path, int kind);

/* Every open handle fails until it is closed, and nothing can be opened until the restart. */
void fault_disk_crash(fault_disk *disk, int how);
/* Crashes at the nth operation of these kinds from now on; 0 takes the order back. */
void fault_disk_crash_at(fault_disk *disk, int kinds, int64_t nth, int how);
void fault_disk_restart(fault_disk *disk);
int fault_disk_is_down(fault_disk *disk);

/* Fails the nth operation of these kinds from now on (1 is the next), or all from it on.
 * `code` is an SQLite result code, 0 the I/O error that fits the operation. Returns -1 with too many orders. */
int fault_disk_fail(fault_disk *disk, int kinds, int64_t nth, int for_ever, int code);
/* How often orders of fault_disk_fail, the capacity and crash_at have struck. */
int64_t fault_disk_struck(fault_disk *disk);
/* Takes back every order to fail, the capacity limit and the lies. */
void fault_disk_heal(fault_disk *disk);

/* Bytes that fit; negative is no limit. */
void fault_disk_set_capacity(fault_disk *disk, int64_t bytes);
/* A disk that lies says that it has synced, and has not. */
void fault_disk_set_lying(fault_disk *disk, int lies);
/* Whether what was pending at a sync that failed can never be synced any more, though it can be read: as Linux does. */
void fault_disk_set_losing(fault_disk *disk, int loses);

int64_t fault_disk_count(fault_disk *disk, int kinds);
void fault_disk_reset_counts(fault_disk *disk);
int64_t fault_disk_used_bytes(fault_disk *disk);
int64_t fault_disk_pending_writes(fault_disk *disk);
int64_t fault_disk_open_handles(fault_disk *disk);

/* ---- contents, in memory only ---- */

/* -1 when there is no such file. */
int64_t fault_disk_size(fault_disk *disk, const char *path);
/* Copies up to `count` bytes and returns how many. `synced`: what a power cut is sure to leave, not what a read gives. */
int64_t fault_disk_get(fault_disk *disk, const char *path, int64_t offset, void *bytes, int64_t count, int synced);
/* The file has these bytes from now on, synced. Returns -1 when the path is not claimed. */
int fault_disk_put(fault_disk *disk, const char *path, const void *bytes, int64_t count);
/* Changes a byte as bad hardware would: below everything that is open. Returns -1 beyond the end. */
int fault_disk_flip(fault_disk *disk, const char *path, int64_t offset, uint8_t mask);
/* Makes the file go, synced. */
void fault_disk_remove(fault_disk *disk, const char *path);

#endif
