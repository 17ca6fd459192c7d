/* See erase.h. */
#include "app/erase.h"

#include <stdlib.h>

#include "base/err.h"
#include "domain/envelope.h"
#include "domain/event.h"
#include "store/projection.h"

#define MODELS_MAX 64
#define IDS_MAX (1u << 20)

void erase_once_requested(uint8_t ret[ONCE_KEY_LEN], const struct id *subject)
{
	char text[ID_TEXT_LEN + 1];

	id_format(text, subject);
	event_once_key(ret, SLICE("erasure.requested"), slice_of(text, ID_TEXT_LEN));
}

void erase_once_completed(uint8_t ret[ONCE_KEY_LEN], const struct id *subject)
{
	char text[ID_TEXT_LEN + 1];

	id_format(text, subject);
	event_once_key(ret, SLICE("erasure.completed"), slice_of(text, ID_TEXT_LEN));
}

/* ---- ids gathered from the log ---------------------------------------------------------------- */

struct ids {
	struct id *items;
	size_t n, room;
};

static int ids_add(struct ids *l, const struct id *id)
{
	struct id *more;

	if (l->n == l->room) {
		if (l->room == IDS_MAX)
			return ERR_TOO_BIG;
		l->room = l->room == 0 ? 64 : 2 * l->room;
		more = realloc(l->items, l->room * sizeof(*more));
		if (more == NULL)
			return ERR_NOMEM;
		l->items = more;
	}
	l->items[l->n++] = *id;
	return 0;
}

/* data.subjects.<name>.id of an entry. */
static bool subject_of(struct slice entry, const char *name, struct arena *arena, struct id *ret)
{
	struct json_value v;
	struct slice text;

	return json_member(json_root(entry), "data", &v) && json_member(v, "subjects", &v) && json_member(v, name, &v) &&
	    json_member(v, "id", &v) && json_string(v, arena, &text) == 0 && id_parse(text, ret) == 0;
}

static bool names_one(struct slice entry, char (*texts)[ID_TEXT_LEN + 1], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memmem(entry.ptr, entry.len, texts[i], ID_TEXT_LEN) != NULL)
			return true;
	return false;
}

/*
 * The key of its own that seals more of who is named there than the sealed fields do: a raw delivery; a one-time code,
 * which is under its request's key with where it went.
 */
static bool own_key_of(const struct log_record *record, struct arena *arena, struct id *ret)
{
	return subject_of(record->entry, record->type == EVENT_VERIFICATION_REQUESTED ? "person" : "raw", arena, ret);
}

