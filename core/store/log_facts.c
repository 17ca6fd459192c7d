/* Facts drawn from drafts and from entries; see log_facts.h. */
#include "store/log_facts.h"

#include <assert.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"
#include "base/sanitizer.h"
#include "domain/envelope.h"

#define ARENA_BYTES_MAX ((size_t)1 << 20)
#define FACTS_OF_ONE_MAX 64 /* claims, releases or subjects an event may name */

int facts_of_draft(const struct event_draft *draft, uint64_t position, fact_sink *sink, void *arg)
{
	struct log_fact fact = {.position = position, .type = draft->type};
	int rc;

	fact.kind = FACT_EVENT;
	fact.key = draft->stream;
	rc = sink(arg, &fact);
	if (rc == 0 && draft->has_once) {
		fact.kind = FACT_ONCE;
		fact.key = slice_of(draft->once, ONCE_KEY_LEN);
		rc = sink(arg, &fact);
	}
	fact.kind = FACT_RELEASE;
	for (size_t i = 0; rc == 0 && i < draft->n_releases; i++) {
		fact.key = draft->releases[i];
		rc = sink(arg, &fact);
	}
	fact.kind = FACT_CLAIM;
	for (size_t i = 0; rc == 0 && i < draft->n_claims; i++) {
		fact.key = draft->claims[i];
		rc = sink(arg, &fact);
	}
	fact.kind = FACT_SUBJECT;
	for (size_t i = 0; rc == 0 && i < draft->n_subjects; i++) {
		fact.key = slice_of(draft->subjects[i].ref, SUBJECT_REF_LEN);
		fact.id = draft->subjects[i].id;
		rc = sink(arg, &fact);
	}
	return rc;
}

/* The members of data that tell facts; text.len 0 when absent. Found in one walk: entries are long, facts few. */
struct fact_members {
	struct json_value claims, releases, subjects;
};

static struct fact_members find_members(struct json_value data)
{
	struct fact_members found = {{0}, {0}, {0}};
	struct json_reader reader;
	struct json_value value;
	struct slice name;

	if (data.type != JSON_OBJECT)
		return found;
	json_enter(&reader, data);
	while (json_next(&reader, &name, &value)) {
		if (json_name_is(name, SLICE("claims")))
			found.claims = value;
		else if (json_name_is(name, SLICE("releases")))
			found.releases = value;
		else if (json_name_is(name, SLICE("subjects")))
			found.subjects = value;
	}
	return found;
}

/* data.claims or data.releases: strings. */
static int names_of(struct json_value list, struct log_fact *fact, struct arena *arena, fact_sink *sink, void *arg)
{
	struct json_reader reader;
	struct json_value item;
	int rc = 0;

	if (list.text.len == 0)
		return 0;
	if (list.type != JSON_ARRAY)
		return ERR_MALFORMED;
	json_enter(&reader, list);
	while (rc == 0 && json_next(&reader, NULL, &item)) {
		rc = json_string(item, arena, &fact->key);
		if (rc == ERR_INVALID)
			rc = ERR_MALFORMED;
		if (rc == 0 && (fact->key.len == 0 || fact->key.len > CLAIM_LEN_MAX))
			rc = ERR_MALFORMED;
		if (rc == 0)
			rc = sink(arg, fact);
	}
	return rc;
}

