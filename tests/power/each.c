/*
 * Makes the states that a power cut may leave of a recorded run, one after the other, for whoever judges
 * them: files.py, which runs the commands that are for such files.
 *
 *     each --trace FILE --place DIR --states N --seed N [--from PREFIX]
 *
 * In DIR lies the state at hand, when a line says so: "PREFIX.NUMBER DONE", DONE being how
 * many of the recorded commands had ended well by then (recorder.c, POWER_EXIT).
 * The next one is made when a line has come back. At last: "end".
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "memo.h"
#include "states.h"

#define IN_VAIN_MAX 16 /* states made up again one after the other: there are hardly others */
#define EXIT_WELL "exit 0"

static struct {
	const char *trace, *place;
	uint64_t states, seed;
	uint32_t from;
} o = {.states = 100, .seed = 1, .from = 1};

static bool read_options(int argc, char **argv)
{
	static const struct option options[] = {{"trace", 1, NULL, 't'}, {"place", 1, NULL, 'p'}, {"states", 1, NULL, 'n'},
	    {"seed", 1, NULL, 's'}, {"from", 1, NULL, 'a'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't': o.trace = optarg; break;
		case 'p': o.place = optarg; break;
		case 'n': o.states = strtoull(optarg, NULL, 10); break;
		case 's': o.seed = strtoull(optarg, NULL, 10); break;
		case 'a': o.from = (uint32_t)strtoul(optarg, NULL, 10); break;
		default: return false;
		}
	}
	return o.trace != NULL && o.place != NULL && o.states > 0 && o.from > 0;
}

static bool ends_well(struct disk *d, uint32_t op)
{
	const uint8_t *bytes;
	const struct trace_op *t = disk_op(d, op, &bytes);

	return t->kind == TRACE_ANSWER && t->len == sizeof(EXIT_WELL) - 1 && memcmp(bytes, EXIT_WELL, t->len) == 0;
}

/* False when nobody listens any more. */
static bool hand_over(struct disk *d, uint64_t number, unsigned done, const struct choice *choices)
{
	char line[16];
	uint64_t print;

	if (tree_remove(o.place) != 0 || mkdir(o.place, 0700) != 0 ||
	    !disk_build(d, choices, mix(o.seed, number), o.place, &print, NULL, NULL))
		return false;
	printf("%u.%" PRIu64 " %u\n", disk_at(d), number, done);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) != NULL;
}

static bool look(struct disk *d, struct memo *seen, unsigned done, uint64_t quota)
{
	struct choice *choices = disk_choices(d);
	bool good = true;

	for (uint64_t number = 0, in_vain = 0; good && quota > 0 && in_vain < IN_VAIN_MAX; number++) {
		uint64_t print;

		states_choose(d, o.seed, number, choices);
		disk_build(d, choices, 0, NULL, &print, NULL, NULL);
		if (!memo_is_new(seen, mix(print, done))) {
			in_vain++;
			continue;
		}
		in_vain = 0;
		quota--;
		good = hand_over(d, number, done, choices);
	}
	free(choices);
	return good;
}

int main(int argc, char **argv)
{
	struct memo *seen;
	struct disk *d;
	uint64_t total, credit = 0; /* credit: of states, times total */
	unsigned done = 0;
	const uint8_t *bytes;
	bool good = true;

	if (!read_options(argc, argv)) {
		fprintf(stderr, "each --trace FILE --place DIR [--states N] [--seed N] [--from PREFIX]\n");
		return 2;
	}
	d = disk_open(o.trace);
	if (d == NULL)
		return 1;
	total = states_weight_from(d, o.from - 1);
	seen = memo_create(4 * (o.states + disk_ops(d)));
	while (good && disk_at(d) < disk_ops(d)) {
		done += ends_well(d, disk_at(d));
		disk_step(d);
		if (disk_at(d) < o.from)
			continue;
		credit += o.states * states_weight(disk_op(d, disk_at(d) - 1, &bytes));
		good = look(d, seen, done, credit / total);
		credit %= total;
	}
	disk_close(d);
	tree_remove(o.place);
	printf("end\n");
	return good ? 0 : 1;
}
