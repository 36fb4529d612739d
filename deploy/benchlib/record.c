/* Runs one UPDATE in one transaction and prints how many seconds it took, from BEGIN to the end of COMMIT.
   With "session" SQLite's session extension records it meanwhile; what writing its changeset down takes comes second.
   usage: record FILE TABLE SQL plain|session */
#define SQLITE_ENABLE_SESSION
#define SQLITE_ENABLE_PREUPDATE_HOOK
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void check(int code, sqlite3 *db, const char *what) {
    if (code == SQLITE_OK) return;
    fprintf(stderr, "%s: %s\n", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    exit(1);
}

int main(int count, char **arguments) {
    if (count != 5) return fprintf(stderr, "usage: record FILE TABLE SQL plain|session\n"), 2;
    sqlite3 *db;
    sqlite3_session *session = NULL;
    check(sqlite3_open(arguments[1], &db), db, "open");
    if (strcmp(arguments[4], "session") == 0) {
        check(sqlite3session_create(db, "main", &session), db, "session");
        check(sqlite3session_attach(session, arguments[2]), db, "attach");
    }
    double begun = now();
    check(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), db, "begin");
    check(sqlite3_exec(db, arguments[3], NULL, NULL, NULL), db, "update");
    check(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), db, "commit");
    double updated = now();
    int bytes = 0;
    if (session) {
        void *changes = NULL;
        check(sqlite3session_changeset(session, &bytes, &changes), db, "changeset");
        sqlite3_free(changes);
        sqlite3session_delete(session);
    }
    printf("%.6f %.6f\n", updated - begun, now() - updated);
    return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
