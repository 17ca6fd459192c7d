/*
 * What a log must not say, whatever was signed: the same delivery recorded
 * twice, an erasure completed that nobody requested.
 *
 * Duplicates are looked for among 64-bit prefixes of the once keys, so many at
 * a time as fit into memory; a log with more of them is read several times.
 * Two equal prefixes are then compared whole.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/verify.h"
#include "audit/verify_record.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"

#define SLOTS (UINT64_C(1) << 21) /* 32 MiB */
#define KEYS_PER_PASS (SLOTS / 3 * 2)
#define ERASURES_MAX 262144

struct slot {
	uint64_t prefix;
	uint64_t index; /* + 1; 0: free */
};

struct erasure {
	struct id subject;
	uint64_t index;
	bool completed;
};

struct semantics {
	const struct verify_source *source;
	uint64_t size;
	struct slot *slots;
	uint64_t pass, n_passes;
	struct erasure *erasures; /* few: looked through from the newest back */
	size_t n_erasures, cap_erasures;
	struct buf other; /* a second bundle, to compare with */
	verify_found_cb *found;
	void *arg;
	uint64_t n_unreadable; /* tiles, and records to compare with */
};

/*
 * A member of the envelope as it stands: in a record without white space no string can hold `,"name":"`
 * unescaped, so its first occurrence before the data is the member.
 */
static struct slice envelope_text(struct slice record, const char *opening)
{
	size_t len = strlen(opening);
	const char *at = memmem(record.ptr, record.len, opening, len), *end;
	const char *data = memmem(record.ptr, record.len, ",\"data\":", 8);

	if (at == NULL || (data != NULL && at > data))
		return (struct slice){0};
	at += len;
	end = memchr(at, '"', (size_t)(record.ptr + record.len - at));
	return end == NULL ? (struct slice){0} : slice_of(at, (size_t)(end - at));
}

static bool once_of(struct slice record, uint8_t ret[RECORD_ONCE_LEN])
{
	struct slice text = envelope_text(record, ",\"oncekey\":\"");

	return text.len > 0 && base64url_decode_to(ret, RECORD_ONCE_LEN, text) == 0;
}

/* The once key of another record, read again. */
static bool once_at(struct semantics *s, uint64_t index, uint8_t ret[RECORD_ONCE_LEN])
{
	uint64_t tile = index / MERKLE_TILE_WIDTH;
	struct slice rest, record = {0};
	bool cut;

	buf_clear(&s->other);
	if (s->source->entries(s->source->arg, tile, merkle_tile_width(s->size, 0, tile), &s->other) != 0)
		return false;
	rest = buf_slice(&s->other);
	for (uint64_t i = 0; i <= index % MERKLE_TILE_WIDTH; i++)
		if (!bundle_next(&rest, &record, &cut))
			return false;
	return once_of(record, ret);
}

static void look_for_duplicate(struct semantics *s, uint64_t index, const uint8_t key[RECORD_ONCE_LEN])
{
	uint8_t other[RECORD_ONCE_LEN];
	uint64_t prefix, i;
	char text[160];

	memcpy(&prefix, key, sizeof(prefix));
	if (prefix % s->n_passes != s->pass)
		return;
	for (i = (prefix * UINT64_C(0x9e3779b97f4a7c15)) >> 43; s->slots[i].index != 0; i = (i + 1) & (SLOTS - 1)) {
		if (s->slots[i].prefix != prefix)
			continue;
		if (!once_at(s, s->slots[i].index - 1, other)) {
			s->n_unreadable++;
			continue;
		}
		if (memcmp(other, key, RECORD_ONCE_LEN) != 0)
			continue;
		snprintf(text, sizeof(text), "record %" PRIu64 " has the once key of record %" PRIu64
		    ": the same delivery was recorded twice", index, s->slots[i].index - 1);
		s->found(s->arg, true, index, text);
		return;
	}
	s->slots[i] = (struct slot){prefix, index + 1};
}

static bool subject_of(struct slice record, struct id *ret)
{
	struct json_value data, v;

	return json_scan(record, NULL, NULL) == 0 && json_member(json_root(record), "data", &data) &&
	    json_member(data, "subject_id", &v) && v.type == JSON_STRING && v.text.len == 2 * ID_LEN + 2 &&
	    id_parse(slice_of(v.text.ptr + 1, 2 * ID_LEN), ret) == 0;
}

