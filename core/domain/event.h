/*
 * Events: from a typed struct to the bytes of a record, and back.
 *
 * schemas/events/<type>.json declares each; events.gen.h has `struct
 * event_meeting_started`, EVENT_MEETING_STARTED and the table event_types[].
 * Pure functions, any thread.
 */
#ifndef LULAB_DOMAIN_EVENT_H
#define LULAB_DOMAIN_EVENT_H

#include "base/clock.h"
#include "domain/envelope.h"
#include "domain/event_draft.h"
#include "domain/schema.h"
#include "events.gen.h"

/* ---- the table ---------------------------------------------------------------- */

/* A piece of a stream or claim template: text, then the value of a field. */
struct event_template_part {
	const char *text;
	const char *field; /* path, or NULL */
	bool optional;     /* both left out when the field is absent */
	const char *value, *written_as; /* NULL, or what is written where the field has that value */
};
struct event_template {
	const struct event_template_part *parts;
	size_t n_parts;
};

struct event_type_info {
	uint16_t id;
	const char *name;       /* "meeting.started" */
	const char *dataschema; /* "meeting.started/1" */
	const char *title;      /* a sentence */
	const struct schema *schema;
	struct event_template stream;
	const struct event_template *claims, *releases;
	size_t n_claims, n_releases;
};

extern const struct event_type_info event_types[]; /* ordered by id */
extern const size_t event_types_n;

/* NULL when unknown. */
const struct event_type_info *event_type_by_id(uint16_t id);
const struct event_type_info *event_type_by_name(struct slice name);
/* The id of a name, 0 when unknown. */
uint16_t event_type_number(struct slice name);
/* "meeting.started", or "?" */
const char *event_type_name(uint16_t id);

/* ---- making ------------------------------------------------------------------- */

struct event_context {
	const struct rng *rng;
	const struct clock *clock;
	const struct seal_hooks *hooks; /* NULL only for events without sealed fields */
};

struct event_meta {
	struct slice source; /* "/webhooks/tencent" */
	struct slice actor;  /* "webhook:tencent" */
	struct slice causation, correlation, traceparent; /* empty: absent */
	bool has_once;
	uint8_t once[ONCE_KEY_LEN];
	bool has_id; /* else a new one; sealing needs to know it first */
	struct id id;
	int64_t expect; /* EXPECT_ANY unless the stream must stand somewhere; 0 is EXPECT_NONE */
	const struct blob_draft *blobs; /* borrowed until the append is over */
	size_t n_blobs;
};

/*
 * An event ready to append. data is the struct of that type; it is checked
 * against its schema first (ERR_INVALID, and the breaches in *problems, which
 * may be NULL). The subjects of the draft are data's `subjects` that have a ref.
 * Everything made lies in the arena. ERR_TOO_BIG: the entry passes
 * ENTRY_LEN_MAX, move something into a blob. ERR_BAD_KEY: a sealed field is
 * present and there are no hooks. Or an error of a hook.
 */
int event_draft_make(const struct event_context *ctx, enum event_type type, const void *data,
    const struct event_meta *meta, struct arena *arena, struct event_draft *ret, struct problems *problems);

/* The stream of an event; segments are percent-encoded outside [A-Za-z0-9._~:-]. ERR_TOO_BIG, ERR_INVALID (empty). */
int event_stream(const struct event_type_info *type, const void *data, struct arena *arena, struct slice *ret_stream);

/* BLAKE2b-256("dup/v1" 0 source 0 vendor_id). */
void event_once_key(uint8_t ret[ONCE_KEY_LEN], struct slice source, struct slice vendor_id);

/* ---- reading ------------------------------------------------------------------- */

struct event {
	const struct event_type_info *type; /* NULL: a type this program does not know; data is then NULL */
	struct envelope envelope;
	void *data; /* the struct of that type, in the arena */
};

/*
 * From a record's entry to the struct. hooks NULL: sealed fields are absent.
 * ERR_MALFORMED, ERR_CORRUPT, ERR_VERSION as envelope_decode; ERR_INVALID when
 * data breaks its schema. Unknown members (of a newer version) are passed over.
 */
int event_decode(struct slice entry, uint64_t position, const struct seal_hooks *hooks, struct arena *arena,
    struct event *ret);
/*
 * The second half, for those who open seals bound to the event's own id: decode
 * the envelope with envelope_decode(), make the hooks, then this.
 */
int event_decode_data(const struct envelope *envelope, const struct seal_hooks *hooks, struct arena *arena,
    struct event *ret);

#endif
