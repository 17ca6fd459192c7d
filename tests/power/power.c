/*
 * Power loss, enumerated: makes the states that a power cut may leave of a
 * recorded run, opens each as the service would, and judges it.
 *
 *     power --trace FILE --sent DIR --data DIR --states N --seed N [--jobs N] [--stop]
 *     power ... --state PREFIX.NUMBER --keep DIR
 *
 * --trace, --sent and --data are what recorder.c, the sender and the run left. --stop
 * ends at the first violation. --state makes one state again, leaves it in
 * DIR, tells what is missing in it, and judges a copy.
 *
 * Each worker process holds the disk in memory, steps through the trace, makes state
 * after state in a directory of its own in memory (/dev/shm) and judges it. One that
 * dies of a state or hangs is a violation too; another takes its place. States with
 * the same contents and the same promises are looked at once.
 *
 * Exit status: 0 no violation, 4 violations, 1 something else went wrong.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "judge.h"
#include "states.h"
#include "store/projector.h"

#define JOBS_MAX 64
#define CHUNK 16 /* prefixes a worker takes at once */
#define VIOLATIONS_MAX 256
#define HANGS_AFTER_S 30
#define THOROUGH_EVERY 64
#define TRIES 3 /* as many as wanted, where many turn out to be known */

struct violation {
	uint32_t prefix;
	uint64_t number;
	uint64_t after; /* states looked at before */
	char why[640];
};

/* Between the processes. */
struct shared {
	_Atomic uint32_t next_prefix;
	_Atomic uint64_t states, known, lost, opened, thorough;
	_Atomic uint32_t n_violations;
	_Atomic bool stop;
	struct violation violations[VIOLATIONS_MAX];
	struct worker_slot {
		_Atomic uint32_t prefix, chunk_end; /* prefix 0: between states */
		_Atomic uint64_t number;
		_Atomic int64_t since_s;
	} workers[JOBS_MAX];
	uint64_t prints_mask;
	_Atomic uint64_t prints[];
};

struct options {
	const char *trace, *sent, *data, *state, *keep;
	uint64_t states, seed;
	unsigned jobs;
	bool stop;
};

static struct options o = {.states = 50000, .seed = 1, .jobs = 2};
static struct shared *shared;
static struct reference reference;
static char base[PATH_MAX];
static uint64_t total_weight;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void note_violation(uint32_t prefix, uint64_t number, const char *why)
{
	uint32_t i = atomic_fetch_add(&shared->n_violations, 1);

	if (o.stop)
		atomic_store(&shared->stop, true);
	if (i >= VIOLATIONS_MAX)
		return;
	shared->violations[i] = (struct violation){.prefix = prefix, .number = number, .after = atomic_load(&shared->states)};
	snprintf(shared->violations[i].why, sizeof(shared->violations[i].why), "%s", why);
}

/* False when it was there. */
static bool is_new(uint64_t print)
{
	print |= 1;
	for (uint64_t i = print & shared->prints_mask;; i = (i + 1) & shared->prints_mask) {
		uint64_t there = 0;

		if (atomic_compare_exchange_strong(&shared->prints[i], &there, print))
			return true;
		if (there == print)
			return false;
	}
}

/* ---- one state ------------------------------------------------------------------ */

/* "/data/read/meetings-0123456789abcdef.db", or its -wal; the keyring's directory and root key. */
static void on_file(void *arg, const char *path, uint64_t print)
{
	struct prints *prints = arg;

	if (strncmp(path, "/data/keys/", 11) == 0 || strncmp(path, "/data/root.key", 14) == 0)
		prints->keys += mix(print, strlen(path));
	if (strncmp(path, "/data/read/", 11) != 0)
		return;
	for (unsigned i = 0; projections[i] != NULL && i < MODELS_MAX; i++)
		if (strncmp(path + 11, projections[i]->name, strlen(projections[i]->name)) == 0)
			prints->models[i] += mix(print, strlen(path));
}

static bool make(struct disk *d, uint64_t number, const struct choice *choices, const char *dir, struct prints *prints)
{
	uint64_t print;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		perror(dir);
		return false;
	}
	*prints = (struct prints){0};
	return disk_build(d, choices, mix(o.seed, number), dir, &print, on_file, prints);
}

/* What the prefix may use of the states asked for. */
static uint64_t quota_of(struct disk *d, uint32_t prefix)
{
	const uint8_t *bytes;

	return 1 + o.states * states_weight(disk_op(d, prefix - 1, &bytes)) / total_weight;
}