static struct erasure *find_erasure(struct semantics *s, const struct id *subject)
{
	for (size_t i = s->n_erasures; i > 0; i--)
		if (memcmp(s->erasures[i - 1].subject.bytes, subject->bytes, ID_LEN) == 0)
			return &s->erasures[i - 1];
	return NULL;
}

static int on_erasure(struct semantics *s, uint64_t index, struct slice record, bool completed)
{
	struct erasure *known;
	struct id subject;
	char text[160];

	if (!subject_of(record, &subject)) {
		s->found(s->arg, true, index, "an erasure without a subject");
		return 0;
	}
	known = find_erasure(s, &subject);
	if (completed && known == NULL) {
		snprintf(text, sizeof(text), "record %" PRIu64 " completes an erasure that nobody requested", index);
		s->found(s->arg, true, index, text);
		return 0;
	}
	if (known != NULL) {
		known->completed = known->completed || completed;
		return 0;
	}
	if (s->n_erasures == s->cap_erasures) {
		size_t cap = s->cap_erasures == 0 ? 256 : 2 * s->cap_erasures;
		struct erasure *more = cap > ERASURES_MAX ? NULL : realloc(s->erasures, cap * sizeof(*more));

		if (more == NULL)
			return ERR_NOMEM;
		s->erasures = more;
		s->cap_erasures = cap;
	}
	s->erasures[s->n_erasures++] = (struct erasure){.subject = subject, .index = index};
	return 0;
}

static int look_at(struct semantics *s, uint64_t index, struct slice record)
{
	uint8_t key[RECORD_ONCE_LEN];
	struct slice type;

	if (once_of(record, key))
		look_for_duplicate(s, index, key);
	if (s->pass > 0)
		return 0;
	type = envelope_text(record, ",\"type\":\"");
	if (slice_is(type, "privacy.erasure.requested"))
		return on_erasure(s, index, record, false);
	if (slice_is(type, "privacy.erasure.completed"))
		return on_erasure(s, index, record, true);
	return 0;
}

static int one_pass(struct semantics *s, const struct verify_options *options, struct buf *bundle)
{
	memset(s->slots, 0, SLOTS * sizeof(*s->slots));
	for (uint64_t tile = 0; tile * MERKLE_TILE_WIDTH < s->size; tile++) {
		uint64_t index = tile * MERKLE_TILE_WIDTH;
		struct slice rest, record;
		bool cut;

		buf_clear(bundle);
		if (s->source->entries(s->source->arg, tile, merkle_tile_width(s->size, 0, tile), bundle) != 0) {
			s->n_unreadable++;
			continue;
		}
		for (rest = buf_slice(bundle); bundle_next(&rest, &record, &cut) && index < s->size; index++) {
			int rc = look_at(s, index, record);

			if (rc != 0)
				return rc;
		}
		if (options->stopped != NULL && options->stopped(options->arg))
			return ERR_CANCELLED;
	}
	return 0;
}

int verify_semantics(const struct verify_source *source, uint64_t size, struct verify_summary *summary,
    const struct verify_options *options, verify_found_cb *found, void *arg)
{
	struct semantics s = {.source = source, .size = size, .found = found, .arg = arg, .other = BUF_INIT(BUNDLE_LEN_MAX)};
	struct buf bundle = BUF_INIT(BUNDLE_LEN_MAX);
	int rc = 0;

	s.n_passes = summary->once_keys / KEYS_PER_PASS + 1;
	s.slots = malloc(SLOTS * sizeof(*s.slots));
	if (s.slots == NULL)
		return ERR_NOMEM;
	for (; rc == 0 && s.pass < s.n_passes; s.pass++)
		rc = one_pass(&s, options, &bundle);
	/* What could not be read at all was told before; what was read then and not now leaves the comparison undone. */
	if (rc == 0 && s.n_unreadable > 0 && summary->n_unknown == 0 && summary->n_evidence == 0)
		found(arg, false, UINT64_MAX, "not all records could be read again to look for what was recorded twice");
	for (size_t i = 0; i < s.n_erasures; i++)
		summary->open_erasures += !s.erasures[i].completed;
	free(s.erasures);
	free(s.slots);
	buf_finish(&s.other);
	buf_finish(&bundle);
	return rc;
}
