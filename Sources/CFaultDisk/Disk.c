#include "Disk.h"

#include <stdlib.h>
#include <string.h>

/* Out of memory in a test ends the test. */
static void *allocated(void *p) {
    if (!p) abort();
    return p;
}

/* ---- bytes ---- */

void buffer_resize(buffer *b, int64_t size) {
    if (size > b->room) {
        int64_t room = b->room ? b->room : 4096;
        while (room < size) room *= 2;
        b->bytes = allocated(realloc(b->bytes, (size_t)room));
        b->room = room;
    }
    if (size > b->size) memset(b->bytes + b->size, 0, (size_t)(size - b->size));
    b->size = size;
}

void buffer_write(buffer *b, int64_t offset, const void *bytes, int64_t count) {
    if (count == 0) return;
    if (offset + count > b->size) buffer_resize(b, offset + count);
    memcpy(b->bytes + offset, bytes, (size_t)count);
}

static void buffer_copy(buffer *to, const buffer *from) {
    to->size = 0;
    buffer_resize(to, from->size);
    if (from->size) memcpy(to->bytes, from->bytes, (size_t)from->size);
}

/* ---- files ---- */

disk_file *disk_find(fault_disk *disk, const char *path) {
    for (disk_file *file = disk->files; file; file = file->next) {
        if (strcmp(file->path, path) == 0) return file;
    }
    return NULL;
}

disk_file *disk_make(fault_disk *disk, const char *path) {
    disk_file *file = disk_find(disk, path);
    if (file) return file;
    file = allocated(calloc(1, sizeof *file));
    file->path = allocated(strdup(path));
    file->next = disk->files;
    disk->files = file;
    return file;
}

int64_t disk_used(fault_disk *disk) {
    int64_t bytes = 0;
    for (disk_file *file = disk->files; file; file = file->next) {
        if (file->exists) bytes += file->now.size;
    }
    return bytes;
}

static void forget_ops(disk_file *file) {
    for (int64_t i = 0; i < file->op_count; i++) free(file->ops[i].bytes);
    file->op_count = 0;
}

static pending_op *new_op(disk_file *file) {
    if (file->op_count == file->op_room) {
        file->op_room = file->op_room ? file->op_room * 2 : 16;
        file->ops = allocated(realloc(file->ops, (size_t)file->op_room * sizeof *file->ops));
    }
    pending_op *op = &file->ops[file->op_count++];
    memset(op, 0, sizeof *op);
    return op;
}

void file_write(disk_file *file, int64_t offset, const void *bytes, int64_t count) {
    buffer_write(&file->now, offset, bytes, count);
    if (count == 0) return;
    pending_op *op = new_op(file);
    op->what = PENDING_WRITE;
    op->offset = offset;
    op->count = count;
    op->bytes = allocated(malloc((size_t)count));
    memcpy(op->bytes, bytes, (size_t)count);
}

void file_truncate(disk_file *file, int64_t size) {
    buffer_resize(&file->now, size);
    pending_op *op = new_op(file);
    op->what = PENDING_TRUNCATE;
    op->offset = size;
}

void file_delete(disk_file *file) {
    if (!file->exists) return;
    file->exists = 0;
    buffer_resize(&file->now, 0);
    new_op(file)->what = PENDING_DELETE;
}

static void apply_whole(disk_file *file, const pending_op *op) {
    switch (op->what) {
    case PENDING_WRITE: buffer_write(&file->synced, op->offset, op->bytes, op->count); break;
    case PENDING_TRUNCATE: buffer_resize(&file->synced, op->offset); break;
    case PENDING_DELETE: buffer_resize(&file->synced, 0); break;
    }
}

/* A journaling file system writes what happened to its folders before it says that anything is synced. Without that
 * order a deleted rollback journal could come back after commits that were promised long after it. */
static void settle_deletes(disk_file *file) {
    int64_t kept = file->op_count;
    while (kept > 0 && file->ops[kept - 1].what != PENDING_DELETE) kept--;
    if (kept == 0) return;
    for (int64_t i = 0; i < kept; i++) free(file->ops[i].bytes);
    memmove(file->ops, file->ops + kept, (size_t)(file->op_count - kept) * sizeof *file->ops);
    file->op_count -= kept;
    buffer_resize(&file->synced, 0);
    file->synced_exists = 0;
}

void file_sync(fault_disk *disk, disk_file *file) {
    if (disk->is_lying) return;
    for (disk_file *other = disk->files; other; other = other->next) settle_deletes(other);
    for (int64_t i = 0; i < file->op_count; i++) {
        if (!file->ops[i].is_lost) apply_whole(file, &file->ops[i]);
    }
    forget_ops(file);
    file->synced_exists = file->exists;
}

