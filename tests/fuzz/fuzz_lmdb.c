/*
 * Fuzz entry: damage to the data file of the log (or, by the first byte, of its
 * index), which is then opened, read through and appended to in a process of
 * its own. Whatever the damage, that process must end with "all good", with an error told,
 * or with the status that says the file is damaged; never by a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "fuzz.h"
#include "patches.h"
#include "store/eventlog.h"
#include "store/log_guard.h"
#include "store/log_pages.h"

#define FILE_MAX ((size_t)8 << 20)
#define MAP_BYTES ((uint64_t)64 << 20)
#define N_EVENTS 120
#define BLOB_EVERY 10
#define BLOB_LEN 9000
#define STATUS_ERROR 1 /* told by an error */

static char dir[64], log_dir[80], index_dir[80], log_path[96], index_path[96];
static struct buf good_log = BUF_INIT(FILE_MAX), good_index = BUF_INIT(FILE_MAX);

static void clean_up(void)
{
	tree_remove(dir);
}

static int open_log(struct eventlog **ret, struct buf *problem)
{
	struct eventlog_options options = {.dir = dir, .clock = &clock_system, .map_bytes = MAP_BYTES, .reserve_off = true,
	    .type_number = event_type_number, .problem = problem};

	return eventlog_open(ret, &options);
}

static int append(struct eventlog *log, unsigned number)
{
	struct event_context ctx = {.rng = &rng_system, .clock = &clock_system};
	struct event_meta meta = {.source = SLICE("/webhooks/tencent"), .actor = SLICE("webhook:tencent"),
	    .expect = EXPECT_ANY, .has_once = true};
	struct event_webhook_received e = {.source = SLICE("tencent"), .vendor_event = SLICE("x"),
	    .reason = SLICE("unknown_event"), .fingerprint = SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")};
	static char bytes[BLOB_LEN];
	struct blob_draft blob = {.bytes = {bytes, BLOB_LEN}};
	char hex[2 * SHA256_LEN + 1];
	struct arena a = ARENA_INIT(1 << 20);
	struct event_draft draft;
	struct append batch = {.events = &draft, .n_events = 1};
	int rc;

	memcpy(meta.once, &number, sizeof(number));
	if (number % BLOB_EVERY == 0) {
		memset(bytes, (int)number, sizeof(bytes));
		sha256(blob.sha256, &blob.bytes, 1);
		hex_encode(hex, blob.sha256, SHA256_LEN);
		meta.blobs = &blob;
		meta.n_blobs = 1;
		e.has_raw = true;
		e.raw.blob = slice_str(hex);
		e.raw.size = BLOB_LEN;
	}
	rc = event_draft_make(&ctx, EVENT_WEBHOOK_RECEIVED, &e, &meta, &a, &draft, NULL);
	if (rc == 0)
		rc = eventlog_append_wait(log, &batch);
	arena_finish(&a);
	return rc;
}

static void make(void)
{
	struct eventlog *log = NULL;

	check(crypto_init() == 0);
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(dir, sizeof(dir), "%s/lulab-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	check(mkdtemp(dir) != NULL);
	atexit(clean_up);
	snprintf(log_dir, sizeof(log_dir), "%s/log", dir);
	snprintf(index_dir, sizeof(index_dir), "%s/index", dir);
	snprintf(log_path, sizeof(log_path), "%s/log/data.mdb", dir);
	snprintf(index_path, sizeof(index_path), "%s/index/data.mdb", dir);
	check(open_log(&log, NULL) == 0);
	for (unsigned i = 0; i < N_EVENTS; i++)
		check(append(log, i) == 0);
	eventlog_close(log);
	check(log_pages_check(log_dir, MAP_BYTES, NULL) == 0);
	check(file_read(&good_log, log_path) == 0 && file_read(&good_index, index_path) == 0);
}

static void put(const char *path, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	check(fd >= 0 && write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
	close(fd);
}

static int read_all(struct eventlog *log)
{
	struct buf note = BUF_INIT(1 << 20);
	struct eventlog_cursor c;
	struct log_record record;
	struct log_read r = {0};
	struct slice blob;
	uint64_t size, sum = 0;
	int rc;

	eventlog_cursor_init(&c, log, 0, NULL);
	while ((rc = eventlog_cursor_next(&c, &record)) == 0)
		sum += record.entry.len;
	eventlog_cursor_finish(&c);
	if (log_read_start(&r, log) == 0)
		for (unsigned i = 0; i < N_EVENTS; i += BLOB_EVERY)
			if (eventlog_blob(&r, i, 0, &blob) == 0)
				for (size_t k = 0; k < blob.len; k += 512)
					sum += (uint8_t)blob.ptr[k];
	log_read_stop(&r);
	eventlog_last_note(log, &size, &note);
	buf_finish(&note);
	check(sum > 0 || rc != 0);
	return rc == ERR_END ? 0 : rc;
}

/* In the child. */
static int use(void)
{
	struct buf problem = BUF_INIT(4096);
	struct eventlog *log = NULL;
	uint64_t position;
	uint8_t once[ONCE_KEY_LEN] = {7};
	int rc = open_log(&log, &problem);

	if (rc == 0) {
		rc = read_all(log);
		eventlog_find_once(log, once, &position);
		for (unsigned i = 0; i < 3 && rc == 0; i++)
			rc = append(log, N_EVENTS + i * BLOB_EVERY);
		eventlog_close(log);
	} else {
		check(problem.len > 0); /* an operator has to be told */
	}
	if (rc != 0)
		fprintf(stderr, "%s: %s\n", err_name(rc), problem.len > 0 ? problem.ptr : "while reading or appending");
	buf_finish(&problem);
	return rc == 0 ? 0 : STATUS_ERROR;
}

void fuzz_one(struct slice input)
{
	struct buf damaged = BUF_INIT(FILE_MAX);
	bool of_index = input.len > 0 && (input.ptr[0] & 3) == 0;
	int status;
	pid_t pid, ended;

	if (good_log.len == 0)
		make();
	if (input.len < 6)
		return;
	check(buf_append(&damaged, buf_slice(of_index ? &good_index : &good_log)) == 0);
	patches_apply(&damaged, slice_of(input.ptr + 1, input.len - 1));
	/* The one before may have ended anywhere. */
	check(tree_remove(log_dir) == 0 && tree_remove(index_dir) == 0);
	check(dir_create(log_dir, 0700) == 0 && dir_create(index_dir, 0700) == 0);
	put(log_path, of_index ? buf_slice(&good_log) : buf_slice(&damaged));
	put(index_path, of_index ? buf_slice(&damaged) : buf_slice(&good_index));
	/* Here too, where libFuzzer sees which way it goes. */
	if (!of_index)
		log_pages_check(log_dir, MAP_BYTES, NULL);
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		/* What it says of the damage is looked at when something is found. */
		if (getenv("FUZZ_TELL") == NULL)
			dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		_exit(use());
	}
	do /* the fuzzer's clock ticks by a signal */
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	check(ended == pid);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != STATUS_ERROR &&
	    WEXITSTATUS(status) != LOG_STATUS_DAMAGED)) {
		fprintf(stderr, "the process ended with %s %d\n", WIFEXITED(status) ? "status" : "signal",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		abort();
	}
	check(!of_index || WEXITSTATUS(status) != STATUS_ERROR); /* an index is made again, whatever is wrong with it */
	buf_finish(&damaged);
}