static void look(struct disk *d, struct judge *j, struct worker_slot *slot, const char *dir, uint64_t first)
{
	uint32_t prefix = disk_at(d);
	uint64_t quota = quota_of(d, prefix), done = 0;
	const struct item *items;
	size_t n = disk_items(d, &items);
	struct choice *choices = calloc(n + 1, sizeof(*choices));

	for (uint64_t number = first; done < quota && number < TRIES * quota && !atomic_load(&shared->stop); number++) {
		struct prints prints;
		struct verdict v;
		uint64_t print;
		bool thorough;

		atomic_store(&slot->number, number);
		atomic_store(&slot->since_s, now_ms() / 1000);
		atomic_store(&slot->prefix, prefix);
		states_choose(d, o.seed, number, quota, choices);
		disk_build(d, choices, 0, NULL, &print, NULL, NULL);
		if (!is_new(mix(print, reference.owed[prefix]))) {
			atomic_fetch_add(&shared->known, 1);
			continue;
		}
		if (!make(d, number, choices, dir, &prints))
			exit(1);
		done++;
		thorough = atomic_fetch_add(&shared->states, 1) % THOROUGH_EVERY == 0;
		judge_state(j, dir, prefix, &prints, thorough, &v);
		atomic_fetch_add(&shared->lost, v.models_lost);
		atomic_fetch_add(&shared->opened, v.n_opened);
		atomic_fetch_add(&shared->thorough, thorough);
		if (!v.good)
			note_violation(prefix, number, v.why);
	}
	atomic_store(&slot->prefix, 0);
	free(choices);
}

/* ---- workers ---------------------------------------------------------------------- */

/* resume: the state a worker before this one died of. */
static void work(unsigned number, uint32_t resume_prefix, uint64_t resume_number, uint32_t resume_end)
{
	struct worker_slot *slot = &shared->workers[number];
	struct disk *d = disk_open(o.trace);
	struct judge *j = judge_create(&reference);
	char dir[PATH_MAX + 32];
	uint32_t at = resume_prefix, end = resume_end;

	snprintf(dir, sizeof(dir), "%s/w%u", base, number);
	if (d == NULL)
		exit(1);
	while (!atomic_load(&shared->stop)) {
		if (at >= end) {
			at = atomic_fetch_add(&shared->next_prefix, CHUNK);
			end = at + CHUNK;
			atomic_store(&slot->chunk_end, end);
		}
		if (at > disk_ops(d))
			break;
		while (disk_at(d) < at)
			disk_step(d);
		look(d, j, slot, dir, at == resume_prefix ? resume_number : 0);
		at++;
	}
	tree_remove(dir);
	exit(0);
}

static pid_t start_worker(unsigned number, uint32_t prefix, uint64_t state, uint32_t end)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		work(number, prefix, state, end);
	return pid;
}

/* Gives how many workers run on after one has ended. */
static unsigned on_end(pid_t *pids, unsigned i, int status, unsigned running)
{
	struct worker_slot *slot = &shared->workers[i];
	uint32_t prefix = atomic_load(&slot->prefix);
	char why[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		pids[i] = 0;
		return running - 1;
	}
	if (WIFEXITED(status) || prefix == 0) {
		fprintf(stderr, "power: a worker failed\n");
		exit(1);
	}
	snprintf(why, sizeof(why), "%s", WTERMSIG(status) == SIGKILL ? "it hangs" : "the program dies of it");
	note_violation(prefix, atomic_load(&slot->number), why);
	if (atomic_load(&shared->stop)) {
		pids[i] = 0;
		return running - 1;
	}
	pids[i] = start_worker(i, prefix, atomic_load(&slot->number) + 1, atomic_load(&slot->chunk_end));
	return running;
}

static void report_progress(int64_t began_ms)
{
	double took_s = (double)(now_ms() - began_ms) / 1000;
	uint64_t states = atomic_load(&shared->states);

	fprintf(stderr, "power: %" PRIu64 " states, %.0f/s, %u violations\n", states, (double)states / took_s,
	    atomic_load(&shared->n_violations));
}

static void run_workers(int64_t began_ms)
{
	pid_t pids[JOBS_MAX] = {0};
	unsigned running = o.jobs;
	int64_t told_ms = began_ms;

	for (unsigned i = 0; i < o.jobs; i++)
		pids[i] = start_worker(i, 0, 0, 0);
	while (running > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		for (unsigned i = 0; i < o.jobs; i++) {
			struct worker_slot *slot = &shared->workers[i];

			if (pid > 0 && pids[i] == pid)
				running = on_end(pids, i, status, running);
			else if (pids[i] > 0 && atomic_load(&slot->prefix) != 0 &&
			    now_ms() / 1000 - atomic_load(&slot->since_s) > HANGS_AFTER_S)
				kill(pids[i], SIGKILL);
		}
		if (pid == 0)
			usleep(10000);
		if (now_ms() - told_ms > 30000) {
			told_ms = now_ms();
			report_progress(began_ms);
		}
	}
}

