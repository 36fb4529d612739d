#include "VFS.h"

/* Files in the file system that count and fail: SQLite's own VFS does the work. */

static sqlite3_file *real_of(sqlite3_file *file) { return ((handle *)file)->real; }

/* A crash of such a disk is the death of the process: handles fail, contents stay. */
static int begin(sqlite3_file *file, int kind, int io_code) {
    handle *h = (handle *)file;
    int crashes = 0;
    vfs_lock();
    int rc = handle_is_dead(h) ? io_code : disk_operation(h->disk, kind, io_code, &crashes);
    if (crashes) {
        disk_crash(h->disk, FAULT_KILLED);
        rc = io_code;
    }
    vfs_unlock();
    return rc;
}

static int real_close(sqlite3_file *file) {
    handle *h = (handle *)file;
    int rc = h->real->pMethods->xClose(h->real);
    vfs_lock();
    h->disk->handles--;
    disk_release(h->disk);
    vfs_unlock();
    return rc;
}

static int real_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    int rc = begin(file, FAULT_READ, SQLITE_IOERR_READ);
    return rc ? rc : real_of(file)->pMethods->xRead(real_of(file), bytes, count, offset);
}

static int real_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    int rc = begin(file, FAULT_WRITE, SQLITE_IOERR_WRITE);
    return rc ? rc : real_of(file)->pMethods->xWrite(real_of(file), bytes, count, offset);
}

static int real_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int rc = begin(file, FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE);
    return rc ? rc : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int real_sync(sqlite3_file *file, int flags) {
    int rc = begin(file, FAULT_SYNC, SQLITE_IOERR_FSYNC);
    return rc ? rc : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int real_size(sqlite3_file *file, sqlite3_int64 *size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int real_lock(sqlite3_file *file, int level) { return real_of(file)->pMethods->xLock(real_of(file), level); }
static int real_unlock(sqlite3_file *file, int level) { return real_of(file)->pMethods->xUnlock(real_of(file), level); }

static int real_check_reserved(sqlite3_file *file, int *out) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int real_control(sqlite3_file *file, int operation, void *argument) {
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int real_sector_size(sqlite3_file *file) { return real_of(file)->pMethods->xSectorSize(real_of(file)); }

static int real_characteristics(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int real_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, out);
}

static int real_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void real_shm_barrier(sqlite3_file *file) { real_of(file)->pMethods->xShmBarrier(real_of(file)); }

static int real_shm_unmap(sqlite3_file *file, int deletes) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), deletes);
}

const sqlite3_io_methods real_methods = {
    .iVersion = 2,
    .xClose = real_close,
    .xRead = real_read,
    .xWrite = real_write,
    .xTruncate = real_truncate,
    .xSync = real_sync,
    .xFileSize = real_size,
    .xLock = real_lock,
    .xUnlock = real_unlock,
    .xCheckReservedLock = real_check_reserved,
    .xFileControl = real_control,
    .xSectorSize = real_sector_size,
    .xDeviceCharacteristics = real_characteristics,
    .xShmMap = real_shm_map,
    .xShmLock = real_shm_lock,
    .xShmBarrier = real_shm_barrier,
    .xShmUnmap = real_shm_unmap,
};
