#include <sqlite3.h>

/* SQLite counts the memory that it has given out, under one lock for all threads of the process, at each allocation:
   nobody reads the count, and threads with databases of their own wait for each other. It can be left out only before
   the first use of SQLite, which in tests is not ours. Were it too late, the count would go on, and nothing else. */
__attribute__((constructor)) static void leave_memory_uncounted(void) { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }
