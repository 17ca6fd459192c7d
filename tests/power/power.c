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
 * after state in a directory of its own in memory (/dev/shm) and judges it, where not every part of it is known to be
 * good (judge.h); and puts the parts it found together in ways that were not thrown. One that
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
#define NO_NUMBER UINT64_MAX /* a state that was put together */
#define KINDS_MAX 64
#define HANGS_AFTER_S 30
#define THOROUGH_EVERY 256 /* these cost ten times as much */
#define SAMPLED_OF 16 /* one state of so many is thrown by dice, where there is enough to put together for the others */
#define SAMPLED_MIN 8
#define VARIANTS_MAX 16
#define COMBINED_TRIES 4
#define CONTROL_EVERY 4096
#define IN_VAIN_MAX 48 /* states made up again one after the other: there are hardly others */
#define SPARE_TIMES 31 /* a prefix takes at most so many times its own share of what others could not use */

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
	_Atomic uint64_t states;   /* distinct, and judged */
	_Atomic uint64_t repeated; /* made up again, not looked at */
	_Atomic uint64_t composed; /* of `states`: every part was known */
	_Atomic uint64_t combined, controlled; /* of `states`: put together of known parts; made after all */
	_Atomic uint64_t cores, opened, lost, thorough; /* of the others: what was opened */
	_Atomic uint64_t spare; /* states that earlier prefixes could not use */
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
static struct memo *prints, *known;
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

/* ---- parts ------------------------------------------------------------------------ */

enum { PART_LOG, PART_INDEX, PART_SELF, PART_KEYS, PART_MODELS, PARTS_MAX = PART_MODELS + MODELS_MAX };

static bool begins(const char *path, const char *with)
{
	return strncmp(path, with, strlen(with)) == 0;
}

/* path: DIRECTORY/NAME. */
static unsigned part_of(const char *path)
{
	if (begins(path, "log/"))
		return PART_LOG;
	if (begins(path, "index/"))
		return PART_INDEX;
	if (begins(path, "keys/") || begins(path, "data/keys") || begins(path, "data/root.key"))
		return PART_KEYS;
	for (unsigned i = 0; begins(path, "read/") && projections[i] != NULL && i < MODELS_MAX; i++)
		if (begins(path + 5, projections[i]->name))
			return PART_MODELS + i;
	return PART_SELF;
}

static const char *last_two(const char *path)
{
	const char *at = path + strlen(path);

	for (unsigned slashes = 0; at > path; at--)
		if (at[-1] == '/' && ++slashes == 2)
			break;
	return at;
}

static uint64_t hash_of(const char *path)
{
	uint64_t hash = 1;

	for (const char *c = path; *c != '\0'; c++)
		hash = mix(hash, (uint8_t)*c);
	return hash;
}

static uint64_t *print_of_part(struct prints *p, unsigned part)
{
	return part == PART_LOG ? &p->log : part == PART_INDEX ? &p->index : part == PART_SELF ? &p->self :
	    part == PART_KEYS ? &p->keys : &p->models[part - PART_MODELS];
}

static bool on_part(void *arg, const char *path, uint64_t print)
{
	*print_of_part(arg, part_of(last_two(path))) += mix(print, hash_of(path));
	return false;
}

/* Of the whole, by its parts. */
static uint64_t print_of(struct prints *p)
{
	uint64_t print = 0;

	for (unsigned i = 0; i < PART_MODELS + reference.n_models; i++)
		print = mix(print, *print_of_part(p, i));
	return print;
}

/* ---- one state ------------------------------------------------------------------ */

/* What lies in a worker's directory, file by file, since the last state; 0: opened, so anything. */
#define PLACES_MAX 128
struct place {
	uint64_t path, print; /* hash of the path, print of the content */
	unsigned part;        /* PART_*, or PART_MODELS + number of the read model */
	uint64_t built;       /* the last build that put it there */
};
struct ground {
	struct place places[PLACES_MAX];
	unsigned n;
	uint64_t builds;
};

static struct place *place_of(struct ground *g, const char *path)
{
	uint64_t hash = hash_of(path);
	unsigned i = 0;

	while (i < g->n && g->places[i].path != hash)
		i++;
	if (i == g->n) {
		if (g->n == PLACES_MAX)
			abort();
		g->places[g->n++] = (struct place){.path = hash, .part = part_of(last_two(path))};
	}
	return &g->places[i];
}

