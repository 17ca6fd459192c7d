/* See deliveries.h. */
#include "load/deliveries.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/log_format.h"

enum { SENT = 1, ACKED = 2, STORED = 4, WAITS_AGAIN = 8 };

#define RECENT 256
#define TRACE "\"trace_id\":\""
#define SEQUENCE "\"sequence\":\""

static uint64_t random_next(struct deliveries *d)
{
	uint64_t z = d->rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t random_below(struct deliveries *d, uint64_t n)
{
	return (uint32_t)(random_next(d) % n);
}

int deliveries_init(struct deliveries *d, uint64_t seed, uint32_t unique, uint32_t repeats)
{
	*d = (struct deliveries){.seed = seed, .rng = seed, .unique = unique, .repeats = repeats};
	d->order = calloc(unique, sizeof(*d->order));
	d->marks = calloc(unique, 1);
	d->again = calloc(unique, sizeof(*d->again));
	d->to_check = calloc(unique, sizeof(*d->to_check));
	if (d->order == NULL || d->marks == NULL || d->again == NULL || d->to_check == NULL) {
		deliveries_finish(d);
		return ERR_NOMEM;
	}
	for (uint32_t i = 0; i < unique; i++)
		d->order[i] = i;
	for (uint32_t i = unique - 1; i > 0; i--) {
		uint32_t j = random_below(d, (uint64_t)i + 1), other = d->order[j];

		d->order[j] = d->order[i];
		d->order[i] = other;
	}
	return 0;
}

void deliveries_finish(struct deliveries *d)
{
	free(d->order);
	free(d->marks);
	free(d->again);
	free(d->to_check);
	*d = (struct deliveries){0};
}

/* ---- what goes out ------------------------------------------------------- */

static void put_again(struct deliveries *d, uint32_t number)
{
	if (d->marks[number] & (ACKED | WAITS_AGAIN))
		return;
	d->marks[number] |= WAITS_AGAIN;
	d->again[(d->again_at + d->n_again++) % d->unique] = number;
}

static uint32_t take_again(struct deliveries *d)
{
	uint32_t number = d->again[d->again_at];

	d->again_at = (d->again_at + 1) % d->unique;
	d->n_again--;
	d->marks[number] &= (uint8_t)~WAITS_AGAIN;
	return number;
}

static uint32_t take_repeat(struct deliveries *d)
{
	uint32_t among = d->drawn < RECENT || random_next(d) % 2 == 0 ? d->drawn : RECENT;

	d->repeats--;
	return d->order[d->drawn - 1 - random_below(d, among)];
}

bool deliveries_next(struct deliveries *d, uint32_t *ret_number)
{
	uint64_t fresh = d->unique - d->drawn, left = fresh + d->repeats;

	if (d->n_again > 0 && (left == 0 || random_next(d) % 2 == 0)) {
		*ret_number = take_again(d);
	} else if (left == 0) {
		return false;
	} else if (d->drawn > 0 && random_next(d) % left >= fresh) {
		*ret_number = take_repeat(d);
	} else {
		*ret_number = d->order[d->drawn++];
	}
	d->marks[*ret_number] |= SENT;
	d->sent++;
	return true;
}

void deliveries_acked(struct deliveries *d, uint32_t number)
{
	d->answered++;
	d->repeats_of_stored += (d->marks[number] & STORED) != 0;
	if (d->marks[number] & ACKED)
		return;
	d->marks[number] |= ACKED;
	d->to_check[d->n_to_check++] = number;
	d->acked++;
}

void deliveries_unanswered(struct deliveries *d, uint32_t number)
{
	d->unanswered++;
	put_again(d, number);
}

void deliveries_refused(struct deliveries *d, uint32_t number)
{
	d->refused++;
	put_again(d, number);
}

bool deliveries_done(const struct deliveries *d)
{
	return d->drawn == d->unique && d->repeats == 0 && d->acked == d->unique;
}

/* ---- what the log holds --------------------------------------------------- */

static char why[256];

static bool breach(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool breach(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return false;
}

/* Reads the `digits` digits behind `name` in the entry; false when it does not have them. */
static bool read_digits(const char *entry, size_t len, const char *name, int base, size_t digits, uint64_t *ret)
{
	size_t name_len = strlen(name);
	const char *at = memmem(entry, len, name, name_len);
	char text[33];

	if (at == NULL || (size_t)(entry + len - at) < name_len + digits)
		return false;
	memcpy(text, at + name_len, digits);
	text[digits] = '\0';
	*ret = strtoull(text, NULL, base);
	return true;
}

/* The webhook whose trace id stands at `trace`: 16 hexadecimal digits of the seed, 16 of the number. */
static bool check_webhook(struct deliveries *d, const char *trace, size_t len)
{
	uint64_t seed, number;

	if (!read_digits(trace, len, "", 16, 16, &seed) || !read_digits(trace + 16, len - 16, "", 16, 16, &number) ||
	    seed != d->seed || number >= d->unique || !(d->marks[number] & SENT))
		return breach("position %" PRIu64 " holds a webhook that was never sent", d->position);
	if (d->marks[number] & STORED)
		return breach("webhook %" PRIu64 " is in the log twice, again at position %" PRIu64, number, d->position);
	d->marks[number] |= STORED;
	d->stored++;
	return true;
}

static bool check_record(struct deliveries *d, uint64_t position, const char *entry, size_t len)
{
	const char *trace;
	uint64_t sequence;

	if (position != d->position)
		return breach("position %" PRIu64 " is missing, %" PRIu64 " follows", d->position, position);
	if (!read_digits(entry, len, SEQUENCE, 10, 20, &sequence) || sequence != position)
		return breach("the record at position %" PRIu64 " says it is another", position);
	trace = memmem(entry, len, TRACE, strlen(TRACE));
	if (trace != NULL) {
		trace += strlen(TRACE);
		if ((size_t)(entry + len - trace) < 32)
			return breach("the record at position %" PRIu64 " is cut off", position);
		if (!check_webhook(d, trace, 32))
			return false;
	}
	d->position++;
	return true;
}

static bool check_records(struct deliveries *d, MDB_cursor *cursor)
{
	uint8_t place[8];
	MDB_val key = {sizeof(place), place}, value;
	int rc;

	put_be64(place, d->position);
	for (rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (key.mv_size != 8 || value.mv_size <= RECORD_HEADER_LEN)
			return breach("something that is no record follows position %" PRIu64, d->position);
		if (!check_record(d, get_be64(key.mv_data), (const char *)value.mv_data + RECORD_HEADER_LEN,
		        value.mv_size - RECORD_HEADER_LEN))
			return false;
	}
	return rc == MDB_NOTFOUND || breach("the log cannot be read: %s", mdb_strerror(rc));
}

/* Everything acknowledged since the last check must be there by now. */
static bool check_acked(struct deliveries *d)
{
	uint32_t lost = 0, first = 0;

	for (uint32_t i = 0; i < d->n_to_check; i++) {
		if (d->marks[d->to_check[i]] & STORED)
			continue;
		first = lost++ == 0 ? d->to_check[i] : first;
	}
	d->n_to_check = 0;
	return lost == 0 || breach("%u acknowledged webhooks are lost, the first is number %u", lost, first);
}

static int open_entries(const char *dir, MDB_env **ret_env, MDB_txn **ret_txn, MDB_cursor **ret_cursor)
{
	MDB_dbi entries;
	int rc = mdb_env_create(ret_env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(*ret_env, 8);
	if (rc == 0)
		rc = mdb_env_open(*ret_env, dir, MDB_RDONLY, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(*ret_env, NULL, MDB_RDONLY, ret_txn);
	if (rc == 0)
		rc = mdb_dbi_open(*ret_txn, "entries", 0, &entries);
	return rc != 0 ? rc : mdb_cursor_open(*ret_txn, entries, ret_cursor);
}

bool deliveries_check(struct deliveries *d, const char *dir, const char **ret_why)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	int rc = open_entries(dir, &env, &txn, &cursor);
	bool ok;

	if (rc == 0)
		ok = check_records(d, cursor) && check_acked(d);
	else if ((rc == ENOENT || rc == MDB_NOTFOUND) && d->position == 0) /* killed before there was a log */
		ok = check_acked(d);
	else
		ok = breach("the log cannot be opened: %s", mdb_strerror(rc));
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	*ret_why = why;
	return ok;
}
