/*
 * See projection_writeback.h. SQLite's VFS has no method that names a file's descriptor, and one of our own for a database
 * would let go SQLite's locks when it is closed (POSIX). The system call that it writes by can be replaced, though, and is
 * told the descriptor.
 */
#include "store/projection_writeback.h"

#include <sqlite3.h>
#include <unistd.h>

#include "base/io.h"

#define WRITEBACK_LEN ((off_t)256 << 10) /* under a millisecond of the disk, in which a commit of the log may wait */
#define DISK_PAGE ((off_t)4096)

/*
 * What this thread wrote and has not told of. A thread writes one file for a while, from its front to its back: a WAL, or in a
 * checkpoint the pages of the database by their numbers. What is left when it turns to another is the sync's.
 */
static _Thread_local struct {
	int fd;
	off_t from, to;
	off_t written;
} untold;

/* Up to the last whole page, for the one after it is about to be written again. */
static void note(int fd, off_t at, off_t len)
{
	if (fd != untold.fd || at < untold.from) {
		untold.fd = fd;
		untold.from = untold.to = at - at % DISK_PAGE;
		untold.written = 0;
	}
	if (at + len > untold.to)
		untold.to = at + len;
	untold.written += len;
	if (untold.written < WRITEBACK_LEN)
		return;
	untold.to -= untold.to % DISK_PAGE;
	if (untold.to > untold.from) /* not when one page was written again and again; a length of 0 would be all of the file */
		io_calls->start_writeback(fd, untold.from, untold.to - untold.from);
	untold.from = untold.to;
	untold.written = 0;
}

static ssize_t write_and_note(int fd, const void *bytes, size_t len, off_t at)
{
	ssize_t n = pwrite(fd, bytes, len, at);

	if (n > 0)
		note(fd, at, n);
	return n;
}

void projection_writeback_register(sqlite3_vfs *vfs)
{
	static const char *const names[] = {"pwrite", "pwrite64"}; /* which one it uses was decided when it was built */

	_Static_assert(sizeof(off_t) == 8, "both take the same");
	if (vfs->iVersion < 3)
		return;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (vfs->xGetSystemCall(vfs, names[i]) != NULL)
			vfs->xSetSystemCall(vfs, names[i], (sqlite3_syscall_ptr)write_and_note);
}