/* Those of events in which one of these is named. */
static int find_own_keys(struct eventlog *log, const struct id *subjects, size_t n, struct ids *out)
{
	char (*texts)[ID_TEXT_LEN + 1] = calloc(n, sizeof(*texts));
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc = 0;

	if (texts == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		id_format(texts[i], &subjects[i]);
	eventlog_cursor_init(&cursor, log, 0, NULL);
	while (rc == 0 && (rc = eventlog_cursor_next(&cursor, &record)) == 0) {
		struct arena arena = ARENA_INIT(65536);
		struct id id;

		if (names_one(record.entry, texts, n) && own_key_of(&record, &arena, &id))
			rc = ids_add(out, &id);
		arena_finish(&arena);
	}
	eventlog_cursor_finish(&cursor);
	free(texts);
	return rc == ERR_END ? 0 : rc;
}

/* ---- the word that it is done --------------------------------------------------------------------- */

static size_t models_of(struct app *app, struct event_privacy_erasure_completed_projections *ret)
{
	struct projection_status status;
	size_t n = 0;

	while (n < MODELS_MAX && projector_status(app->projector, (unsigned)n, &status)) {
		ret[n].name = slice_str(status.model->name);
		ret[n].version = slice_str(status.model->version);
		n++;
	}
	return n;
}

static int append_completed(struct app *app, const struct id *subject, uint32_t epoch)
{
	struct event_privacy_erasure_completed_projections models[MODELS_MAX];
	char text[ID_TEXT_LEN + 1];
	struct arena arena = ARENA_INIT(1 << 20);
	struct event_privacy_erasure_completed data = {.epoch_destroyed = epoch, .projections = {.items = models, .n = models_of(app, models)}};
	struct event_context ctx = {app->rng, app->clock, NULL};
	struct event_meta meta = {.source = SLICE("/erasure"), .actor = SLICE("system"), .expect = EXPECT_ANY, .has_once = true};
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc;

	id_format(text, subject);
	data.subject_id = slice_of(text, ID_TEXT_LEN);
	erase_once_completed(meta.once, subject);
	rc = event_draft_make(&ctx, EVENT_PRIVACY_ERASURE_COMPLETED, &data, &meta, &arena, &draft, NULL);
	if (rc == 0)
		rc = eventlog_append_wait(app->log, &append);
	arena_finish(&arena);
	return rc;
}

/* ---- keys ------------------------------------------------------------------------------------------- */

int erase_keys(struct app *app, const struct id *subjects, size_t n)
{
	struct ids own = {0};
	/* At once: what follows takes a look at the whole log. */
	int rc = keyring_erase(app->keyring, subjects, n);

	if (rc == 0)
		rc = find_own_keys(app->log, subjects, n, &own);
	if (rc == 0 && own.n > 0)
		rc = keyring_erase(app->keyring, own.items, own.n);
	free(own.items);
	return rc;
}

/* And whatever they were wrapped with: all epochs up to *ret_epoch. */
static int destroy_keys(struct app *app, const struct id *subjects, size_t n, uint32_t *ret_epoch)
{
	struct keyring_stats before, after;
	int rc = keyring_stats(app->keyring, &before);

	if (rc == 0)
		rc = erase_keys(app, subjects, n);
	if (rc == 0)
		rc = keyring_stats(app->keyring, &after);
	if (rc == 0 && (after.turn_due_at_us != 0 || after.epoch == before.epoch))
		rc = keyring_turn_epoch(app->keyring);
	*ret_epoch = before.epoch;
	return rc;
}

/* ---- what was requested -------------------------------------------------------------------------------- */

typedef int subject_fn(struct app *app, const struct id *subject, void *arg);

static int each_requested(struct app *app, subject_fn *fn, void *arg)
{
	struct log_filter filter = {.type = EVENT_PRIVACY_ERASURE_REQUESTED};
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc = 0;

	eventlog_cursor_init(&cursor, app->log, 0, &filter);
	while (rc == 0 && (rc = eventlog_cursor_next(&cursor, &record)) == 0) {
		struct arena arena = ARENA_INIT(65536);
		struct json_value v;
		struct slice text;
		struct id id;

		if (json_member(json_root(record.entry), "data", &v) && json_member(v, "subject_id", &v) &&
		    json_string(v, &arena, &text) == 0 && id_parse(text, &id) == 0)
			rc = fn(app, &id, arg);
		arena_finish(&arena);
	}
	eventlog_cursor_finish(&cursor);
	return rc == ERR_END ? 0 : rc;
}

static int add_if_there(struct app *app, const struct id *subject, void *arg)
{
	return keyring_is_erased(app->keyring, subject) ? 0 : ids_add(arg, subject);
}

static int add_if_pending(struct app *app, const struct id *subject, void *arg)
{
	uint8_t once[ONCE_KEY_LEN];
	uint64_t position;
	int rc;

	erase_once_completed(once, subject);
	rc = eventlog_find_once(app->log, once, &position);
	return rc == ERR_NOT_FOUND ? ids_add(arg, subject) : rc;
}

/* Of those that are pending also the keys of their own that name them: whether that was done is not known. */
int erase_keys_at_start(struct app *app)
{
	struct ids there = {0}, pending = {0};
	int rc = each_requested(app, add_if_there, &there);

	if (rc == 0 && there.n > 0)
		rc = keyring_erase(app->keyring, there.items, there.n);
	if (rc == 0)
		rc = each_requested(app, add_if_pending, &pending);
	if (rc == 0 && pending.n > 0)
		rc = erase_keys(app, pending.items, pending.n);
	free(there.items);
	free(pending.items);
	return rc;
}

int erase_is_pending(struct app *app, bool *ret)
{
	struct ids pending = {0};
	int rc = each_requested(app, add_if_pending, &pending);

	*ret = pending.n > 0;
	free(pending.items);
	return rc;
}

int erase_finish_pending(struct app *app, size_t *ret_n)
{
	struct ids pending = {0};
	uint32_t epoch = 0;
	int rc = each_requested(app, add_if_pending, &pending);

	*ret_n = pending.n;
	if (rc == 0 && pending.n > 0 && eventlog_refusal(app->log) != NULL)
		rc = ERR_UNAVAILABLE; /* that it is done could not be told, and it would be done over and over */
	if (rc == 0 && pending.n > 0)
		rc = destroy_keys(app, pending.items, pending.n, &epoch);
	if (rc == 0 && pending.n > 0)
		rc = projector_renew(app->projector);
	for (size_t i = 0; rc == 0 && i < pending.n; i++)
		rc = append_completed(app, &pending.items[i], epoch);
	free(pending.items);
	return rc;
}

/* ---- who was erased ------------------------------------------------------------------------------- */

static int asked_for_at(struct app *app, const struct id *subject, int64_t *ret_ms)
{
	uint8_t once[ONCE_KEY_LEN];
	struct log_read read = {0};
	struct log_record record;
	uint64_t position;
	int rc;

	erase_once_requested(once, subject);
	rc = eventlog_find_once(app->log, once, &position);
	if (rc != 0)
		return rc;
	rc = log_read_start(&read, app->log);
	if (rc == 0)
		rc = eventlog_read_one(&read, position, &record);
	if (rc == 0)
		*ret_ms = record.time_us / 1000;
	log_read_stop(&read);
	return rc;
}

int erase_find(struct app *app, struct slice kind, struct slice identity, int64_t at_ms, struct arena *a, struct slice *ret_id)
{
	struct subject subject;
	int64_t asked_ms = INT64_MAX;
	char *text = arena_alloc(a, ID_TEXT_LEN + 1);
	int rc = text == NULL ? ERR_NOMEM : sealer_find_subject(app->sealer, kind, identity, &subject);

	*ret_id = SLICE("");
	if (rc == ERR_NOT_FOUND || (rc == 0 && !keyring_is_erased(app->keyring, &subject.id)))
		return 0;
	if (rc == 0)
		rc = asked_for_at(app, &subject.id, &asked_ms);
	if (rc == ERR_NOT_FOUND) /* erased, and nobody can say when */
		rc = 0;
	if (rc == 0 && asked_ms >= at_ms) {
		id_format(text, &subject.id);
		*ret_id = slice_of(text, ID_TEXT_LEN);
	}
	return rc;
}
