/* See run.h. */
#include "run.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "states.h"

void *run_shared_memory(size_t len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

void run_share(struct run *run, const struct disk *d)
{
	run->weight = states_weight_from(d, 0);
	run->found = run_shared_memory(sizeof(*run->found));
	run->seen = memo_create(2 * (run->states + disk_ops(d)));
	run->known = memo_create(4 * run->states);
}

/* ---- violations ------------------------------------------------------------------- */

static void leave_out_numbers(char *ret, const char *why, const char *base)
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

void run_violation(struct run *run, uint32_t prefix, uint64_t number, const char *why)
{
	struct found *f = run->found;
	struct violation_kind kind = {.prefix = prefix, .number = number, .after = atomic_load(&f->states)};
	unsigned i = 0;

	atomic_fetch_add(&f->n_violations, 1);
	if (run->stop_at_first)
		atomic_store(&f->stop, true);
	snprintf(kind.why, sizeof(kind.why), "%s", why);
	leave_out_numbers(kind.words, kind.why, run->base);
	while (atomic_exchange(&f->kinds_busy, true))
		;
	while (i < f->n_kinds && strcmp(f->kinds[i].words, kind.words) != 0)
		i++;
	if (i == f->n_kinds && i < KINDS_MAX)
		f->kinds[f->n_kinds++] = kind;
	if (i < KINDS_MAX)
		f->kinds[i].count++;
	atomic_store(&f->kinds_busy, false);
}

/* ---- for people ------------------------------------------------------------------- */

static double per_second(uint64_t n, int64_t took_us)
{
	return (double)n * 1e6 / (double)took_us;
}

void run_report_progress(const struct run *run, int64_t took_us)
{
	uint64_t states = atomic_load(&run->found->states);

	fprintf(stderr, "power: %" PRIu64 " states, %.0f/s, %" PRIu64 " violations\n", states, per_second(states, took_us),
	    atomic_load(&run->found->n_violations));
}

static void report_kind(const struct violation_kind *k)
{
	printf("violation: state %u.", k->prefix);
	if (k->number == NO_NUMBER)
		printf("combined");
	else
		printf("%" PRIu64, k->number);
	printf(" (after %" PRIu64 " others): %s (%" PRIu64 " like this)\n", k->after, k->why, k->count);
}

void run_report(const struct run *run, const struct disk *d, int64_t took_us)
{
	const struct found *f = run->found;
	uint64_t states = atomic_load(&f->states), composed = atomic_load(&f->composed), combined = atomic_load(&f->combined);

	for (unsigned i = 0; i < f->n_kinds; i++)
		report_kind(&f->kinds[i]);
	printf("power: seed %" PRIu64 ", %u operations, %" PRIu64 " events, %" PRIu64 " acknowledged, %zu checkpoints\n",
	    run->seed, disk_ops(d), run->reference.size, run->reference.acknowledged, run->reference.n_notes);
	printf("power: %" PRIu64 " states: %" PRIu64 " opened, %" PRIu64 " thrown that were of known parts, %" PRIu64
	    " put together of known parts (%" PRIu64 " of them opened after all)\n", states, states - composed - combined,
	    composed, combined, atomic_load(&f->controlled));
	printf("power: opened: %" PRIu64 " logs, %" PRIu64 " keyrings and read models (%" PRIu64 " lost and made anew), %" PRIu64
	    " states thoroughly\n", atomic_load(&f->cores), atomic_load(&f->opened), atomic_load(&f->lost),
	    atomic_load(&f->thorough));
	printf("power: %.1f s, %.0f states/s, %u processes; %" PRIu64 " violations\n", (double)took_us / 1e6,
	    per_second(states, took_us), run->jobs, atomic_load(&f->n_violations));
}
