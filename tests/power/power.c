/*
 * Power loss, enumerated: makes the states that a power cut may leave of a
 * recorded run, opens each as the service would, and judges it.
 *
 *     power --trace FILE --sent DIR --data DIR --states N --seed N [--jobs N] [--stop] [--from PREFIX] [--to PREFIX]
 *     power ... --state PREFIX.NUMBER --keep DIR
 *
 * --trace, --sent and --data are what recorder.c, the sender and the run left. --stop
 * ends at the first violation; --from and --to look at the share of the states that these prefixes have. --state makes one state again, leaves it in
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
#include <sys/prctl.h>
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
#include "store/log_guard.h"

#define JOBS_MAX 64
#define CHUNK 16 /* prefixes a worker takes at once */
#define KINDS_MAX 64
#define HANGS_AFTER_S 30
#define THOROUGH_EVERY 64 /* these cost ten times as much */
#define TRIES 3 /* as many as wanted, where many turn out to be known */

/* Violations that differ in numbers only are of one kind; the first one stands for all. */
struct kind {
	char words[640]; /* the reason without its numbers */
	char why[640];
	uint32_t prefix;
	uint64_t number;
	uint64_t after; /* states looked at before */
	uint64_t count;
};

/* Between the processes. */
struct shared {
	_Atomic uint32_t next_prefix;
	_Atomic uint64_t states, known, lost, opened, thorough;
	_Atomic uint64_t n_violations;
	_Atomic bool stop;
	atomic_flag kinds_busy; /* guards these two */
	unsigned n_kinds;
	struct kind kinds[KINDS_MAX];
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
	uint32_t from, to; /* prefixes */
	unsigned jobs;
	bool stop;
};

static struct options o = {.states = 50000, .seed = 1, .from = 1, .to = UINT32_MAX, .jobs = 2};
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

static void leave_out_numbers(char *ret, const char *why)
{
	const char *shm = strstr(why, base);

	for (; *why != '\0'; why++) {
		if (why == shm)
			why += strcspn(why, " ") - 1; /* the worker's directory has its number in it */
		else if (*why < '0' || *why > '9')
			*ret++ = *why;
	}
	*ret = '\0';
}

static void note_violation(uint32_t prefix, uint64_t number, const char *why)
{
	struct kind kind = {.prefix = prefix, .number = number, .after = atomic_load(&shared->states)};
	unsigned i = 0;

	atomic_fetch_add(&shared->n_violations, 1);
	if (o.stop)
		atomic_store(&shared->stop, true);
	snprintf(kind.why, sizeof(kind.why), "%s", why);
	leave_out_numbers(kind.words, kind.why);
	while (atomic_flag_test_and_set(&shared->kinds_busy))
		;
	while (i < shared->n_kinds && strcmp(shared->kinds[i].words, kind.words) != 0)
		i++;
	if (i == shared->n_kinds && i < KINDS_MAX)
		shared->kinds[shared->n_kinds++] = kind;
	if (i < KINDS_MAX)
		shared->kinds[i].count++;
	atomic_flag_clear(&shared->kinds_busy);
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

/* What lies in a worker's directory, file by file, since the last state; 0: opened, so anything. */
#define PLACES_MAX 128
struct place {
	uint64_t path, print; /* hash of the path, print of the content */
	unsigned part;        /* PART_*, or PART_MODELS + number of the read model */
	uint64_t built;       /* the last build that put it there */
};
enum { PART_LOG, PART_KEYS, PART_MODELS };

struct ground {
	struct place places[PLACES_MAX];
	unsigned n;
	uint64_t builds;
	struct prints prints; /* of the state being made */
};

static unsigned part_of(const char *path)
{
	if (strncmp(path, "/data/keys/", 11) == 0 || strncmp(path, "/data/root.key", 14) == 0)
		return PART_KEYS;
	for (unsigned i = 0; strncmp(path, "/data/read/", 11) == 0 && projections[i] != NULL && i < MODELS_MAX; i++)
		if (strncmp(path + 11, projections[i]->name, strlen(projections[i]->name)) == 0)
			return PART_MODELS + i;
	return PART_LOG;
}

static struct place *place_of(struct ground *g, const char *path)
{
	uint64_t hash = 1;
	unsigned i = 0;

	for (const char *c = path; *c != '\0'; c++)
		hash = mix(hash, (uint8_t)*c);
	while (i < g->n && g->places[i].path != hash)
		i++;
	if (i == g->n) {
		if (g->n == PLACES_MAX)
			abort();
		g->places[g->n++] = (struct place){.path = hash, .part = part_of(path)};
	}
	return &g->places[i];
}

static bool on_file(void *arg, const char *path, uint64_t print)
{
	struct ground *g = arg;
	struct place *p = place_of(g, path);
	bool same = p->print == print;

	if (p->part == PART_KEYS)
		g->prints.keys += mix(print, p->path);
	else if (p->part >= PART_MODELS)
		g->prints.models[p->part - PART_MODELS] += mix(print, p->path);
	p->print = print;
	p->built = g->builds;
	return same;
}

/* What the judge opened may have changed. */
static void forget_opened(struct ground *g, const struct verdict *v)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->places[i].part == PART_LOG || (v->opened >> (g->places[i].part - PART_KEYS) & 1) != 0)
			g->places[i].print = 0;
}

