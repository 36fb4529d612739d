#include <stdlib.h>

#include "VFS.h"

/* All connections are in this process, so a count is a lock. A dead handle has none: its node is of another life. */

static handle *of(sqlite3_file *file) { return (handle *)file; }

int memory_lock(sqlite3_file *file, int level) {
    handle *h = of(file);
    vfs_lock();
    int rc = handle_is_dead(h) ? SQLITE_IOERR_LOCK : SQLITE_OK;
    shared_node *node = h->node;
    if (rc == SQLITE_OK && level > h->lock) {
        if (level == SQLITE_LOCK_SHARED) {
            if (node->exclusive || node->pending) rc = SQLITE_BUSY;
            else node->shared++;
        } else if (level == SQLITE_LOCK_RESERVED) {
            if (node->reserved && node->reserved != h) rc = SQLITE_BUSY;
            else node->reserved = h;
        } else {
            if ((node->reserved && node->reserved != h) || (node->pending && node->pending != h)) {
                rc = SQLITE_BUSY;
            } else {
                node->reserved = node->pending = h;
                /* Nobody new comes in from here on; those that are in may take their time. */
                if (node->shared > 1) {
                    rc = SQLITE_BUSY;
                    h->lock = SQLITE_LOCK_PENDING;
                } else {
                    node->exclusive = h;
                }
            }
        }
        if (rc == SQLITE_OK) h->lock = level;
    }
    vfs_unlock();
    return rc;
}

static void let_go(handle *h, int level) {
    shared_node *node = h->node;
    if (!node || level >= h->lock) return;
    if (node->exclusive == h) node->exclusive = NULL;
    if (node->pending == h) node->pending = NULL;
    if (node->reserved == h) node->reserved = NULL;
    if (level == SQLITE_LOCK_NONE && h->lock >= SQLITE_LOCK_SHARED) node->shared--;
    h->lock = level;
}

int memory_unlock(sqlite3_file *file, int level) {
    vfs_lock();
    let_go(of(file), level);
    vfs_unlock();
    return SQLITE_OK;
}

int memory_check_reserved(sqlite3_file *file, int *out) {
    handle *h = of(file);
    vfs_lock();
    int is_dead = handle_is_dead(h);
    *out = !is_dead && h->node->reserved != NULL;
    vfs_unlock();
    return is_dead ? SQLITE_IOERR_CHECKRESERVEDLOCK : SQLITE_OK;
}

int memory_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
    handle *h = of(file);
    *out = NULL;
    vfs_lock();
    int rc = SQLITE_OK;
    shared_node *node = h->node;
    if (handle_is_dead(h)) {
        rc = SQLITE_IOERR_SHMMAP;
    } else {
        if (!h->has_shm) node->shm_users++;
        h->has_shm = 1;
        if (region >= node->region_count && extend) {
            uint8_t **regions = realloc(node->regions, (size_t)(region + 1) * sizeof *regions);
            if (!regions) {
                rc = SQLITE_NOMEM;
            } else {
                node->regions = regions;
                while (node->region_count <= region) {
                    uint8_t *memory = calloc(1, (size_t)size);
                    if (!memory) { rc = SQLITE_NOMEM; break; }
                    node->regions[node->region_count++] = memory;
                }
            }
        }
        if (rc == SQLITE_OK && region < node->region_count) *out = node->regions[region];
    }
    vfs_unlock();
    return rc;
}

static int shm_lock_one(handle *h, int offset, int count, int flags) {
    uint16_t mask = (uint16_t)(((1 << count) - 1) << offset);
    int *locks = h->node->shm_locks;
    if (flags & SQLITE_SHM_UNLOCK) {
        for (int i = offset; i < offset + count; i++) {
            if (h->exclusive_mask & (1 << i)) locks[i] = 0;
            else if (h->shared_mask & (1 << i)) locks[i]--;
        }
        h->exclusive_mask = (uint16_t)(h->exclusive_mask & ~mask);
        h->shared_mask = (uint16_t)(h->shared_mask & ~mask);
        return SQLITE_OK;
    }
    if (flags & SQLITE_SHM_SHARED) {
        if (h->shared_mask & mask) return SQLITE_OK;
        if (locks[offset] < 0) return SQLITE_BUSY;
        locks[offset]++;
        h->shared_mask |= mask;
        return SQLITE_OK;
    }
    for (int i = offset; i < offset + count; i++) {
        if (!(h->exclusive_mask & (1 << i)) && locks[i] != 0) return SQLITE_BUSY;
    }
    for (int i = offset; i < offset + count; i++) locks[i] = -1;
    h->exclusive_mask |= mask;
    return SQLITE_OK;
}

int memory_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    handle *h = of(file);
    vfs_lock();
    int is_dead = handle_is_dead(h);
    int rc = is_dead && !(flags & SQLITE_SHM_UNLOCK) ? SQLITE_IOERR_SHMLOCK : shm_lock_one(h, offset, count, flags);
    vfs_unlock();
    return rc;
}

void memory_shm_barrier(sqlite3_file *file) {
    (void)file;
    __sync_synchronize();
    vfs_lock();
    vfs_unlock();
}

/* The last one out takes the memory along: another log may begin without the connection ever being closed. */
static void leave_shm(handle *h) {
    if (!h->has_shm) return;
    shared_node *node = h->node;
    shm_lock_one(h, 0, SHM_LOCKS, SQLITE_SHM_UNLOCK);
    h->has_shm = 0;
    if (--node->shm_users > 0) return;
    for (int i = 0; i < node->region_count; i++) free(node->regions[i]);
    node->region_count = 0;
}

int memory_shm_unmap(sqlite3_file *file, int deletes) {
    (void)deletes;
    vfs_lock();
    leave_shm(of(file));
    vfs_unlock();
    return SQLITE_OK;
}

/* Called with the lock held, when the handle is closed. */
void memory_let_go(handle *h) {
    if (!h->node) return;
    leave_shm(h);
    let_go(h, SQLITE_LOCK_NONE);
    if (h->file && h->file->node == h->node && h->node->refs == 2) {
        /* The last one of this life; the file's own hold is the other. */
        h->file->node = NULL;
        node_release(h->node);
    }
    node_release(h->node);
    h->node = NULL;
}
