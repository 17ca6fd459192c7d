/* See states.h. */
#include "states.h"

#include <stdio.h>
#include <string.h>

#define FEW 4096      /* as many states are made one by one */
#define VARIANTS 8    /* of a file, for by_file() */
#define WINDOW 16     /* prefixes with the same variants of what does not change */
#define REBUILT_RARE 256
#define SCATTER 65537 /* a prime above it: the numbers from 0 on lead to each of them, the first ones all over */

struct dice {
	uint64_t state;
};

static uint64_t throw(struct dice *dice, uint64_t below)
{
	dice->state = mix(dice->state, 0x5bd1e995);
	return below == 0 ? 0 : dice->state % below;
}

uint64_t states_all(const struct item *items, size_t n)
{
	uint64_t all = 1;

	for (size_t i = 0; i < n; i++) {
		if (all > UINT64_MAX / (items[i].n_ways + 1))
			return UINT64_MAX;
		all *= items[i].n_ways + 1;
	}
	return all;
}

/* ---- ways to choose ------------------------------------------------------------ */

static void all_alike(const struct item *items, size_t n, bool done, struct choice *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = (struct choice){.way = done ? (uint16_t)items[i].n_ways : 0};
}

/* As the digits of a number. */
static void counted(const struct item *items, size_t n, uint64_t number, struct choice *ret)
{
	for (size_t i = 0; i < n; i++) {
		ret[i] = (struct choice){.way = (uint16_t)(number % (items[i].n_ways + 1))};
		number /= items[i].n_ways + 1;
	}
}

static void choose_one(const struct item *item, struct dice *dice, unsigned percent, struct choice *ret)
{
	*ret = (struct choice){0};
	if (throw(dice, 100) < percent)
		ret->way = (uint16_t)(item->n_ways - (throw(dice, 4) == 0 ? throw(dice, item->n_ways) : 0));
	else if (throw(dice, 4) == 0)
		ret->way = (uint16_t)throw(dice, item->n_ways + 1);
}

static unsigned loaded(struct dice *dice)
{
	static const unsigned percents[] = {2, 10, 50, 90, 98};

	return percents[throw(dice, 5)];
}

static void by_dice(const struct item *items, size_t n, struct dice *dice, struct choice *ret)
{
	unsigned percent = loaded(dice);

	for (size_t i = 0; i < n; i++)
		choose_one(&items[i], dice, percent, &ret[i]);
}

/*
 * Files of read models can be made again from the log, have most of the sectors and take longest to open: they get
 * fewer states of their own.
 */
static bool is_rebuilt(struct disk *d, const struct item *item)
{
	return strncmp(disk_file_name(d, item->file), "read/", 5) == 0;
}

static size_t end_of_file(const struct item *items, size_t n, size_t first)
{
	size_t end = first;

	while (end < n && items[end].file == items[first].file)
		end++;
	return end;
}

/* One file's turn: each file as likely as another, whatever it has. */
static size_t some_item(struct disk *d, const struct item *items, size_t n, struct dice *dice)
{
	size_t chosen = 0, weights = 0;

	for (size_t first = 0, end; first < n; first = end) {
		size_t weight = is_rebuilt(d, &items[first]) ? 1 : 16;

		end = end_of_file(items, n, first);
		weights += weight;
		if (throw(dice, weights) < weight)
			chosen = first + throw(dice, end - first);
	}
	return chosen;
}

/* One thing is not like the others, or a few neighbours are not. */
static void but_one(struct disk *d, const struct item *items, size_t n, struct dice *dice, struct choice *ret)
{
	bool done = throw(dice, 2) == 0;
	size_t first = some_item(d, items, n, dice), last = first + (throw(dice, 2) == 0 ? 1 : throw(dice, 16));

	all_alike(items, n, done, ret);
	for (size_t i = first; i < last && i < n; i++)
		ret[i].way = (uint16_t)(done ? throw(dice, items[i].n_ways) : 1 + throw(dice, items[i].n_ways));
}

static uint16_t done_before(struct disk *d, const struct item *items, size_t i, uint32_t moment)
{
	uint16_t way = 0;

	while (way < items[i].n_ways && disk_item_op(d, i, way) < moment)
		way++;
	return way;
}

/* Everything of the items from `first` to `end` before the moment of one of their changes, or with it. */
static void in_order(struct disk *d, size_t first, size_t end, struct dice *dice, struct choice *ret)
{
	const struct item *items;
	size_t some = first + throw(dice, end - first);
	uint32_t moment;

	disk_items(d, &items);
	moment = disk_item_op(d, some, (uint32_t)throw(dice, items[some].n_ways)) + (uint32_t)throw(dice, 2);
	for (size_t i = first; i < end; i++)
		ret[i] = (struct choice){.way = done_before(d, items, i, moment)};
}

