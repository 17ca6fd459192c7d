/*
 * Loaded before the C library into a `lulab serve` under test: its wall clock
 * shows what the file named by WRONG_CLOCK says, two decimal numbers of
 * microseconds: an offset to the true time and, if not 0, the time at which it
 * stands still. Clocks that only run forward are left alone, as they are on a
 * machine whose clock is set.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Missing, or being written: the true time. */
static int64_t wall_us(void)
{
	const char *path = getenv("WRONG_CLOCK");
	long long offset_us = 0, frozen_us = 0;
	struct timespec now;
	char text[64];
	ssize_t n;
	int fd;

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
	fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	sscanf(text, "%lld %lld", &offset_us, &frozen_us);
	return frozen_us != 0 ? frozen_us : (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + offset_us;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int64_t us;

	if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)
		return (int)syscall(SYS_clock_gettime, id, ret);
	us = wall_us();
	*ret = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	return 0;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	int64_t us = wall_us();

	(void)zone;
	*ret = (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
	return 0;
}

time_t time(time_t *ret)
{
	time_t now = wall_us() / 1000000;

	if (ret != NULL)
		*ret = now;
	return now;
}