void file_sync_failed(fault_disk *disk, disk_file *file) {
    if (!disk->is_losing) return;
    for (int64_t i = 0; i < file->op_count; i++) file->ops[i].is_lost = 1;
}

/* ---- a crash ---- */

/* SplitMix64: the same seed gives the same damage. */
static uint64_t chance(fault_disk *disk) {
    uint64_t z = (disk->chance += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int happens(fault_disk *disk, int percent) { return (int)(chance(disk) % 100) < percent; }

/* Writes some sectors of the write: those before a point, or any. */
static void apply_torn(fault_disk *disk, disk_file *file, const pending_op *op) {
    int64_t first = op->offset / SECTOR;
    int64_t last = (op->offset + op->count - 1) / SECTOR;
    int is_prefix = happens(disk, 50);
    int64_t end = first + (int64_t)(chance(disk) % (uint64_t)(last - first + 1));
    for (int64_t sector = first; sector <= last; sector++) {
        if (is_prefix ? sector >= end : happens(disk, 50)) continue;
        int64_t from = sector * SECTOR > op->offset ? sector * SECTOR : op->offset;
        int64_t to = (sector + 1) * SECTOR < op->offset + op->count ? (sector + 1) * SECTOR : op->offset + op->count;
        buffer_write(&file->synced, from, op->bytes + (from - op->offset), to - from);
    }
}

/*
 * What a file is after the power came back. Writes are kept or lost each for itself, because nothing orders them. A
 * truncate that is lost takes with it what was later written behind that end: those blocks were new. A delete that
 * is lost takes all that came after it: that was another file.
 */
static void settle(fault_disk *disk, disk_file *file, int keep_percent, int tear_percent) {
    int64_t end = INT64_MAX;
    int is_kept = file->synced_exists;
    for (int64_t i = 0; i < file->op_count; i++) {
        const pending_op *op = &file->ops[i];
        int keeps = happens(disk, keep_percent);
        int tears = happens(disk, tear_percent);
        if (op->is_lost) keeps = 0;
        if (op->what == PENDING_WRITE) {
            if (!keeps || op->offset + op->count > end) continue;
            if (tears) apply_torn(disk, file, op); else apply_whole(file, op);
            is_kept = 1;
        } else if (keeps) {
            apply_whole(file, op);
            if (op->what == PENDING_DELETE) { is_kept = 0; end = INT64_MAX; }
        } else if (op->what == PENDING_DELETE) {
            break;
        } else if (op->offset < end) {
            end = op->offset;
        }
    }
    forget_ops(file);
    file->exists = file->synced_exists = is_kept;
    if (!is_kept) buffer_resize(&file->synced, 0);
    buffer_copy(&file->now, &file->synced);
}

void disk_crash(fault_disk *disk, int how) {
    disk->life++;
    disk->is_down = 1;
    disk->crash_left = 0;
    for (disk_file *file = disk->files; file; file = file->next) {
        /* Handles of the old life keep their memory, those of the new one begin with none. */
        node_release(file->node);
        file->node = NULL;
    }
    if (how == FAULT_KILLED) return;
    /* One temper for the whole crash: all lost, nearly all kept, or anything between. */
    static const int keeps[] = {0, 10, 50, 90, 100};
    int keep_percent = keeps[chance(disk) % 5];
    int tear_percent = happens(disk, 50) ? 40 : 0;
    for (disk_file *file = disk->files; file; file = file->next) settle(disk, file, keep_percent, tear_percent);
}

int disk_operation(fault_disk *disk, int kind, int io_code, int *crashes) {
    *crashes = 0;
    for (int k = 0; k < KINDS; k++) {
        if (kind == 1 << k) disk->counts[k]++;
    }
    if (disk->crash_left > 0 && (disk->crash_kinds & kind) && --disk->crash_left == 0) {
        disk->struck++;
        *crashes = 1;
        return 0;
    }
    int code = 0;
    for (int i = 0; i < disk->order_count; i++) {
        fail_order *order = &disk->orders[i];
        if (!(order->kinds & kind) || order->left == 0) continue;
        if (order->left > 1) { order->left--; continue; }
        if (!order->for_ever) order->left = 0;
        code = order->code ? order->code : io_code;
    }
    if (code) disk->struck++;
    return code;
}

/* ---- ends ---- */

void node_release(shared_node *node) {
    if (!node || --node->refs > 0) return;
    for (int i = 0; i < node->region_count; i++) free(node->regions[i]);
    free(node->regions);
    free(node);
}

void disk_release(fault_disk *disk) {
    if (--disk->refs > 0) return;
    while (disk->files) {
        disk_file *file = disk->files;
        disk->files = file->next;
        forget_ops(file);
        node_release(file->node);
        free(file->ops);
        free(file->now.bytes);
        free(file->synced.bytes);
        free(file->path);
        free(file);
    }
    free(disk);
}
