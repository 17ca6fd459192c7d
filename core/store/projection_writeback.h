/*
 * What SQLite writes goes on to the disk bit by bit.
 *
 * It syncs megabytes at once, a WAL before its pages go into the file and the file after that, and for as long as these
 * take (20 to 70 ms were seen) no commit of the event log came through to the same disk.
 */
#ifndef LULAB_STORE_PROJECTION_WRITEBACK_H
#define LULAB_STORE_PROJECTION_WRITEBACK_H

struct sqlite3_vfs;

/* For all files that the VFS opens from now on, by io_calls->start_writeback. Before the first connection of the process. */
void projection_writeback_register(struct sqlite3_vfs *vfs);

#endif
