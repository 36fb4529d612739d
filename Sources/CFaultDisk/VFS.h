#ifndef WAYBILL_FAULT_VFS_H
#define WAYBILL_FAULT_VFS_H

#include <sqlite3.h>

#include "Disk.h"

/* One open file of a disk. The handle of SQLite's own VFS follows it in memory where the contents are below a path. */
typedef struct {
    sqlite3_file base;
    fault_disk *disk;
    disk_file *file;
    sqlite3_file *real;
    shared_node *node;
    int64_t life;
    int lock;
    int has_shm;
    uint16_t shared_mask;
    uint16_t exclusive_mask;
    int deletes_on_close;
} handle;

void vfs_lock(void);
void vfs_unlock(void);

/* A handle of a crashed or destroyed disk. */
int handle_is_dead(const handle *h);

extern const sqlite3_io_methods memory_methods;
extern const sqlite3_io_methods real_methods;

/* Locks between connections, and the shared memory of the write-ahead log: Locks.c. */
int memory_lock(sqlite3_file *file, int level);
int memory_unlock(sqlite3_file *file, int level);
int memory_check_reserved(sqlite3_file *file, int *out);
int memory_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out);
int memory_shm_lock(sqlite3_file *file, int offset, int count, int flags);
void memory_shm_barrier(sqlite3_file *file);
int memory_shm_unmap(sqlite3_file *file, int deletes);
void memory_let_go(handle *h);

#endif
