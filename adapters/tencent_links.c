/*
 * Whose account somebody in a meeting is (functional-spec 7.8): the vendor's list has a hash of each person's
 * telephone number, salted with our SecretId, and accounts have numbers whose holders proved that they are theirs. Where the two
 * agree the identity is linked. What a person linked or unlinked stays as they left it.
 */
#include "tencent_out.h"

#include <stdlib.h>

#include "app/erase.h"
#include "app/fact.h"
#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "store/query.h"

#define ACCOUNTS_PAGE 1000
#define HASH_HEX (2 * SHA256_LEN)

/* What the systems before us saw for people without a number, under a SecretId of theirs. */
#define NO_NUMBER "df363d826259f591c0f02ce0be670eee8785eaa0477cf152944af46e008a3086"

static void hash_of(const struct tencent_rest *rest, struct slice number, char ret[HASH_HEX + 1])
{
	struct slice parts[] = {number, SLICE("/"), rest->keys.secret_id};
	uint8_t hash[SHA256_LEN];

	sha256(hash, parts, 3);
	hex_encode(ret, hash, sizeof(hash));
}

/* ---- those in the meeting who have a number ------------------------------------------------ */

struct callers {
	const struct tencent_participant **items;
	size_t n;
};

static int by_hash(const void *a, const void *b)
{
	const struct tencent_participant *const *x = a, *const *y = b;

	return slice_cmp((*x)->phone_hash, (*y)->phone_hash);
}

static int callers_of(struct effect_call *call, const struct tencent_participant *items, size_t n, struct callers *ret)
{
	const struct tencent_out *t = call->state;
	char none[HASH_HEX + 1];

	hash_of(&t->rest, SLICE(""), none);
	*ret = (struct callers){.items = arena_calloc(call->arena, n + 1, sizeof(*ret->items))};
	if (ret->items == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		if (items[i].phone_hash.len == HASH_HEX && !slice_is(items[i].phone_hash, none) &&
		    !slice_is(items[i].phone_hash, NO_NUMBER))
			ret->items[ret->n++] = &items[i];
	qsort(ret->items, ret->n, sizeof(*ret->items), by_hash);
	return 0;
}

static const struct tencent_participant *find(const struct callers *callers, const char *hash)
{
	struct tencent_participant sought = {.phone_hash = slice_of(hash, HASH_HEX)};
	const struct tencent_participant *key = &sought, **found =
	    bsearch(&key, callers->items, callers->n, sizeof(*callers->items), by_hash);

	return found == NULL ? NULL : *found;
}

/* ---- linking ---------------------------------------------------------------------------------- */

static int link_identity(struct effect_call *call, struct slice meeting_id, const struct tencent_participant *p,
    struct slice user_id)
{
	const struct tencent_out *t = call->state;
	struct event_person person = {.userid = p->userid, .open_id = p->open_id, .uuid = p->uuid};
	struct event_identity_linked data = {.user_id = user_id};
	struct event_subject subject;
	struct slice kind, identity, erased;
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	struct fact f;
	int rc;

	if (!tencent_person_identity(&person, meeting_id, call->arena, &kind, &identity))
		return 0; /* known in this meeting alone */
	rc = erase_find(t->app, kind, identity, p->join_ms, call->arena, &erased);
	if (rc != 0 || erased.len > 0)
		return rc;
	fact_begin(&f, t->app, TENCENT_OUT_SOURCE, call->cause, call->arena);
	rc = fact_subject(&f, NULL, kind, identity, &subject);
	data.identity_id = subject.id;
	f.meta.expect = EXPECT_NONE; /* nobody has said anything about it yet */
	if (rc == 0)
		rc = fact_draft(&f, EVENT_IDENTITY_LINKED, &data, &draft);
	if (rc == 0)
		rc = eventlog_append_wait(t->app->log, &append);
	return rc == ERR_CONFLICT ? 0 : rc;
}

/* With and without the country: the vendor's page does not say which. */
static const struct tencent_participant *caller_with(const struct effect_call *call, const struct callers *callers,
    struct slice country, struct slice number)
{
	const struct tencent_out *t = call->state;
	const struct tencent_participant *found;
	char hash[HASH_HEX + 1];
	struct slice local = number;

	if (country.len > 0 && slice_starts_with(number, country))
		local = slice_of(number.ptr + country.len, number.len - country.len);
	if (local.len == 0)
		return NULL;
	hash_of(&t->rest, local, hash);
	found = find(callers, hash);
	if (found != NULL || country.len == 0)
		return found;
	hash_of(&t->rest, slice_str(arena_printf(call->arena, "%.*s%.*s", SLICE_ARG(country), SLICE_ARG(local))), hash);
	return find(callers, hash);
}

/* One page of accounts, by their ids from `after` on. *ret_last: of the last; empty when there was none. */
static int look_through(struct effect_call *call, struct slice meeting_id, const struct callers *callers, struct slice after,
    struct slice *ret_last)
{
	const struct tencent_out *t = call->state;
	struct query q = {.def = query_find("verified_phones"), .n_params = 2,
	    .params = {{.name = "after", .text = after}, {.name = "limit", .integer = ACCOUNTS_PAGE, .is_integer = true}}};
	struct json_reader r;
	struct json_value row;
	struct slice text = {0};
	int rc = query_run(t->app->queries, &q);

	if (rc == 0) {
		text = arena_dup(call->arena, buf_slice(&q.out));
		rc = text.ptr == NULL ? ERR_NOMEM : 0;
	}
	query_finish(&q);
	*ret_last = SLICE("");
	if (rc != 0)
		return rc;
	json_enter(&r, json_root(text));
	while (rc == 0 && json_next(&r, NULL, &row)) {
		const struct tencent_participant *p = caller_with(call, callers, json_member_text(row, "countryCode", call->arena),
		    json_member_text(row, "phone", call->arena));

		*ret_last = json_member_text(row, "id", call->arena);
		if (p != NULL)
			rc = link_identity(call, meeting_id, p, *ret_last);
	}
	return rc;
}

int tencent_link_people(struct effect_call *call, struct slice meeting_id, const struct tencent_participant *items, size_t n)
{
	struct callers callers;
	struct slice after = SLICE("");
	int rc = callers_of(call, items, n, &callers);

	if (rc != 0 || callers.n == 0)
		return rc;
	do
		rc = look_through(call, meeting_id, &callers, after, &after);
	while (rc == 0 && after.len > 0);
	return rc;
}