static bool on_file(void *arg, const char *path, uint64_t print)
{
	struct ground *g = arg;
	struct place *p = place_of(g, path);
	bool same = p->print == print;

	p->print = print;
	p->built = g->builds;
	return same;
}

/* What the judge opened may have changed. */
static void forget_opened(struct ground *g, const struct verdict *v)
{
	for (unsigned i = 0; i < g->n; i++)
		if (g->places[i].part < PART_KEYS || (v->opened >> (g->places[i].part - PART_KEYS) & 1) != 0)
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
	good = disk_build(d, choices, mix(o.seed, number), dir, &print, on_file, g);
	for (unsigned i = 0; i < g->n; i++)
		if (g->places[i].built != g->builds)
			g->places[i].print = 0; /* this state does not have it */
	return good;
}

/* What the prefix may use of the states asked for, with some of what others left. */
static uint64_t quota_of(struct disk *d, uint32_t prefix)
{
	const uint8_t *bytes;
	uint64_t quota = 1 + o.states * states_weight(disk_op(d, prefix - 1, &bytes)) / total_weight;
	uint64_t spare = atomic_load(&shared->spare), more = spare < quota * SPARE_TIMES ? spare : quota * SPARE_TIMES;

	if (more > 0 && atomic_compare_exchange_strong(&shared->spare, &spare, spare - more))
		quota += more;
	return quota;
}

/* What is promised differs between moments: a state after another one of these is another. */
static uint64_t moment_of(uint32_t prefix)
{
	return 2 * reference.owed[prefix] + (prefix > reference.first_answer);
}

static bool judge_made(struct disk *d, struct judge *j, uint64_t number, const struct choice *choices, const char *dir,
    struct ground *ground, const struct prints *parts, bool thorough)
{
	uint32_t prefix = disk_at(d);
	struct verdict v;

	if (!make(d, number, choices, dir, ground))
		exit(1);
	judge_state(j, dir, prefix, parts, thorough, &v);
	forget_opened(ground, &v);
	atomic_fetch_add(&shared->lost, v.models_lost);
	atomic_fetch_add(&shared->cores, v.core);
	atomic_fetch_add(&shared->opened, (uint64_t)__builtin_popcount(v.opened));
	atomic_fetch_add(&shared->thorough, thorough);
	if (!v.good)
		note_violation(prefix, number, v.why);
	return v.good;
}

/*
 * Variants of each part at this prefix, from states that were found good. As every item is about one part, any of one
 * with any of another is a state that may be on the disk.
 */
struct variants {
	size_t n_items;
	struct choice *choices[PARTS_MAX][VARIANTS_MAX];
	uint64_t prints[PARTS_MAX][VARIANTS_MAX];
	unsigned n[PARTS_MAX];
	unsigned *part_of_item;
};

static void variants_begin(struct variants *v, struct disk *d, size_t n_items)
{
	memset(v->n, 0, sizeof(v->n));
	v->n_items = n_items;
	v->part_of_item = realloc(v->part_of_item, (n_items + 1) * sizeof(*v->part_of_item));
	for (size_t i = 0; i < n_items; i++)
		v->part_of_item[i] = part_of(disk_item_name(d, i));
}

static void variants_add(struct variants *v, struct prints *parts, const struct choice *choices)
{
	for (unsigned part = 0; part < PART_MODELS + reference.n_models; part++) {
		uint64_t print = *print_of_part(parts, part);
		unsigned i = 0;

		while (i < v->n[part] && v->prints[part][i] != print)
			i++;
		if (i < v->n[part] || i == VARIANTS_MAX)
			continue;
		v->prints[part][i] = print;
		v->choices[part][i] = realloc(v->choices[part][i], (v->n_items + 1) * sizeof(*choices));
		memcpy(v->choices[part][i], choices, v->n_items * sizeof(*choices));
		v->n[part]++;
	}
}

/* Combination `number` of them. */
static void variants_combine(const struct variants *v, uint64_t number, unsigned which[PARTS_MAX], struct prints *ret)
{
	*ret = (struct prints){0};
	for (unsigned part = 0; part < PART_MODELS + reference.n_models; part++) {
		which[part] = (unsigned)(number % v->n[part]);
		number /= v->n[part];
		*print_of_part(ret, part) = v->prints[part][which[part]];
	}
}

