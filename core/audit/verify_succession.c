/* See verify_succession.h. */
#include "audit/verify_succession.h"

#include <stdlib.h>

#include "audit/verify_record.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"

static bool text_member(struct json_value object, const char *name, struct arena *a, struct slice *ret)
{
	struct json_value v;

	return json_member(object, name, &v) && json_string(v, a, ret) == 0;
}

/* Its last note, whoever signed it, must be a checkpoint of the log it names. */
static bool take_note(struct succession *s)
{
	struct checkpoint c;
	struct note note;

	if (note_parse(&note, s->note) != 0 || checkpoint_parse(&c, note.text) != 0 || !slice_eq(c.origin, s->origin))
		return false;
	s->signed_size = c.size;
	return true;
}

static int take_data(struct succession *s, struct json_value data, struct arena *a, const char **ret_reason)
{
	struct json_value v;
	struct slice root;

	*ret_reason = "log.succeeded does not tell origin, note, size and reason";
	if (!text_member(data, "origin", a, &s->origin) || !text_member(data, "note", a, &s->note) ||
	    !text_member(data, "reason", a, &s->reason) || !json_member(data, "size", &v) || json_u64(v, &s->found) != 0)
		return ERR_MALFORMED;
	s->has_root = text_member(data, "root", a, &root);
	*ret_reason = "the root in log.succeeded is none";
	if (s->has_root && hex_decode(s->root.bytes, MERKLE_HASH_LEN, root) != 0)
		return ERR_MALFORMED;
	*ret_reason = "the note in log.succeeded is not one of the log it names";
	return take_note(s) ? 0 : ERR_MALFORMED;
}

int succession_read(struct succession *ret, const struct verify_source *source, uint64_t size, struct arena *a,
    const char **ret_reason)
{
	struct buf bytes = BUF_INIT(BUNDLE_LEN_MAX);
	struct succession s = {0};
	struct record_facts facts;
	struct slice bundle, record, copy;
	const char *reason;
	bool cut;
	int rc;

	if (size == 0)
		return ERR_NOT_FOUND;
	rc = source->entries(source->arg, 0, size < MERKLE_TILE_WIDTH ? (unsigned)size : MERKLE_TILE_WIDTH, &bytes);
	bundle = buf_slice(&bytes);
	if (rc != 0 || !bundle_next(&bundle, &record, &cut) || record_check(record, 0, &facts, &reason) != 0 ||
	    !slice_is(facts.type, "log.succeeded")) {
		rc = ERR_NOT_FOUND;
		goto out;
	}
	/* Texts without escapes are borrowed from here. */
	copy = slice_of(arena_alloc(a, facts.data.len), facts.data.len);
	if (copy.ptr == NULL) {
		rc = ERR_NOMEM;
		goto out;
	}
	memcpy((char *)(uintptr_t)copy.ptr, facts.data.ptr, copy.len);
	rc = take_data(&s, json_root(copy), a, ret_reason);
	if (rc == 0)
		*ret = s;
out:
	buf_finish(&bytes);
	return rc;
}

bool succession_is_signed(const struct succession *s, const struct note_key *keys, unsigned n_keys)
{
	struct checkpoint c;

	return n_keys > 0 && checkpoint_open(&c, NULL, s->note, keys, n_keys, NULL) == 0;
}

int succession_root_holds(const struct succession *s, const struct verify_source *old)
{
	struct buf bytes = BUF_INIT(BUNDLE_LEN_MAX);
	struct merkle_edge edge = {0};
	struct merkle_hash leaf, root;
	int rc = s->has_root ? 0 : ERR_NOT_FOUND;

	while (rc == 0 && edge.size < s->found) {
		uint64_t left = s->found - edge.size;
		unsigned width = left < MERKLE_TILE_WIDTH ? (unsigned)left : MERKLE_TILE_WIDTH, i;
		struct slice rest, record;
		bool cut = false;

		buf_clear(&bytes);
		rc = old->entries(old->arg, edge.size / MERKLE_TILE_WIDTH, width, &bytes);
		rest = buf_slice(&bytes);
		for (i = 0; rc == 0 && i < width && bundle_next(&rest, &record, &cut); i++) {
			merkle_leaf(&leaf, record);
			merkle_edge_add(&edge, &leaf, NULL);
		}
		if (rc == 0 && i < width)
			rc = ERR_NOT_FOUND;
	}
	buf_finish(&bytes);
	if (rc != 0)
		return rc;
	merkle_edge_root(&root, &edge);
	return merkle_hash_eq(&root, &s->root) ? 0 : ERR_CORRUPT;
}