/* Sectors of the file that could have got further were being written when the power went. */
static void tear_file(const struct item *items, size_t n, struct dice *dice, unsigned percent, struct choice *ret)
{
	for (size_t i = 0; i < n; i++)
		if (items[i].kind == ITEM_SECTOR && ret[i].way < items[i].n_ways && throw(dice, 100) < percent)
			ret[i].torn = (uint16_t)(1 + throw(dice, SECTOR_LEN - 1));
}

static void tear(struct disk *d, const struct item *items, size_t n, struct dice *dice, struct choice *ret)
{
	unsigned percent = throw(dice, 3) == 0 ? 100 : 5;

	for (size_t first = 0, end; first < n; first = end) {
		bool spared = throw(dice, is_rebuilt(d, &items[first]) ? REBUILT_RARE : 2) > 0;

		end = end_of_file(items, n, first);
		if (!spared)
			tear_file(items + first, end - first, dice, percent, ret + first);
	}
}

/* One of the VARIANTS of a file: by dice or up to a moment, or whole or without anything new; torn or not. */
static void variant(struct disk *d, const struct item *items, size_t first, size_t end, struct dice *dice, struct choice *ret)
{
	bool rebuilt = is_rebuilt(d, &items[first]);
	uint64_t way = throw(dice, rebuilt ? REBUILT_RARE : 4);

	if (way == 0)
		by_dice(items + first, end - first, dice, ret + first);
	else if (way == 1)
		in_order(d, first, end, dice, ret);
	else
		all_alike(items + first, end - first, way % 2 == 0, ret + first);
	if (throw(dice, rebuilt ? REBUILT_RARE : 4) == 0)
		tear_file(items + first, end - first, dice, throw(dice, 3) == 0 ? 100 : 5, ret + first);
}

/* Each file in some variant of its own: there are few of a file, and many ways to put those of all files together. */
static void by_file(struct disk *d, const struct item *items, size_t n, uint64_t seed, struct dice *dice, struct choice *ret)
{
	for (size_t first = 0, end; first < n; first = end) {
		struct dice own = {mix(mix(seed, items[first].file), throw(dice, VARIANTS))};

		end = end_of_file(items, n, first);
		variant(d, items, first, end, &own, ret);
	}
}

void states_choose(struct disk *d, uint64_t seed, uint64_t number, struct choice *choices)
{
	const struct item *items;
	size_t n = disk_items(d, &items);
	struct dice dice = {mix(mix(seed, disk_at(d)), number)};
	uint64_t all = states_all(items, n), way;

	if (n == 0)
		return;
	if (number <= STATE_ALL) {
		all_alike(items, n, number == STATE_ALL, choices);
		return;
	}
	if (all <= FEW && number - STATE_ALL - 1 < all) {
		counted(items, n, (number * SCATTER + seed) % all, choices);
		return;
	}
	/* The first two change everything, and nothing of it is known: they are as dear as they are thorough. */
	way = throw(&dice, 256);
	if (way < 2) {
		by_dice(items, n, &dice, choices);
	} else if (way < 4) {
		in_order(d, 0, n, &dice, choices);
	} else if (way < 36) {
		but_one(d, items, n, &dice, choices);
	} else {
		by_file(d, items, n, mix(seed, disk_at(d) / WINDOW), &dice, choices);
		return;
	}
	if (throw(&dice, 2) == 0)
		tear(d, items, n, &dice, choices);
}

/* ---- for people ------------------------------------------------------------------- */

void states_describe(struct disk *d, const struct choice *choices)
{
	const struct item *items;
	size_t n = disk_items(d, &items);

	for (size_t i = 0; i < n; i++) {
		const struct item *item = &items[i];
		const char *name = disk_file_name(d, item->file);

		if (choices[i].way == item->n_ways)
			continue;
		if (item->kind == ITEM_NAME)
			printf("  %s/: the change of names by operation %u has not happened\n", name, disk_item_op(d, i, 0));
		else
			printf("  %s: %s %u: %u of %u changes, the next by operation %u", name,
			    item->kind == ITEM_SIZE ? "size" : "sector", item->at, choices[i].way, item->n_ways,
			    disk_item_op(d, i, choices[i].way));
		if (item->kind == ITEM_SECTOR && choices[i].torn > 0)
			printf(", %u bytes of it", choices[i].torn);
		if (item->kind != ITEM_NAME)
			putchar('\n');
	}
}

unsigned states_weight(const struct trace_op *op)
{
	switch ((enum trace_kind)op->kind) {
	case TRACE_WRITE:
		return op->arg != 0 ? 8 : 1;
	case TRACE_START:
	case TRACE_MAPPED:
	case TRACE_ROOT:
		return 1;
	default:
		return 4;
	}
}

uint64_t states_weight_from(const struct disk *d, uint32_t from)
{
	const uint8_t *bytes;
	uint64_t weight = 0;

	for (uint32_t i = from; i < disk_ops(d); i++)
		weight += states_weight(disk_op(d, i, &bytes));
	return weight;
}
