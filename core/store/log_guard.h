/*
 * What happens when reading the store's memory map goes wrong.
 *
 * LMDB's files are mapped. A page that the disk cannot give is no error there
 * but a signal (SIGBUS), a damaged page can lead a read outside of the file, and
 * LMDB's own asserts abort. None of that can be answered in place; what can be
 * kept is the promise that the process then ends, says which file it was, and
 * with a status of its own, instead of crashing without a word or guessing on.
 */
#ifndef LULAB_STORE_LOG_GUARD_H
#define LULAB_STORE_LOG_GUARD_H

#include <lmdb.h>

/* The exit status; that of ERR_CORRUPT everywhere else (tools/command.h, "not verified"). */
#define LOG_STATUS_DAMAGED 4

/*
 * Watches over an environment about to be opened. The first call sets handlers
 * of SIGBUS and SIGSEGV for the process: a fault within a map of a data.mdb
 * ends it with the status above; any other goes to the handler there was before.
 */
void log_guard(MDB_env *env);

#endif
