/*
 * How SQLite's write-ahead log reaches its file: in few writes.
 *
 * SQLite hands over two for each page, 24 bytes that head the frame and the page. Live rows lie on a page each, and the
 * calls cost as much as what they write. Here neighbouring ones gather and go together.
 */
#ifndef LULAB_STORE_PROJECTION_WAL_H
#define LULAB_STORE_PROJECTION_WAL_H

/*
 * The name of a VFS that does so, for sqlite3_open_v2(); NULL is the usual one, when there is no memory for more. Called
 * once, after sqlite3_config() and before the first connection of the process.
 */
const char *projection_wal_register(void);

#endif
