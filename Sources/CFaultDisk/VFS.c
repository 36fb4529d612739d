#include "VFS.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One lock for all disks: what is done under it is copying bytes. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
void vfs_lock(void) { pthread_mutex_lock(&mutex); }
void vfs_unlock(void) { pthread_mutex_unlock(&mutex); }

typedef struct claim {
    struct claim *next;
    fault_disk *disk;
    char *path;
    int kind;
} claim;

static claim *claims;
static sqlite3_vfs *system_vfs;
static sqlite3_vfs fault_vfs;
static atomic_llong virtual_clock;
static atomic_int skips_sleeps;

static int is_companion(const char *rest) {
    return *rest == 0 || strcmp(rest, "-wal") == 0 || strcmp(rest, "-journal") == 0 || strcmp(rest, "-shm") == 0
        || strncmp(rest, "-mj", 3) == 0;
}

static claim *claim_of(const char *path) {
    for (claim *c = claims; path && c; c = c->next) {
        size_t length = strlen(c->path);
        if (strncmp(c->path, path, length) != 0) continue;
        if (c->kind == FAULT_BELOW_PATH || is_companion(path + length)) return c;
    }
    return NULL;
}

int handle_is_dead(const handle *h) { return h->disk->is_destroyed || h->disk->is_down || h->life != h->disk->life; }

/* ---- one operation on a handle: dead, dying, failing or fine ---- */

static int begin(handle *h, int kind, int io_code, int *crashes) {
    *crashes = 0;
    if (handle_is_dead(h)) return io_code;
    return disk_operation(h->disk, kind, io_code, crashes);
}

static int memory_close(sqlite3_file *file) {
    handle *h = (handle *)file;
    vfs_lock();
    if (h->deletes_on_close && !handle_is_dead(h)) file_delete(h->file);
    memory_let_go(h);
    h->disk->handles--;
    disk_release(h->disk);
    vfs_unlock();
    return SQLITE_OK;
}

static int memory_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    handle *h = (handle *)file;
    int crashes;
    vfs_lock();
    int rc = begin(h, FAULT_READ, SQLITE_IOERR_READ, &crashes);
    if (crashes) {
        disk_crash(h->disk, h->disk->crash_how);
        rc = SQLITE_IOERR_READ;
    }
    if (rc == SQLITE_OK) {
        const buffer *now = &h->file->now;
        int64_t there = offset >= now->size ? 0 : now->size - offset;
        if (there > count) there = count;
        if (there) memcpy(bytes, now->bytes + offset, (size_t)there);
        if (there < count) {
            memset((uint8_t *)bytes + there, 0, (size_t)(count - there));
            rc = SQLITE_IOERR_SHORT_READ;
        }
    }
    vfs_unlock();
    return rc;
}

static int memory_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    handle *h = (handle *)file;
    int crashes;
    vfs_lock();
    int rc = begin(h, FAULT_WRITE, SQLITE_IOERR_WRITE, &crashes);
    fault_disk *disk = h->disk;
    if (rc == SQLITE_OK && disk->capacity >= 0 && offset + count > h->file->now.size) {
        int64_t room = disk->capacity - disk_used(disk) + h->file->now.size - offset;
        if (room < count) {
            /* What fits is written, as a file system would. */
            if (room > 0) file_write(h->file, offset, bytes, room);
            disk->struck++;
            rc = SQLITE_FULL;
        }
    }
    if (rc == SQLITE_OK) file_write(h->file, offset, bytes, count);
    if (crashes) {
        disk_crash(disk, disk->crash_how);
        rc = SQLITE_IOERR_WRITE;
    }
    vfs_unlock();
    return rc;
}

