/*
 * Loaded before the C library into a `lulab serve` under test: while the file
 * named by FAIL_DISK exists, syncs fail as a dying disk's do. LMDB reports a
 * full disk's short write in the same way.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int fd)
{
	const char *path = getenv("FAIL_DISK");

	if (path != NULL && access(path, F_OK) == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}