static bool make(struct disk *d, uint64_t number, const struct choice *choices, const char *dir, struct ground *g)
{
	uint64_t print;
	bool good;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		perror(dir);
		return false;
	}
	g->builds++;
	g->prints = (struct prints){0};
	good = disk_build(d, choices, mix(o.seed, number), dir, &print, on_file, g);
	for (unsigned i = 0; i < g->n; i++)
		if (g->places[i].built != g->builds)
			g->places[i].print = 0; /* this state does not have it */
	return good;
}

/* What the prefix may use of the states asked for. */
static uint64_t quota_of(struct disk *d, uint32_t prefix)
{
	const uint8_t *bytes;

	return 1 + o.states * states_weight(disk_op(d, prefix - 1, &bytes)) / total_weight;
}

static void look(struct disk *d, struct judge *j, struct worker_slot *slot, const char *dir, struct ground *ground,
    uint64_t first)
{
	uint32_t prefix = disk_at(d);
	uint64_t quota = quota_of(d, prefix), done = 0;
	const struct item *items;
	size_t n = disk_items(d, &items);
	struct choice *choices = calloc(n + 1, sizeof(*choices));

	for (uint64_t number = first; done < quota && number < TRIES * quota && !atomic_load(&shared->stop); number++) {
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
		if (!make(d, number, choices, dir, ground))
			exit(1);
		done++;
		thorough = atomic_fetch_add(&shared->states, 1) % THOROUGH_EVERY == 0;
		judge_state(j, dir, prefix, &ground->prints, thorough, &v);
		forget_opened(ground, &v);
		atomic_fetch_add(&shared->lost, v.models_lost);
		atomic_fetch_add(&shared->opened, (uint64_t)__builtin_popcount(v.opened));
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
	struct ground ground = {0};

	snprintf(dir, sizeof(dir), "%s/w%u", base, number);
	tree_remove(dir); /* of one that died */
	if (d == NULL)
		exit(1);
	while (!atomic_load(&shared->stop)) {
		if (at >= end) {
			at = atomic_fetch_add(&shared->next_prefix, CHUNK);
			end = at + CHUNK;
			atomic_store(&slot->chunk_end, end);
		}
		if (at > disk_ops(d) || at > o.to)
			break;
		while (disk_at(d) < at)
			disk_step(d);
		look(d, j, slot, dir, &ground, at == resume_prefix ? resume_number : 0);
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
	if (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		work(number, prefix, state, end);
	return pid;
}

/* Gives how many workers run on after one has ended. */
static unsigned on_end(pid_t *pids, unsigned i, int status, unsigned running)
{
	struct worker_slot *slot = &shared->workers[i];
	uint32_t prefix = atomic_load(&slot->prefix);
	bool guarded = WIFEXITED(status) && WEXITSTATUS(status) == LOG_STATUS_DAMAGED;
	char why[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		pids[i] = 0;
		return running - 1;
	}
	if ((WIFEXITED(status) && !guarded) || prefix == 0) {
		fprintf(stderr, "power: a worker failed\n");
		exit(1);
	}
	snprintf(why, sizeof(why), "%s", guarded ? "the log's guard ends the program" :
	    WTERMSIG(status) == SIGKILL ? "it hangs" : "the program dies of it");
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

	fprintf(stderr, "power: %" PRIu64 " states, %.0f/s, %" PRIu64 " violations\n", states, (double)states / took_s,
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
	atomic_store(&shared->next_prefix, o.from);
}

/* Ends early and tells what was found so far. */
static void on_signal(int signum)
{
	(void)signum;
	atomic_store(&shared->stop, true);
}

static int enumerate(struct disk *d)
{
	int64_t began_ms = now_ms();
	uint64_t n;
	double took_s;

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	run_workers(began_ms);
	took_s = (double)(now_ms() - began_ms) / 1000;
	n = atomic_load(&shared->n_violations);
	for (unsigned i = 0; i < shared->n_kinds; i++)
		printf("violation: state %u.%" PRIu64 " (after %" PRIu64 " others): %s (%" PRIu64 " like this)\n",
		    shared->kinds[i].prefix, shared->kinds[i].number, shared->kinds[i].after, shared->kinds[i].why,
		    shared->kinds[i].count);
	printf("power: seed %" PRIu64 ", %u operations, %" PRIu64 " events, %" PRIu64 " acknowledged, %zu checkpoints\n", o.seed,
	    disk_ops(d), reference.size, reference.acknowledged, reference.n_notes);
	printf("power: %" PRIu64 " states (%" PRIu64 " more had the same contents), %" PRIu64 " thoroughly; %" PRIu64
	    " openings of keyrings and read models, %" PRIu64 " of them lost and made anew\n",
	    atomic_load(&shared->states), atomic_load(&shared->known), atomic_load(&shared->thorough), atomic_load(&shared->opened),
	    atomic_load(&shared->lost));
	printf("power: %.1f s, %.0f states/s, %u processes; %" PRIu64 " violations\n", took_s,
	    (double)atomic_load(&shared->states) / took_s, o.jobs, n);
	if (n == 0 && atomic_load(&shared->stop))
		return 1; /* not all were looked at */
	return n == 0 ? 0 : 4;
}

static int show_one(struct disk *d)
{
	struct judge *j = judge_create(&reference);
	struct ground kept = {0}, judged = {0};
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
	if (!make(d, number, choices, o.keep, &kept) || !make(d, number, choices, dir, &judged))
		return 1;
	printf("state %s, made in %s; not as the program did it:\n", o.state, o.keep);
	states_describe(d, choices);
	judge_state(j, dir, prefix, &judged.prints, true, &v);
	printf("%s%s\n", v.good ? "good" : "violation: ", v.why);
	free(choices);
	judge_destroy(j);
	return v.good ? 0 : 4;
}

/* ---- main --------------------------------------------------------------------------- */

static bool read_options(int argc, char **argv)
{
	static const struct option options[] = {{"trace", 1, NULL, 't'}, {"sent", 1, NULL, 'w'}, {"data", 1, NULL, 'd'},
	    {"states", 1, NULL, 'n'}, {"from", 1, NULL, 'a'}, {"to", 1, NULL, 'b'}, {"seed", 1, NULL, 's'}, {"jobs", 1, NULL, 'j'}, {"stop", 0, NULL, 'x'},
	    {"state", 1, NULL, 'o'}, {"keep", 1, NULL, 'k'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't': o.trace = optarg; break;
		case 'w': o.sent = optarg; break;
		case 'd': o.data = optarg; break;
		case 'n': o.states = strtoull(optarg, NULL, 10); break;
		case 'a': o.from = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'b': o.to = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 's': o.seed = strtoull(optarg, NULL, 10); break;
		case 'j': o.jobs = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'x': o.stop = true; break;
		case 'o': o.state = optarg; break;
		case 'k': o.keep = optarg; break;
		default: return false;
		}
	}
	return o.trace != NULL && o.sent != NULL && o.data != NULL && o.jobs >= 1 && o.jobs <= JOBS_MAX && o.states > 0 && o.from > 0;
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
		fprintf(stderr, "power --trace FILE --sent DIR --data DIR [--states N] [--seed N] [--jobs N] [--stop] [--from PREFIX] [--to PREFIX]\n"
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