static int memory_truncate(sqlite3_file *file, sqlite3_int64 size) {
    handle *h = (handle *)file;
    int crashes;
    vfs_lock();
    int rc = begin(h, FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE, &crashes);
    if (rc == SQLITE_OK) file_truncate(h->file, size);
    if (crashes) {
        disk_crash(h->disk, h->disk->crash_how);
        rc = SQLITE_IOERR_TRUNCATE;
    }
    vfs_unlock();
    return rc;
}

static int memory_sync(sqlite3_file *file, int flags) {
    (void)flags;
    handle *h = (handle *)file;
    int crashes;
    vfs_lock();
    int rc = begin(h, FAULT_SYNC, SQLITE_IOERR_FSYNC, &crashes);
    if (crashes) {
        disk_crash(h->disk, h->disk->crash_how);
        rc = SQLITE_IOERR_FSYNC;
    } else if (rc == SQLITE_OK) {
        file_sync(h->disk, h->file);
    } else if (!handle_is_dead(h)) {
        file_sync_failed(h->disk, h->file);
    }
    vfs_unlock();
    return rc;
}

static int memory_size(sqlite3_file *file, sqlite3_int64 *size) {
    handle *h = (handle *)file;
    vfs_lock();
    int rc = handle_is_dead(h) ? SQLITE_IOERR_FSTAT : SQLITE_OK;
    if (rc == SQLITE_OK) *size = h->file->now.size;
    vfs_unlock();
    return rc;
}

