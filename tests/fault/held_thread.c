/*
 * Loaded before the C library into a `lulab serve` under test: the thread named by HELD_THREAD goes only
 * as far as the test lets it, whatever the speed of the machine. Where it is held it is about to ask for the wall clock,
 * as it does at least once for every event that it makes; no other thread is.
 *
 * The file named by HELD_FILE is shared memory:
 *
 *     OFFSET  SIZE  MEANING (numbers are little-endian u64)
 *          0     8  how often it has asked, with the time for which it is held
 *          8     8  how often it may
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOKS_EVERY_NS 1000000

struct control {
	_Atomic uint64_t asked, may;
};

static struct control *control;
static char held[16]; /* as long as the name of a thread may be */

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("HELD_FILE"), *name = getenv("HELD_THREAD");
	int fd;

	if (path == NULL || name == NULL)
		return;
	snprintf(held, sizeof(held), "%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		abort();
	close(fd);
}

static void wait_for_leave(void)
{
	uint64_t number = atomic_fetch_add(&control->asked, 1);

	while (number >= atomic_load(&control->may))
		nanosleep(&(struct timespec){.tv_nsec = LOOKS_EVERY_NS}, NULL);
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	char name[16] = "";

	if (id == CLOCK_REALTIME && control != NULL && prctl(PR_GET_NAME, name) == 0 && strcmp(name, held) == 0)
		wait_for_leave();
	return (int)syscall(SYS_clock_gettime, id, ret);
}