/* data.subjects: name -> {"id": 32 hex digits, "ref": base64url of 32 bytes}; one without ref cannot be looked up. */
static int subjects_of(struct json_value subjects, struct log_fact *fact, struct arena *arena, fact_sink *sink,
    void *arg)
{
	uint8_t ref[SUBJECT_REF_LEN];
	struct json_value subject, id, text;
	struct json_reader reader;
	struct slice name, value;
	int rc = 0;

	if (subjects.text.len == 0)
		return 0;
	if (subjects.type != JSON_OBJECT)
		return ERR_MALFORMED;
	json_enter(&reader, subjects);
	while (rc == 0 && json_next(&reader, &name, &subject)) {
		if (!json_member(subject, "ref", &text))
			continue;
		if (!json_member(subject, "id", &id))
			return ERR_MALFORMED;
		rc = json_string(id, arena, &value);
		if (rc == 0)
			rc = id_parse(value, &fact->id);
		if (rc == 0)
			rc = json_string(text, arena, &value);
		if (rc == 0)
			rc = base64url_decode_to(ref, sizeof(ref), value);
		if (rc == ERR_INVALID)
			rc = ERR_MALFORMED;
		fact->key = slice_of(ref, sizeof(ref));
		if (rc == 0)
			rc = sink(arg, fact);
	}
	return rc;
}

static int facts_of_envelope(const struct envelope *e, uint64_t position, uint16_t type, struct arena *arena,
    fact_sink *sink, void *arg)
{
	struct log_fact fact = {.position = position, .type = type};
	struct fact_members members = find_members(e->data_value);
	int rc;

	fact.kind = FACT_EVENT;
	fact.key = e->subject;
	rc = sink(arg, &fact);
	if (rc == 0 && e->has_once) {
		fact.kind = FACT_ONCE;
		fact.key = slice_of(e->once, ONCE_KEY_LEN);
		rc = sink(arg, &fact);
	}
	fact.kind = FACT_RELEASE;
	if (rc == 0)
		rc = names_of(members.releases, &fact, arena, sink, arg);
	fact.kind = FACT_CLAIM;
	if (rc == 0)
		rc = names_of(members.claims, &fact, arena, sink, arg);
	fact.kind = FACT_SUBJECT;
	if (rc == 0)
		rc = subjects_of(members.subjects, &fact, arena, sink, arg);
	return rc;
}

int facts_of_entry(struct slice entry, uint64_t position, uint16_t header_type, type_number *number,
    fact_sink *sink, void *arg)
{
	struct arena arena = ARENA_INIT(ARENA_BYTES_MAX);
	struct envelope envelope;
	uint16_t type = 0;
	int rc;

	rc = envelope_decode(entry, position, &arena, &envelope);
	if (rc == 0 && number != NULL)
		type = number(envelope.type);
	if (rc == 0)
		rc = facts_of_envelope(&envelope, position, type != 0 ? type : header_type, &arena, sink, arg);
	arena_finish(&arena);
	return rc;
}

int facts_time(struct slice entry, uint64_t position, int64_t *ret_time_us)
{
	struct arena arena = ARENA_INIT(ARENA_BYTES_MAX);
	struct envelope envelope;
	int rc;

	rc = envelope_decode(entry, position, &arena, &envelope);
	if (rc == 0)
		*ret_time_us = envelope.time_us;
	arena_finish(&arena);
	return rc;
}

/* ---- checking a draft --------------------------------------------------- */

struct comparison {
	const struct event_draft *draft;
	bool once_seen;
	size_t claims_seen, releases_seen;
	uint64_t subjects_seen; /* a bit each: the entry may name one reference twice, the draft may not */
};

static int compare_subject(struct comparison *c, const struct log_fact *fact)
{
	for (size_t i = 0; i < c->draft->n_subjects; i++) {
		const struct subject_ref *s = &c->draft->subjects[i];

		if (memcmp(s->ref, fact->key.ptr, SUBJECT_REF_LEN) == 0 &&
		    memcmp(&s->id, &fact->id, sizeof(s->id)) == 0) {
			c->subjects_seen |= UINT64_C(1) << i;
			return 0;
		}
	}
	return ERR_INVALID;
}

static int compare_name(struct slice name, const struct slice *names, size_t n_names, size_t *seen)
{
	if (*seen >= n_names || !slice_eq(name, names[*seen]))
		return ERR_INVALID;
	(*seen)++;
	return 0;
}