static uint64_t variants_all(const struct variants *v)
{
	uint64_t all = 1;

	for (unsigned part = 0; part < PART_MODELS + reference.n_models; part++)
		all *= v->n[part];
	return all;
}

/* One of many: made after all, to see that the whole is as good as its parts. */
static void control(struct disk *d, struct judge *j, const struct variants *v, const unsigned which[PARTS_MAX],
    struct prints *parts, struct choice *choices, const char *dir, struct ground *ground)
{
	struct prints again = {0};
	uint64_t print;

	for (size_t i = 0; i < v->n_items; i++)
		choices[i] = v->choices[v->part_of_item[i]][which[v->part_of_item[i]]][i];
	disk_build(d, choices, 0, NULL, &print, on_part, &again);
	if (print_of(&again) != print_of(parts))
		note_violation(disk_at(d), NO_NUMBER, "a state is not what its parts are: the instrument is wrong");
	judge_made(d, j, NO_NUMBER, choices, dir, ground, parts, true);
	atomic_fetch_add(&shared->controlled, 1);
}

/* Puts known parts together that were not seen together. */
static void combine(struct disk *d, struct judge *j, const struct variants *v, uint64_t quota, struct choice *choices,
    const char *dir, struct ground *ground)
{
	uint32_t prefix = disk_at(d);
	uint64_t all = variants_all(v), done = 0;

	for (uint64_t number = 0; number < all && number < COMBINED_TRIES * quota && done < quota && !atomic_load(&shared->stop);
	     number++) {
		unsigned which[PARTS_MAX];
		struct prints parts;

		variants_combine(v, mix(o.seed, number) % all, which, &parts);
		if (!judge_known(j, prefix, &parts) || !memo_is_new(prints, mix(print_of(&parts), moment_of(prefix))))
			continue;
		done++;
		if (atomic_fetch_add(&shared->combined, 1) % CONTROL_EVERY == 0)
			control(d, j, v, which, &parts, choices, dir, ground);
	}
	atomic_fetch_add(&shared->states, done);
	atomic_fetch_add(&shared->spare, quota - done);
}

static uint64_t sampled_of(uint64_t quota)
{
	uint64_t least = quota < SAMPLED_MIN ? quota : SAMPLED_MIN;

	return quota / SAMPLED_OF > least ? quota / SAMPLED_OF : least;
}

static void look(struct disk *d, struct judge *j, struct worker_slot *slot, const char *dir, struct ground *ground,
    uint64_t first)
{
	static struct variants variants;
	uint32_t prefix = disk_at(d);
	uint64_t quota = quota_of(d, prefix), sampled = sampled_of(quota), done = 0, in_vain = 0;
	const struct item *items;
	size_t n = disk_items(d, &items);
	struct choice *choices = calloc(n + 1, sizeof(*choices));

	variants_begin(&variants, d, n);
	for (uint64_t number = first; done < sampled && in_vain < IN_VAIN_MAX && !atomic_load(&shared->stop); number++) {
		struct prints parts = {0};
		uint64_t print;
		bool thorough, good = true;

		atomic_store(&slot->number, number);
		atomic_store(&slot->since_s, now_ms() / 1000);
		atomic_store(&slot->prefix, prefix);
		states_choose(d, o.seed, number, choices);
		disk_build(d, choices, 0, NULL, &print, on_part, &parts);
		if (!memo_is_new(prints, mix(print_of(&parts), moment_of(prefix)))) {
			atomic_fetch_add(&shared->repeated, 1);
			in_vain++;
			if (judge_known(j, prefix, &parts))
				variants_add(&variants, &parts, choices);
			continue;
		}
		in_vain = 0;
		done++;
		thorough = atomic_fetch_add(&shared->states, 1) % THOROUGH_EVERY == 0;
		if (!thorough && judge_known(j, prefix, &parts))
			atomic_fetch_add(&shared->composed, 1);
		else
			good = judge_made(d, j, number, choices, dir, ground, &parts, thorough);
		if (good)
			variants_add(&variants, &parts, choices);
	}
	if (quota > done && variants.n[0] > 0 && disk_dirs_settled(d))
		combine(d, j, &variants, quota - done, choices, dir, ground);
	else
		atomic_fetch_add(&shared->spare, quota - done);
	atomic_store(&slot->prefix, 0);
	free(choices);
}

