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
 * Exit status: 0 no violation, 4 violations, 1 something else went wrong.
 */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "ground.h"
#include "run.h"
#include "states.h"
#include "workers.h"

static struct {
	const char *sent, *data, *state, *keep;
} o;
static struct run run = {.states = 50000, .seed = 1, .from = 1, .to = UINT32_MAX, .jobs = 2};

/* Ends early and tells what was found so far. */
static void on_signal(int signum)
{
	(void)signum;
	atomic_store(&run.found->stop, true);
}

static int enumerate(struct disk *d)
{
	int64_t began_us = clock_monotonic_us(&clock_system);

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	workers_run(&run);
	run_report(&run, d, clock_monotonic_us(&clock_system) - began_us);
	if (atomic_load(&run.found->n_violations) > 0)
		return 4;
	return atomic_load(&run.found->stop) ? 1 : 0; /* 1: not all were looked at */
}

/* The exit status. */
static int show(struct disk *d, uint64_t number, const struct choice *choices)
{
	char dir[PATH_MAX + 8];
	struct ground kept = {.dir = o.keep}, judged = {.dir = dir};
	uint64_t noise = mix(run.seed, number);
	struct judge *j;
	struct prints parts;
	struct verdict v;

	snprintf(dir, sizeof(dir), "%s/s", run.base);
	if (!ground_make(&kept, d, choices, noise) || !ground_make(&judged, d, choices, noise))
		return 1;
	printf("state %s, made in %s; not as the program did it:\n", o.state, o.keep);
	states_describe(d, choices);
	prints_of(d, choices, &parts);
	j = judge_create(&run.reference, run.known);
	judge_state(j, dir, disk_at(d), &parts, true, &v);
	printf("%s%s\n", v.good ? "good" : "violation: ", v.why);
	judge_destroy(j);
	return v.good ? 0 : 4;
}

static int show_one(struct disk *d)
{
	char *end;
	uint32_t prefix = (uint32_t)strtoul(o.state, &end, 10);
	uint64_t number = *end == '.' ? strtoull(end + 1, NULL, 10) : 0;
	struct choice *choices;
	int rc;

	if (*end != '.' || prefix == 0 || prefix > disk_ops(d) || o.keep == NULL) {
		fprintf(stderr, "power: --state PREFIX.NUMBER --keep DIR, PREFIX from 1 to %u\n", disk_ops(d));
		return 1;
	}
	disk_step_to(d, prefix);
	choices = disk_choices(d);
	states_choose(d, run.seed, number, choices);
	rc = show(d, number, choices);
	free(choices);
	return rc;
}

static bool read_options(int argc, char **argv)
{
	static const struct option options[] = {{"trace", 1, NULL, 't'}, {"sent", 1, NULL, 'w'}, {"data", 1, NULL, 'd'},
	    {"states", 1, NULL, 'n'}, {"from", 1, NULL, 'a'}, {"to", 1, NULL, 'b'}, {"seed", 1, NULL, 's'}, {"jobs", 1, NULL, 'j'}, {"stop", 0, NULL, 'x'},
	    {"state", 1, NULL, 'o'}, {"keep", 1, NULL, 'k'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't': run.trace = optarg; break;
		case 'w': o.sent = optarg; break;
		case 'd': o.data = optarg; break;
		case 'n': run.states = strtoull(optarg, NULL, 10); break;
		case 'a': run.from = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'b': run.to = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 's': run.seed = strtoull(optarg, NULL, 10); break;
		case 'j': run.jobs = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'x': run.stop_at_first = true; break;
		case 'o': o.state = optarg; break;
		case 'k': o.keep = optarg; break;
		default: return false;
		}
	}
	return run.trace != NULL && o.sent != NULL && o.data != NULL && run.jobs >= 1 && run.jobs <= JOBS_MAX && run.states > 0 &&
	    run.from > 0;
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
	snprintf(run.base, sizeof(run.base), "/dev/shm/lulab-power-%d", (int)getpid());
	snprintf(dir, sizeof(dir), "%s/reference", run.base);
	if (crypto_init() != 0 || mkdir(run.base, 0700) != 0 || mkdir(dir, 0700) != 0) {
		perror(run.base);
		return 1;
	}
	log_set_sink(say_nothing, NULL);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024); /* big zeroed tables come from the kernel, which zeroes what is touched */
	d = disk_open(run.trace);
	if (d != NULL && reference_load(&run.reference, run.trace, o.sent, o.data, dir)) {
		run_share(&run, d);
		rc = o.state != NULL ? show_one(d) : enumerate(d);
	}
	disk_close(d);
	tree_remove(run.base);
	return rc;
}
