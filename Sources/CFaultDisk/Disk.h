#ifndef WAYBILL_FAULT_DISK_H
#define WAYBILL_FAULT_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "include/CFaultDisk.h"

/* Everything here is called with the one lock of the VFS held. */

enum { SHM_LOCKS = 8, SECTOR = 512 };

typedef struct {
    uint8_t *bytes;
    int64_t size;
    int64_t room;
} buffer;

/* What was done to a file since its last sync, in order. */
typedef struct {
    enum { PENDING_WRITE, PENDING_TRUNCATE, PENDING_DELETE } what;
    int64_t offset; /* the new size of a truncate */
    int64_t count;
    uint8_t *bytes;
    int is_lost; /* the sync that should have kept it has failed */
} pending_op;

/* Shared memory and locks of one file, as long as one handle of the same life of the disk has them. */
typedef struct shared_node {
    int refs;
    int shm_users;
    int region_count;
    uint8_t **regions;
    int shm_locks[SHM_LOCKS]; /* -1 exclusive, otherwise the number of shared ones */
    int shared;               /* handles with SHARED or more */
    const void *reserved;     /* the handle with RESERVED or more */
    const void *pending;      /* the handle that lets nobody new in */
    const void *exclusive;
} shared_node;

typedef struct disk_file {
    struct disk_file *next;
    char *path;
    int exists;
    int synced_exists;
    buffer now;
    buffer synced;
    pending_op *ops;
    int64_t op_count;
    int64_t op_room;
    shared_node *node;
} disk_file;

typedef struct {
    int kinds;
    int64_t left;
    int for_ever;
    int code;
} fail_order;

enum { FAIL_ORDERS = 16, KINDS = 6 };

struct fault_disk {
    int refs; /* the owner, and each open handle */
    int is_destroyed;
    int64_t life; /* counts crashes: a handle of another life fails */
    int is_down;
    uint64_t chance;
    disk_file *files;
    fail_order orders[FAIL_ORDERS];
    int order_count;
    int crash_kinds;
    int64_t crash_left;
    int crash_how;
    int64_t capacity;
    int is_lying;
    int is_losing;
    int64_t counts[KINDS];
    int64_t struck;
    int64_t handles;
};

void buffer_resize(buffer *b, int64_t size);
void buffer_write(buffer *b, int64_t offset, const void *bytes, int64_t count);

disk_file *disk_find(fault_disk *disk, const char *path);
disk_file *disk_make(fault_disk *disk, const char *path);
int64_t disk_used(fault_disk *disk);
void disk_release(fault_disk *disk);

void file_write(disk_file *file, int64_t offset, const void *bytes, int64_t count);
void file_truncate(disk_file *file, int64_t size);
void file_delete(disk_file *file);
void file_sync(fault_disk *disk, disk_file *file);
void file_sync_failed(fault_disk *disk, disk_file *file);

void disk_crash(fault_disk *disk, int how);
/* Counts one operation. Returns 0, or the SQLite code with which it fails; `*crashes`: it dies in the middle of it. */
int disk_operation(fault_disk *disk, int kind, int io_code, int *crashes);

void node_release(shared_node *node);

#endif