/* ---- workers ---------------------------------------------------------------------- */

/* resume: the state a worker before this one died of. */
static void work(unsigned number, uint32_t resume_prefix, uint64_t resume_number, uint32_t resume_end)
{
	struct worker_slot *slot = &shared->workers[number];
	struct disk *d = disk_open(o.trace);
	struct judge *j = judge_create(&reference, known);
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
	const uint8_t *bytes;

	for (uint32_t i = 0; i < disk_ops(d); i++)
		total_weight += states_weight(disk_op(d, i, &bytes));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	prints = memo_create(2 * (o.states + disk_ops(d)));
	known = memo_create(4 * o.states);
	atomic_store(&shared->next_prefix, o.from);
}

/* Ends early and tells what was found so far. */
static void on_signal(int signum)
{
	(void)signum;
	atomic_store(&shared->stop, true);
}

static void report_kind(const struct kind *k)
{
	printf("violation: state %u.", k->prefix);
	if (k->number == NO_NUMBER)
		printf("combined");
	else
		printf("%" PRIu64, k->number);
	printf(" (after %" PRIu64 " others): %s (%" PRIu64 " like this)\n", k->after, k->why, k->count);
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
		report_kind(&shared->kinds[i]);
	printf("power: seed %" PRIu64 ", %u operations, %" PRIu64 " events, %" PRIu64 " acknowledged, %zu checkpoints\n", o.seed,
	    disk_ops(d), reference.size, reference.acknowledged, reference.n_notes);
	printf("power: %" PRIu64 " states: %" PRIu64 " opened, %" PRIu64 " thrown that were of known parts, %" PRIu64
	    " put together of known parts (%" PRIu64 " of them opened after all)\n", atomic_load(&shared->states),
	    atomic_load(&shared->states) - atomic_load(&shared->composed) - atomic_load(&shared->combined),
	    atomic_load(&shared->composed), atomic_load(&shared->combined), atomic_load(&shared->controlled));
	printf("power: opened: %" PRIu64 " logs, %" PRIu64 " keyrings and read models (%" PRIu64 " lost and made anew), %" PRIu64
	    " states thoroughly\n", atomic_load(&shared->cores), atomic_load(&shared->opened), atomic_load(&shared->lost),
	    atomic_load(&shared->thorough));
	printf("power: %.1f s, %.0f states/s, %u processes; %" PRIu64 " violations\n", took_s,
	    (double)atomic_load(&shared->states) / took_s, o.jobs, n);
	if (n == 0 && atomic_load(&shared->stop))
		return 1; /* not all were looked at */
	return n == 0 ? 0 : 4;
}

static int show_one(struct disk *d)
{
	struct judge *j = judge_create(&reference, known);
	struct ground kept = {0}, judged = {0};
	struct choice *choices;
	const struct item *items;
	struct prints parts = {0};
	struct verdict v;
	uint64_t number, print;
	char dir[PATH_MAX + 8], *end;
	uint32_t prefix = (uint32_t)strtoul(o.state, &end, 10);

	number = *end == '.' ? strtoull(end + 1, NULL, 10) : 0;
	if (*end != '.' || prefix == 0 || prefix > disk_ops(d) || o.keep == NULL) {
		fprintf(stderr, "power: --state PREFIX.NUMBER --keep DIR, PREFIX from 1 to %u\n", disk_ops(d));
		return 1;
	}
	while (disk_at(d) < prefix)
		disk_step(d);
	choices = calloc(disk_items(d, &items) + 1, sizeof(*choices));
	snprintf(dir, sizeof(dir), "%s/s", base);
	states_choose(d, o.seed, number, choices);
	disk_build(d, choices, 0, NULL, &print, on_part, &parts);
	if (!make(d, number, choices, o.keep, &kept) || !make(d, number, choices, dir, &judged))
		return 1;
	printf("state %s, made in %s; not as the program did it:\n", o.state, o.keep);
	states_describe(d, choices);
	judge_state(j, dir, prefix, &parts, true, &v);
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
	disk_close(d);
	tree_remove(base);
	return rc;
}
