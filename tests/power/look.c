/* See look.h. */
#include "look.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "states.h"

#define THOROUGH_EVERY 256 /* these cost ten times as much */
#define SAMPLED_OF 16 /* one state of so many is thrown by dice, where there is enough to put together for the others */
#define SAMPLED_MIN 8
#define COMBINED_TRIES 4
#define CONTROL_EVERY 4096
#define IN_VAIN_MAX 48 /* states made up again one after the other: there are hardly others */
#define SPARE_TIMES 31 /* a prefix takes at most so many times its own share of what others could not use */

/* What the prefix may use of the states asked for, with some of what others left. */
static uint64_t quota_of(struct run *run, struct disk *d)
{
	const uint8_t *bytes;
	uint64_t quota = 1 + run->states * states_weight(disk_op(d, disk_at(d) - 1, &bytes)) / run->weight;
	uint64_t spare = atomic_load(&run->found->spare), more = spare < quota * SPARE_TIMES ? spare : quota * SPARE_TIMES;

	if (more > 0 && atomic_compare_exchange_strong(&run->found->spare, &spare, spare - more))
		quota += more;
	return quota;
}

static uint64_t sampled_of(uint64_t quota)
{
	uint64_t least = quota < SAMPLED_MIN ? quota : SAMPLED_MIN;

	return quota / SAMPLED_OF > least ? quota / SAMPLED_OF : least;
}

/* What is promised differs between moments: a state after another one of these is another. */
static bool is_new(struct look *l, struct prints *parts)
{
	const struct reference *r = &l->run->reference;
	uint32_t prefix = disk_at(l->disk);
	uint64_t moment = 2 * r->owed[prefix] + (prefix > r->first_answer);

	return memo_is_new(l->run->seen, mix(prints_whole(parts), moment));
}

static bool judge_made(struct look *l, uint64_t number, const struct prints *parts, bool thorough)
{
	struct found *f = l->run->found;
	uint32_t prefix = disk_at(l->disk);
	struct verdict v;

	if (!ground_make(&l->ground, l->disk, l->choices, mix(l->run->seed, number)))
		exit(1);
	judge_state(l->judge, l->ground.dir, prefix, parts, thorough, &v);
	ground_opened(&l->ground, &v);
	atomic_fetch_add(&f->lost, v.models_lost);
	atomic_fetch_add(&f->cores, v.core);
	atomic_fetch_add(&f->opened, (uint64_t)__builtin_popcount(v.opened));
	atomic_fetch_add(&f->thorough, thorough);
	if (!v.good)
		run_violation(l->run, prefix, number, v.why);
	return v.good;
}

/* ---- put together ----------------------------------------------------------------- */

/* One of many: made after all, to see that the whole is as good as its parts. */
static void control(struct look *l, const unsigned which[PARTS_MAX], struct prints *parts)
{
	struct prints again;

	variants_choose(&l->variants, which, l->choices);
	prints_of(l->disk, l->choices, &again);
	if (prints_whole(&again) != prints_whole(parts))
		run_violation(l->run, disk_at(l->disk), NO_NUMBER, "a state is not what its parts are: the instrument is wrong");
	judge_made(l, NO_NUMBER, parts, true);
	atomic_fetch_add(&l->run->found->controlled, 1);
}

/* Known parts that were not seen together. */
static void combine(struct look *l, uint64_t quota)
{
	struct found *f = l->run->found;
	uint64_t all = variants_all(&l->variants), done = 0;

	for (uint64_t number = 0; number < all && number < COMBINED_TRIES * quota && done < quota && !atomic_load(&f->stop);
	     number++) {
		unsigned which[PARTS_MAX];
		struct prints parts;

		variants_combine(&l->variants, mix(l->run->seed, number) % all, which, &parts);
		if (!judge_known(l->judge, disk_at(l->disk), &parts) || !is_new(l, &parts))
			continue;
		done++;
		if (atomic_fetch_add(&f->combined, 1) % CONTROL_EVERY == 0)
			control(l, which, &parts);
	}
	atomic_fetch_add(&f->states, done);
	atomic_fetch_add(&f->spare, quota - done);
}

/* ---- thrown ----------------------------------------------------------------------- */

static void note_where(struct look *l, uint64_t number)
{
	atomic_store(&l->at->number, number);
	atomic_store(&l->at->since_us, clock_monotonic_us(&clock_system));
	atomic_store(&l->at->prefix, disk_at(l->disk));
}

/* False when it was looked at before. */
static bool look_at(struct look *l, uint64_t number)
{
	struct found *f = l->run->found;
	uint32_t prefix = disk_at(l->disk);
	struct prints parts;
	bool thorough, good = true;

	states_choose(l->disk, l->run->seed, number, l->choices);
	prints_of(l->disk, l->choices, &parts);
	if (!is_new(l, &parts)) {
		atomic_fetch_add(&f->repeated, 1);
		if (judge_known(l->judge, prefix, &parts))
			variants_add(&l->variants, &parts, l->choices);
		return false;
	}
	thorough = atomic_fetch_add(&f->states, 1) % THOROUGH_EVERY == 0;
	if (!thorough && judge_known(l->judge, prefix, &parts))
		atomic_fetch_add(&f->composed, 1);
	else
		good = judge_made(l, number, &parts, thorough);
	if (good)
		variants_add(&l->variants, &parts, l->choices);
	return true;
}

void look_at_states(struct look *l, uint64_t first)
{
	struct found *f = l->run->found;
	uint64_t quota = quota_of(l->run, l->disk), sampled = sampled_of(quota), done = 0, in_vain = 0;

	l->choices = disk_choices(l->disk);
	variants_begin(&l->variants, l->disk);
	for (uint64_t number = first; done < sampled && in_vain < IN_VAIN_MAX && !atomic_load(&f->stop); number++) {
		note_where(l, number);
		if (look_at(l, number)) {
			done++;
			in_vain = 0;
		} else {
			in_vain++;
		}
	}
	if (quota > done && l->variants.n[0] > 0 && disk_dirs_settled(l->disk))
		combine(l, quota - done);
	else
		atomic_fetch_add(&f->spare, quota - done);
	atomic_store(&l->at->prefix, 0);
	free(l->choices);
}