static int compare(void *arg, const struct log_fact *fact)
{
	struct comparison *c = arg;
	const struct event_draft *d = c->draft;

	switch (fact->kind) {
	case FACT_EVENT:
		return slice_eq(fact->key, d->stream) ? 0 : ERR_INVALID;
	case FACT_ONCE:
		c->once_seen = true;
		return d->has_once && memcmp(fact->key.ptr, d->once, ONCE_KEY_LEN) == 0 ? 0 : ERR_INVALID;
	case FACT_RELEASE:
		return compare_name(fact->key, d->releases, d->n_releases, &c->releases_seen);
	case FACT_CLAIM:
		return compare_name(fact->key, d->claims, d->n_claims, &c->claims_seen);
	case FACT_SUBJECT:
		return compare_subject(c, fact);
	}
	return ERR_INVALID;
}

static bool member_at(const struct event_draft *d, uint32_t at, const char *member, size_t value_len)
{
	size_t len = strlen(member);

	return at >= len && at <= UINT16_MAX && (size_t)at + value_len < d->entry_len &&
	    memcmp(d->entry + at - len, member, len) == 0 && d->entry[at + value_len] == '"';
}

static int check_limits(const struct event_draft *d)
{
	if (d->entry_len > ENTRY_LEN_MAX)
		return ERR_TOO_BIG;
	if (d->type == 0 || d->entry == NULL || d->entry_len < 2 || d->stream.len == 0 ||
	    d->stream.len > STREAM_LEN_MAX || d->expect < EXPECT_ANY || d->n_claims > FACTS_OF_ONE_MAX ||
	    d->n_releases > FACTS_OF_ONE_MAX || d->n_subjects > FACTS_OF_ONE_MAX)
		return ERR_INVALID;
	if (!member_at(d, d->time_at, ",\"time\":\"", ENTRY_TIME_LEN) ||
	    !member_at(d, d->sequence_at, ",\"sequence\":\"", ENTRY_SEQUENCE_LEN))
		return ERR_INVALID;
	return 0;
}

static int check_blobs(const struct event_draft *d)
{
	char name[sizeof("{\"$blob\":\"\"") + 64] = "{\"$blob\":\"";

	for (size_t i = 0; i < d->n_blobs; i++) {
		hex_encode(name + 10, d->blobs[i].sha256, 32);
		name[74] = '"';
		if (memmem(d->entry, d->entry_len, name, 75) == NULL)
			return ERR_INVALID;
	}
	return 0;
}

/* Reads the entry, and compares. */
static int compare_entry(const struct event_draft *draft, type_number *number)
{
	struct comparison c = {.draft = draft};
	struct arena arena = ARENA_INIT(ARENA_BYTES_MAX);
	struct envelope e;
	int rc;

	rc = envelope_decode(slice_of(draft->entry, draft->entry_len), ENVELOPE_ANY_POSITION, &arena, &e);
	if (rc == 0 && number != NULL && number(e.type) != draft->type)
		rc = ERR_INVALID;
	if (rc == 0)
		rc = facts_of_envelope(&e, 0, draft->type, &arena, compare, &c);
	if (rc == 0 && (c.once_seen != draft->has_once || c.claims_seen != draft->n_claims ||
	    c.releases_seen != draft->n_releases))
		rc = ERR_INVALID;
	if (rc == 0 && draft->n_subjects > 0 &&
	    c.subjects_seen != UINT64_MAX >> (FACTS_OF_ONE_MAX - draft->n_subjects))
		rc = ERR_INVALID;
	arena_finish(&arena);
	return rc == ERR_MALFORMED || rc == ERR_VERSION || rc == ERR_CORRUPT ? ERR_INVALID : rc;
}

int facts_check_draft(const struct event_draft *draft, type_number *number)
{
	int rc = check_limits(draft);

	if (rc == 0)
		rc = check_blobs(draft);
	if (rc == 0 && (!draft->is_made || UNDER_SANITIZER))
		rc = compare_entry(draft, number);
	return rc;
}