static int memory_control(sqlite3_file *file, int operation, void *argument) {
    (void)file;
    if (operation == SQLITE_FCNTL_VFSNAME) {
        *(char **)argument = sqlite3_mprintf("%s", fault_vfs.zName);
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

/* The same as SQLite's VFS for Unix says, so that it takes the same ways here. */
static int memory_sector_size(sqlite3_file *file) { (void)file; return 4096; }
static int memory_characteristics(sqlite3_file *file) { (void)file; return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

const sqlite3_io_methods memory_methods = {
    .iVersion = 2,
    .xClose = memory_close,
    .xRead = memory_read,
    .xWrite = memory_write,
    .xTruncate = memory_truncate,
    .xSync = memory_sync,
    .xFileSize = memory_size,
    .xLock = memory_lock,
    .xUnlock = memory_unlock,
    .xCheckReservedLock = memory_check_reserved,
    .xFileControl = memory_control,
    .xSectorSize = memory_sector_size,
    .xDeviceCharacteristics = memory_characteristics,
    .xShmMap = memory_shm_map,
    .xShmLock = memory_shm_lock,
    .xShmBarrier = memory_shm_barrier,
    .xShmUnmap = memory_shm_unmap,
};

/* ---- the VFS ---- */

static int open_memory(handle *h, fault_disk *disk, const char *path, int flags, int *out_flags) {
    disk_file *file = disk_find(disk, path);
    if (!file || !file->exists) {
        if (!(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
        file = disk_make(disk, path);
        file->exists = 1;
    } else if (flags & SQLITE_OPEN_EXCLUSIVE) {
        return SQLITE_CANTOPEN;
    }
    if (!file->node) {
        file->node = calloc(1, sizeof *file->node);
        if (!file->node) return SQLITE_NOMEM;
        file->node->refs = 1;
    }
    file->node->refs++;
    h->file = file;
    h->node = file->node;
    h->deletes_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    h->base.pMethods = &memory_methods;
    if (out_flags) *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs;
    file->pMethods = NULL;
    vfs_lock();
    claim *c = claim_of(path);
    if (!c) {
        vfs_unlock();
        return system_vfs->xOpen(system_vfs, path, file, flags, out_flags);
    }
    handle *h = (handle *)file;
    memset(h, 0, sizeof *h);
    fault_disk *disk = c->disk;
    int crashes = 0;
    int rc = disk->is_down ? SQLITE_CANTOPEN : disk_operation(disk, FAULT_OPEN, SQLITE_CANTOPEN, &crashes);
    if (crashes) {
        disk_crash(disk, disk->crash_how);
        rc = SQLITE_CANTOPEN;
    }
    if (rc == SQLITE_OK && c->kind == FAULT_IN_MEMORY) rc = open_memory(h, disk, path, flags, out_flags);
    if (rc == SQLITE_OK && c->kind == FAULT_BELOW_PATH) {
        h->real = (sqlite3_file *)(h + 1);
        memset(h->real, 0, (size_t)system_vfs->szOsFile);
        rc = system_vfs->xOpen(system_vfs, path, h->real, flags, out_flags);
        if (rc == SQLITE_OK) h->base.pMethods = &real_methods;
        else if (h->real->pMethods) h->real->pMethods->xClose(h->real);
    }
    if (rc == SQLITE_OK) {
        h->disk = disk;
        h->life = disk->life;
        disk->refs++;
        disk->handles++;
    }
    vfs_unlock();
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int syncs_folder) {
    (void)vfs;
    vfs_lock();
    claim *c = claim_of(path);
    int rc = SQLITE_OK;
    if (c) {
        fault_disk *disk = c->disk;
        int crashes = 0;
        rc = disk->is_down ? SQLITE_IOERR_DELETE : disk_operation(disk, FAULT_DELETE, SQLITE_IOERR_DELETE, &crashes);
        disk_file *file = c->kind == FAULT_IN_MEMORY ? disk_find(disk, path) : NULL;
        if (rc == SQLITE_OK && c->kind == FAULT_IN_MEMORY) {
            if (!file || !file->exists) rc = SQLITE_IOERR_DELETE_NOENT;
            else file_delete(file);
        }
        if (crashes) {
            disk_crash(disk, disk->crash_how);
            rc = SQLITE_IOERR_DELETE;
        } else if (rc == SQLITE_OK && file && syncs_folder) {
            file_sync(disk, file);
        }
    }
    int is_real = rc == SQLITE_OK && (!c || c->kind == FAULT_BELOW_PATH);
    vfs_unlock();
    return is_real ? system_vfs->xDelete(system_vfs, path, syncs_folder) : rc;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out) {
    (void)vfs;
    vfs_lock();
    claim *c = claim_of(path);
    int is_memory = c && c->kind == FAULT_IN_MEMORY;
    if (is_memory) {
        disk_file *file = disk_find(c->disk, path);
        int is_there = file && file->exists && !c->disk->is_down;
        /* SQLite's own VFS takes an empty file for none when asked whether it exists. */
        *out = is_there && (flags != SQLITE_ACCESS_EXISTS || file->now.size > 0);
    }
    vfs_unlock();
    return is_memory ? SQLITE_OK : system_vfs->xAccess(system_vfs, path, flags, out);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int count, char *out) {
    (void)vfs;
    vfs_lock();
    claim *c = claim_of(path);
    int is_memory = c && c->kind == FAULT_IN_MEMORY;
    vfs_unlock();
    if (!is_memory) return system_vfs->xFullPathname(system_vfs, path, count, out);
    sqlite3_snprintf(count, out, "%s", path);
    return SQLITE_OK;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    return atomic_load(&skips_sleeps) ? microseconds : system_vfs->xSleep(system_vfs, microseconds);
}

/* SQLite counts milliseconds from a day in 4714 BC. */
static const sqlite3_int64 unix_epoch = 210866760000000;

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *out) {
    (void)vfs;
    long long now = atomic_load(&virtual_clock);
    if (!now) return system_vfs->xCurrentTimeInt64(system_vfs, out);
    *out = now + unix_epoch;
    return SQLITE_OK;
}

static int vfs_time_days(sqlite3_vfs *vfs, double *out) {
    sqlite3_int64 milliseconds = 0;
    int rc = vfs_time(vfs, &milliseconds);
    *out = (double)milliseconds / 86400000.0;
    return rc;
}

static int result_of_registering;

static void register_once(void) {
    result_of_registering = sqlite3_initialize();
    if (result_of_registering != SQLITE_OK) return;
    system_vfs = sqlite3_vfs_find(NULL);
    fault_vfs = *system_vfs;
    fault_vfs.pNext = NULL;
    fault_vfs.zName = "fault-disk";
    fault_vfs.szOsFile = (int)sizeof(handle) + system_vfs->szOsFile;
    fault_vfs.xOpen = vfs_open;
    fault_vfs.xDelete = vfs_delete;
    fault_vfs.xAccess = vfs_access;
    fault_vfs.xFullPathname = vfs_full_path;
    fault_vfs.xSleep = vfs_sleep;
    fault_vfs.xCurrentTime = vfs_time_days;
    fault_vfs.xCurrentTimeInt64 = vfs_time;
    result_of_registering = sqlite3_vfs_register(&fault_vfs, 1);
}

int fault_vfs_register(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_once);
    return result_of_registering;
}

void fault_vfs_seed_randomness(uint32_t seed) {
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)seed, (sqlite3 *)0);
}

void fault_vfs_set_clock(int64_t milliseconds) { atomic_store(&virtual_clock, milliseconds); }
void fault_vfs_set_sleeps(int really) { atomic_store(&skips_sleeps, !really); }

/* ---- disks, from outside ---- */

fault_disk *fault_disk_create(uint64_t seed) {
    fault_disk *disk = calloc(1, sizeof *disk);
    if (!disk) abort();
    disk->refs = 1;
    disk->chance = seed;
    disk->capacity = -1;
    return disk;
}

void fault_disk_destroy(fault_disk *disk) {
    vfs_lock();
    for (claim **place = &claims; *place;) {
        claim *c = *place;
        if (c->disk != disk) { place = &c->next; continue; }
        *place = c->next;
        free(c->path);
        free(c);
    }
    disk->is_destroyed = 1;
    for (disk_file *file = disk->files; file; file = file->next) {
        node_release(file->node);
        file->node = NULL;
    }
    disk_release(disk);
    vfs_unlock();
}

int fault_disk_claim(fault_disk *disk, const char *path, int kind) {
    vfs_lock();
    claim *known = claim_of(path);
    if (!known) {
        claim *c = calloc(1, sizeof *c);
        if (!c) abort();
        c->disk = disk;
        c->path = strdup(path);
        if (!c->path) abort();
        c->kind = kind;
        c->next = claims;
        claims = c;
    }
    int rc = known && known->disk != disk ? -1 : 0;
    vfs_unlock();
    return rc;
}

void fault_disk_crash(fault_disk *disk, int how) {
    vfs_lock();
    disk_crash(disk, how);
    vfs_unlock();
}

void fault_disk_crash_at(fault_disk *disk, int kinds, int64_t nth, int how) {
    vfs_lock();
    disk->crash_kinds = kinds;
    disk->crash_left = nth;
    disk->crash_how = how;
    vfs_unlock();
}

void fault_disk_restart(fault_disk *disk) {
    vfs_lock();
    disk->is_down = 0;
    vfs_unlock();
}

int fault_disk_fail(fault_disk *disk, int kinds, int64_t nth, int for_ever, int code) {
    vfs_lock();
    int rc = disk->order_count < FAIL_ORDERS ? 0 : -1;
    if (rc == 0) {
        disk->orders[disk->order_count++] =
            (fail_order){.kinds = kinds, .left = nth, .for_ever = for_ever, .code = code};
    }
    vfs_unlock();
    return rc;
}

void fault_disk_heal(fault_disk *disk) {
    vfs_lock();
    disk->order_count = 0;
    disk->crash_left = 0;
    disk->capacity = -1;
    disk->is_lying = 0;
    disk->is_losing = 0;
    vfs_unlock();
}

#define UNDER_LOCK(statement) do { vfs_lock(); statement; vfs_unlock(); } while (0)

void fault_disk_set_capacity(fault_disk *disk, int64_t bytes) { UNDER_LOCK(disk->capacity = bytes); }
void fault_disk_set_lying(fault_disk *disk, int lies) { UNDER_LOCK(disk->is_lying = lies); }
void fault_disk_set_losing(fault_disk *disk, int loses) { UNDER_LOCK(disk->is_losing = loses); }
void fault_disk_reset_counts(fault_disk *disk) { UNDER_LOCK(memset(disk->counts, 0, sizeof disk->counts)); }

int fault_disk_is_down(fault_disk *disk) {
    int is_down;
    UNDER_LOCK(is_down = disk->is_down);
    return is_down;
}

int64_t fault_disk_struck(fault_disk *disk) {
    int64_t count;
    UNDER_LOCK(count = disk->struck);
    return count;
}

int64_t fault_disk_count(fault_disk *disk, int kinds) {
    int64_t count = 0;
    vfs_lock();
    for (int k = 0; k < KINDS; k++) {
        if (kinds & (1 << k)) count += disk->counts[k];
    }
    vfs_unlock();
    return count;
}

int64_t fault_disk_used_bytes(fault_disk *disk) {
    int64_t bytes;
    UNDER_LOCK(bytes = disk_used(disk));
    return bytes;
}

int64_t fault_disk_pending_writes(fault_disk *disk) {
    int64_t count = 0;
    vfs_lock();
    for (disk_file *file = disk->files; file; file = file->next) count += file->op_count;
    vfs_unlock();
    return count;
}

int64_t fault_disk_open_handles(fault_disk *disk) {
    int64_t count;
    UNDER_LOCK(count = disk->handles);
    return count;
}

int64_t fault_disk_size(fault_disk *disk, const char *path) {
    vfs_lock();
    disk_file *file = disk_find(disk, path);
    int64_t size = file && file->exists ? file->now.size : -1;
    vfs_unlock();
    return size;
}

int64_t fault_disk_get(fault_disk *disk, const char *path, int64_t offset, void *bytes, int64_t count, int synced) {
    vfs_lock();
    disk_file *file = disk_find(disk, path);
    int64_t done = 0;
    if (file && (synced ? file->synced_exists : file->exists)) {
        const buffer *from = synced ? &file->synced : &file->now;
        done = offset < from->size ? from->size - offset : 0;
        if (done > count) done = count;
        if (done) memcpy(bytes, from->bytes + offset, (size_t)done);
    }
    vfs_unlock();
    return done;
}

int fault_disk_put(fault_disk *disk, const char *path, const void *bytes, int64_t count) {
    vfs_lock();
    claim *c = claim_of(path);
    int rc = c && c->disk == disk && c->kind == FAULT_IN_MEMORY ? 0 : -1;
    if (rc == 0) {
        int is_lying = disk->is_lying;
        disk_file *file = disk_make(disk, path);
        disk->is_lying = 0;
        file_truncate(file, 0);
        file_write(file, 0, bytes, count);
        file->exists = 1;
        file_sync(disk, file);
        disk->is_lying = is_lying;
    }
    vfs_unlock();
    return rc;
}

int fault_disk_flip(fault_disk *disk, const char *path, int64_t offset, uint8_t mask) {
    vfs_lock();
    disk_file *file = disk_find(disk, path);
    int rc = file && file->exists && offset < file->now.size ? 0 : -1;
    if (rc == 0) {
        file->now.bytes[offset] ^= mask;
        if (offset < file->synced.size) file->synced.bytes[offset] ^= mask;
    }
    vfs_unlock();
    return rc;
}

void fault_disk_remove(fault_disk *disk, const char *path) {
    vfs_lock();
    disk_file *file = disk_find(disk, path);
    if (file) {
        int is_lying = disk->is_lying;
        disk->is_lying = 0;
        file_delete(file);
        file_sync(disk, file);
        disk->is_lying = is_lying;
    }
    vfs_unlock();
}