static void share(struct disk *d)
{
	uint64_t room = 1024;
	const uint8_t *bytes;

	for (uint32_t i = 0; i < disk_ops(d); i++)
		total_weight += states_weight(disk_op(d, i, &bytes));
	while (room < 2 * TRIES * (o.states + disk_ops(d)))
		room *= 2;
	shared = mmap(NULL, sizeof(*shared) + room * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	shared->prints_mask = room - 1;
	atomic_store(&shared->next_prefix, 1);
}

static int enumerate(struct disk *d)
{
	int64_t began_ms = now_ms();
	uint32_t n;
	double took_s;

	run_workers(began_ms);
	took_s = (double)(now_ms() - began_ms) / 1000;
	n = atomic_load(&shared->n_violations);
	for (uint32_t i = 0; i < n && i < VIOLATIONS_MAX && i < 20; i++)
		printf("violation: state %u.%" PRIu64 " (after %" PRIu64 " others): %s\n", shared->violations[i].prefix,
		    shared->violations[i].number, shared->violations[i].after, shared->violations[i].why);
	printf("power: seed %" PRIu64 ", %u operations, %" PRIu64 " events, %" PRIu64 " acknowledged, %zu checkpoints\n", o.seed,
	    disk_ops(d), reference.size, reference.acknowledged, reference.n_notes);
	printf("power: %" PRIu64 " states (%" PRIu64 " more had the same contents), %" PRIu64 " thoroughly; %" PRIu64
	    " openings of keyrings and read models, %" PRIu64 " of them lost and made anew\n",
	    atomic_load(&shared->states), atomic_load(&shared->known), atomic_load(&shared->thorough), atomic_load(&shared->opened),
	    atomic_load(&shared->lost));
	printf("power: %.1f s, %.0f states/s, %u processes; %u violations\n", took_s,
	    (double)atomic_load(&shared->states) / took_s, o.jobs, n);
	return n == 0 ? 0 : 4;
}

static int show_one(struct disk *d)
{
	struct judge *j = judge_create(&reference);
	struct prints prints;
	struct choice *choices;
	const struct item *items;
	struct verdict v;
	uint64_t number, quota;
	char dir[PATH_MAX + 8], *end;
	uint32_t prefix = (uint32_t)strtoul(o.state, &end, 10);

	number = *end == '.' ? strtoull(end + 1, NULL, 10) : 0;
	if (*end != '.' || prefix == 0 || prefix > disk_ops(d) || o.keep == NULL) {
		fprintf(stderr, "power: --state PREFIX.NUMBER --keep DIR, PREFIX from 1 to %u\n", disk_ops(d));
		return 1;
	}
	quota = quota_of(d, prefix);
	while (disk_at(d) < prefix)
		disk_step(d);
	choices = calloc(disk_items(d, &items) + 1, sizeof(*choices));
	snprintf(dir, sizeof(dir), "%s/s", base);
	states_choose(d, o.seed, number, quota, choices);
	if (!make(d, number, choices, o.keep, &prints) || !make(d, number, choices, dir, &prints))
		return 1;
	printf("state %s, made in %s; not as the program did it:\n", o.state, o.keep);
	states_describe(d, choices);
	judge_state(j, dir, prefix, &prints, true, &v);
	printf("%s%s\n", v.good ? "good" : "violation: ", v.why);
	free(choices);
	judge_destroy(j);
	return v.good ? 0 : 4;
}

/* ---- main --------------------------------------------------------------------------- */

static bool read_options(int argc, char **argv)
{
	static const struct option options[] = {{"trace", 1, NULL, 't'}, {"sent", 1, NULL, 'w'}, {"data", 1, NULL, 'd'},
	    {"states", 1, NULL, 'n'}, {"seed", 1, NULL, 's'}, {"jobs", 1, NULL, 'j'}, {"stop", 0, NULL, 'x'},
	    {"state", 1, NULL, 'o'}, {"keep", 1, NULL, 'k'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't': o.trace = optarg; break;
		case 'w': o.sent = optarg; break;
		case 'd': o.data = optarg; break;
		case 'n': o.states = strtoull(optarg, NULL, 10); break;
		case 's': o.seed = strtoull(optarg, NULL, 10); break;
		case 'j': o.jobs = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'x': o.stop = true; break;
		case 'o': o.state = optarg; break;
		case 'k': o.keep = optarg; break;
		default: return false;
		}
	}
	return o.trace != NULL && o.sent != NULL && o.data != NULL && o.jobs >= 1 && o.jobs <= JOBS_MAX && o.states > 0;
}

/* What the service would log while it recovers is of no interest: the judge tells. */
static void say_nothing(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

int main(int argc, char **argv)
{
	char dir[PATH_MAX + 16];
	struct disk *d;
	int rc = 1;

	if (!read_options(argc, argv)) {
		fprintf(stderr, "power --trace FILE --sent DIR --data DIR [--states N] [--seed N] [--jobs N] [--stop]\n"
		    "      [--state PREFIX.NUMBER --keep DIR]\n");
		return 2;
	}
	snprintf(base, sizeof(base), "/dev/shm/lulab-power-%d", (int)getpid());
	snprintf(dir, sizeof(dir), "%s/reference", base);
	if (crypto_init() != 0 || mkdir(base, 0700) != 0 || mkdir(dir, 0700) != 0) {
		perror(base);
		return 1;
	}
	log_set_sink(say_nothing, NULL);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024); /* big zeroed tables come from the kernel, which zeroes what is touched */
	d = disk_open(o.trace);
	if (d != NULL && reference_load(&reference, o.trace, o.sent, o.data, dir)) {
		share(d);
		rc = o.state != NULL ? show_one(d) : enumerate(d);
	}
	tree_remove(base);
	return rc;
}
