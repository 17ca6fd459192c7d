/*
 * The model of a disk, on traces small enough to name every state they may
 * leave. A state is written as its files in the order of their names, each with a letter for
 * every sector, a dot for zeros: "a=AB t=C".
 */
#include "disk.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "lib/run.h"
#include "states.h"

#define STATES_MAX 64
#define ROOT 1 /* inode numbers */
#define A 2
#define T 3

struct step {
	enum trace_kind kind;
	uint64_t ino, offset, arg;
	const char *bytes; /* of a WRITE: a letter for each sector */
};

static const struct {
	const char *says;
	struct step steps[12];
	const char *states; /* all there may be, in order, between bars */
} cases[] = {
    {"a name may be lost until its directory is synced",
	{{TRACE_CREATE, A, ROOT, 0, "a"}},
	"|a="},
    {"and not after",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}},
	"a="},
    {"a name that is taken away may come back",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}, {TRACE_UNLINK, A, ROOT, 0, "a"}},
	"|a="},
    {"bytes are there from the end of a sync on; later ones may be",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}, {TRACE_WRITE, A, 0, 0, "A"},
	    {TRACE_BEGIN, A, 0, 8, ""}, {TRACE_END, 0, 0, 8, ""}, {TRACE_WRITE, A, 0, 0, "B"}},
	"a=A|a=B"},
    {"a sync covers what was written before it began",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}, {TRACE_WRITE, A, 0, 0, "A"},
	    {TRACE_BEGIN, A, 0, 8, ""}, {TRACE_WRITE, A, 512, 0, "B"}, {TRACE_END, 0, 0, 8, ""}},
	"a=A|a=A.|a=AB"},
    {"one that has not returned promises nothing",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}, {TRACE_WRITE, A, 0, 0, "A"},
	    {TRACE_BEGIN, A, 0, 8, ""}},
	"a=|a=.|a=A"},
    {"sectors of one write are each on their own",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}, {TRACE_WRITE, A, 0, 0, "AB"},
	    {TRACE_BEGIN, A, 0, 8, ""}, {TRACE_END, 0, 0, 8, ""}, {TRACE_WRITE, A, 0, 0, "CD"}},
	"a=AB|a=AD|a=CB|a=CD"},
    {"a write that syncs itself covers itself alone",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}, {TRACE_WRITE, A, 0, 0, "AB"},
	    {TRACE_BEGIN, A, 0, 8, ""}, {TRACE_END, 0, 0, 8, ""}, {TRACE_WRITE, A, 512, 0, "D"}, {TRACE_WRITE, A, 0, 9, "C"},
	    {TRACE_END, 0, 0, 9, ""}},
	"a=CB|a=CD"},
    {"a rename is one thing",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}, {TRACE_CREATE, T, ROOT, 0, "t"},
	    {TRACE_WRITE, T, 0, 0, "B"}, {TRACE_BEGIN, T, 0, 8, ""}, {TRACE_END, 0, 0, 8, ""}, {TRACE_RENAME, T, ROOT, ROOT, "t\na"}},
	"a=|a= t=B|a=B"},
    {"a renamed file may be empty where it was not synced",
	{{TRACE_CREATE, T, ROOT, 0, "t"}, {TRACE_WRITE, T, 0, 0, "B"}, {TRACE_RENAME, T, ROOT, ROOT, "t\na"},
	    {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}},
	"a=|a=.|a=B"},
    {"a file that was cut short may be long again",
	{{TRACE_CREATE, A, ROOT, 0, "a"}, {TRACE_BEGIN, ROOT, 0, 7, ""}, {TRACE_END, 0, 0, 7, ""}, {TRACE_WRITE, A, 0, 0, "A"},
	    {TRACE_BEGIN, A, 0, 8, ""}, {TRACE_END, 0, 0, 8, ""}, {TRACE_TRUNCATE, A, 0, 0, ""}},
	"a=|a=.|a=A"},
};

static char place[64], watched[96], trace[96];

static void setup(void)
{
	snprintf(place, sizeof(place), "/tmp/lulab-test-disk-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place));
	snprintf(watched, sizeof(watched), "%s/watched", place);
	snprintf(trace, sizeof(trace), "%s/trace", place);
	ck_assert_int_eq(dir_create(watched, 0700), 0);
}

static void teardown(void)
{
	tree_remove(place);
}

static void put_step(FILE *f, const struct step *s)
{
	static char sectors[4 * SECTOR_LEN];
	struct trace_op op = {.kind = s->kind, .ino = s->ino, .offset = s->offset, .arg = s->arg};
	size_t n = s->bytes == NULL ? 0 : strlen(s->bytes);

	op.len = (uint32_t)n;
	memcpy(sectors, s->bytes, n);
	if (s->kind == TRACE_RENAME)
		*(char *)memchr(sectors, '\n', n) = '\0';
	if (s->kind == TRACE_WRITE) {
		op.len *= SECTOR_LEN;
		for (size_t i = 0; i < n; i++)
			memset(sectors + i * SECTOR_LEN, s->bytes[i], SECTOR_LEN);
	}
	fwrite(&op, sizeof(op), 1, f);
	fwrite(sectors, op.len, 1, f);
}

static void write_trace(const struct step *steps)
{
	FILE *f = fopen(trace, "w");

	ck_assert_ptr_nonnull(f);
	put_step(f, &(struct step){TRACE_ROOT, ROOT, 0, 0, ""});
	while (steps->kind != 0)
		put_step(f, steps++);
	fclose(f);
}

/* As in `cases`, of what is below the directory. */
static void read_state(char *ret, size_t room)
{
	static const char *const names[] = {"a", "t"};
	size_t at = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < COUNT(names); i++) {
		char path[128], letter;
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", watched, names[i]);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		at += (size_t)snprintf(ret + at, room - at, "%s%s=", at > 0 ? " " : "", names[i]);
		for (long offset = 0; fseek(f, offset, SEEK_SET) == 0 && fread(&letter, 1, 1, f) == 1; offset += SECTOR_LEN)
			at += (size_t)snprintf(ret + at, room - at, "%c", letter == '\0' ? '.' : letter);
		fclose(f);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

START_TEST(leaves_these_states_and_no_others)
{
	char found[STATES_MAX][32] = {{0}}, all[1024] = "";
	struct choice choices[16];
	const struct item *items;
	struct disk *d;
	uint64_t n, print;
	size_t at = 0;

	write_trace(cases[_i].steps);
	d = disk_open(trace);
	ck_assert_ptr_nonnull(d);
	disk_step_to(d, disk_ops(d));
	n = disk_items(d, &items);
	n = states_all(items, n) + 2; /* the first two are among the others again */
	ck_assert_uint_le(n, STATES_MAX);
	for (uint64_t i = 0; i < n; i++) {
		states_choose(d, 1, i, choices);
		ck_assert(disk_build(d, choices, 0, watched, &print, NULL, NULL));
		read_state(found[i], sizeof(found[i]));
	}
	qsort(found, n, sizeof(found[0]), by_text);
	for (uint64_t i = 0; i < n; i++)
		if (i == 0 || strcmp(found[i], found[i - 1]) != 0)
			at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i > 0 ? "|" : "", found[i]);
	ck_assert_msg(strcmp(all, cases[_i].states) == 0, "%s: %s, not %s", cases[_i].says, all, cases[_i].states);
	disk_close(d);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("disk");
	TCase *tc = tcase_create("after a power cut");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, leaves_these_states_and_no_others, 0, (int)COUNT(cases));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
