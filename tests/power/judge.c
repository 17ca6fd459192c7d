/* See judge.h. */
#include "judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/io.h"
#include "domain/event.h"
#include "store/projector.h"

/* What a memo's keys begin with. */
enum { KNOWN_LOG = 1, KNOWN_INDEX, KNOWN_SELF, KNOWN_KEYS, KNOWN_MODEL };

/* Values of KNOWN_LOG and KNOWN_SELF. */
#define NOTE_SHIFT 32
#define SELF_GOOD 1
#define SELF_TOKEN 2 /* the admin token is the one of the run */

struct judge {
	const struct reference *r;
	struct memo *memo;
};

struct judge *judge_create(const struct reference *reference, struct memo *memo)
{
	struct judge *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	j->r = reference;
	j->memo = memo;
	return j;
}

void judge_destroy(struct judge *j)
{
	free(j);
}

/* The first breach is told; always false. */
static bool breach(struct verdict *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool breach(struct verdict *v, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (v->why[0] == '\0')
		vsnprintf(v->why, sizeof(v->why), format, args);
	va_end(args);
	return false;
}

static unsigned long long ull(uint64_t n)
{
	return n;
}

/* ---- what is known --------------------------------------------------------------- */

static uint64_t key_of_log(const struct prints *p)
{
	return mix(p->log, KNOWN_LOG);
}

static uint64_t key_of_index(const struct prints *p, uint64_t size)
{
	return mix(mix(p->index, size), KNOWN_INDEX);
}

static uint64_t key_of_self(const struct prints *p, uint64_t size, uint64_t note)
{
	return mix(mix(mix(p->self, size), note), KNOWN_SELF);
}

static uint64_t key_of_keys(const struct prints *p)
{
	return mix(p->keys, KNOWN_KEYS);
}

static uint64_t key_of_model(const struct prints *p, unsigned number)
{
	return mix(mix(p->models[number], number), KNOWN_MODEL);
}

static bool keys_known(const struct judge *j, const struct prints *p, uint64_t size)
{
	uint64_t held;

	return memo_get(j->memo, key_of_keys(p), &held) && held >= size;
}

static bool model_known(const struct judge *j, const struct prints *p, unsigned number, uint64_t size)
{
	uint64_t position;

	return memo_get(j->memo, key_of_model(p, number), &position) && position <= size;
}

static bool models_known(const struct judge *j, const struct prints *p, uint64_t size)
{
	bool known = true;

	for (unsigned i = 0; known && i < j->r->n_models; i++)
		known = model_known(j, p, i, size);
	return known;
}

/* Log, index, and who it is. */
static bool core_known(const struct judge *j, uint32_t ops, const struct prints *p, uint64_t *ret_size)
{
	uint64_t log, good, self, size;

	if (!memo_get(j->memo, key_of_log(p), &log))
		return false;
	size = log & UINT32_MAX;
	*ret_size = size;
	return size >= j->r->owed[ops] && memo_get(j->memo, key_of_index(p, size), &good) &&
	    memo_get(j->memo, key_of_self(p, size, log >> NOTE_SHIFT), &self) &&
	    ((self & SELF_TOKEN) != 0 || ops <= j->r->first_answer);
}

bool judge_known(const struct judge *j, uint32_t ops, const struct prints *prints)
{
	uint64_t size;

	return core_known(j, ops, prints, &size) && keys_known(j, prints, size) && models_known(j, prints, size);
}

/* ---- the log ------------------------------------------------------------------ */

static bool check_event(const struct known_event *e, struct log_read *read, uint64_t at, struct verdict *v)
{
	struct log_record record;
	struct slice blob = {0};

	if (eventlog_read_one(read, at, &record) != 0)
		return breach(v, "the event at position %llu cannot be read", ull(at));
	if (!slice_eq(record.entry, e->entry) || record.stream_version != e->version)
		return breach(v, "the event at position %llu is not the one that was written", ull(at));
	if (e->blob.ptr != NULL && (eventlog_blob(read, at, 0, &blob) != 0 || !slice_eq(blob, e->blob)))
		return breach(v, "the body kept with position %llu is not the one that was written", ull(at));
	return true;
}

static bool check_events(const struct reference *r, struct service *s, uint64_t owed, struct verdict *v)
{
	struct log_read read = {0};
	struct merkle_hash root;
	uint64_t size;
	bool good = true;

	eventlog_root(s->log, &size, &root);
	v->size = size;
	if (eventlog_refusal(s->log) != NULL)
		return breach(v, "the log refuses to be written: %s", eventlog_refusal(s->log));
	if (size < owed)
		return breach(v, "acknowledged events are lost: the log has %llu, %llu were acknowledged", ull(size), ull(owed));
	if (size > r->size)
		return breach(v, "the log has %llu events, the run wrote %llu", ull(size), ull(r->size));
	if (!merkle_hash_eq(&root, &r->roots[size]))
		return breach(v, "the root over %llu events is another", ull(size));
	if (log_read_start(&read, s->log) != 0)
		return breach(v, "the log cannot be read");
	for (uint64_t i = 0; good && i < size; i++)
		good = check_event(&r->events[i], &read, i, v);
	log_read_stop(&read);
	return good;
}

static bool check_note(const struct reference *r, uint64_t size, struct slice note, struct verdict *v)
{
	struct checkpoint c;

	for (size_t i = 0; i < r->n_notes; i++)
		if (r->notes[i].size == size && slice_eq(r->notes[i].bytes, note))
			return true; /* looked at when the reference was read */
	if (checkpoint_open(&c, NULL, note, &r->key, 1, NULL) != 0 || c.size != size)
		return breach(v, "the checkpoint of size %llu is not signed by this log", ull(size));
	if (!merkle_hash_eq(&c.root, &r->roots[size]))
		return breach(v, "the checkpoint of size %llu has another root", ull(size));
	return true;
}

/* Every signature that left the signer is in its file, and the file speaks of events that are there. */
static bool check_signer(const struct reference *r, struct service *s, uint64_t size, uint64_t *ret_note, struct verdict *v)
{
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t at, from = 0, last = 0;
	bool good = true;
	int rc = 0;

	if (s->signed_size > size)
		return breach(v, "the signer's file says %llu, the log has %llu", ull(s->signed_size), ull(size));
	if (s->signed_size > 0 && !merkle_hash_eq(&s->signed_root, &r->roots[s->signed_size]))
		return breach(v, "the signer's file has another root at %llu", ull(s->signed_size));
	while (good && rc == 0) {
		buf_clear(&note);
		rc = eventlog_next_note(s->log, from, &at, &note);
		if (rc != 0)
			break;
		good = at <= size ? check_note(r, at, buf_slice(&note), v) :
		    breach(v, "there is a checkpoint of size %llu, the log has %llu", ull(at), ull(size));
		last = at;
		from = at + 1;
	}
	buf_finish(&note);
	*ret_note = last;
	if (good && rc != ERR_NOT_FOUND)
		return breach(v, "the checkpoints cannot be read: %s", err_name(rc));
	if (good && last > s->signed_size)
		return breach(v, "a checkpoint of size %llu is released, the signer's file says %llu", ull(last), ull(s->signed_size));
	return good;
}

/* ---- what goes with the log ------------------------------------------------------ */

static bool check_keys(const struct known_event *e, struct service *s, uint64_t at, struct verdict *v)
{
	uint8_t key[KEYRING_KEY_LEN];

	for (unsigned i = 0; i < e->n_keys; i++) {
		int rc = keyring_get(s->keyring, &e->keys[i].id, key);

		if (rc != 0)
			return breach(v, "a key that position %llu is sealed with: %s", ull(at), err_name(rc));
		if (memcmp(key, e->keys[i].key, sizeof(key)) != 0)
			return breach(v, "a key that position %llu is sealed with is another", ull(at));
	}
	return true;
}

static bool check_look_up(const struct known_event *e, struct service *s, uint64_t at, struct verdict *v)
{
	uint64_t found;
	struct id id;

	if (e->has_once && (eventlog_find_once(s->log, e->once, &found) != 0 || found != at))
		return breach(v, "a repetition of position %llu would not be recognised", ull(at));
	if (eventlog_stream_version(s->log, e->stream, &found) != 0 || found < e->version)
		return breach(v, "the stream of position %llu is too short", ull(at));
	for (unsigned i = 0; i < e->n_keys; i++)
		if (e->keys[i].has_ref && (eventlog_find_subject(s->log, e->keys[i].ref, &id) != 0 ||
		    memcmp(id.bytes, e->keys[i].id.bytes, ID_LEN) != 0))
			return breach(v, "a person of position %llu would get a second key", ull(at));
	return true;
}

static bool check_keyring(struct judge *j, struct service *s, uint64_t size, const struct prints *prints, struct verdict *v)
{
	bool good = true;

	if (service_open_keys(s) != 0)
		return breach(v, "%s", s->problem);
	for (uint64_t i = 0; good && i < size; i++)
		good = check_keys(&j->r->events[i], s, i, v);
	if (good)
		memo_put(j->memo, key_of_keys(prints), size);
	return good;
}

/* Who the log is must not change once it says so itself. */
static bool check_identity(const struct reference *r, struct service *s, uint64_t size, struct verdict *v)
{
	if (size > 0 && strcmp(s->origin, r->origin) != 0)
		return breach(v, "the log has another name");
	if (size > 0 && memcmp(signer_key(s->signer)->public_key, r->key.public_key, ED25519_PUBLIC_LEN) != 0)
		return breach(v, "the log is signed with another key");
	return true;
}

static bool has_token(const struct reference *r, struct service *s)
{
	struct buf token = BUF_INIT(4096);
	char path[PATH_MAX];
	bool same;

	snprintf(path, sizeof(path), "%s/" ADMIN_TOKEN_FILE, s->data);
	same = file_read(&token, path) == 0 && slice_eq(buf_slice(&token), buf_slice(&r->token));
	buf_wipe(&token);
	return same;
}

/* ---- read models -------------------------------------------------------------------- */

static bool has_rows_of(const struct reference *r, struct service *s, unsigned number, uint64_t position, struct verdict *v)
{
	const struct projection *model = projections[number];
	struct buf path = BUF_INIT(PATH_MAX);
	uint8_t digest[SHA256_LEN];
	uint64_t at = 0;
	int rc = projection_path(&path, s->data, model);

	if (rc == 0)
		rc = projection_digest(path.ptr, model, digest, &at);
	buf_finish(&path);
	if (rc != 0)
		return breach(v, "%s cannot be read: %s", model->name, err_name(rc));
	if (at != position || memcmp(digest, r->digests[number][position], SHA256_LEN) != 0)
		return breach(v, "%s says it stands at %llu and has other rows", model->name, ull(at));
	return true;
}

static bool check_model(const struct reference *r, struct service *s, unsigned number, bool thorough, uint64_t *ret_position,
    struct verdict *v)
{
	struct buf problem = BUF_INIT(400);
	struct fold fold = {.problem = &problem};
	uint64_t size = eventlog_size(s->log), position = 0, applied = 1;
	bool lost, good = true;
	int rc;

	size = size < r->size ? size : r->size;
	rc = service_open_model(s, projections[number], &fold, &lost);
	if (rc != 0) {
		good = breach(v, "a read model does not open: %s", s->problem);
		goto out;
	}
	v->models_lost += lost;
	*ret_position = position = projection_file_position(fold.file);
	if (position > size)
		good = breach(v, "%s is ahead of the log", projections[number]->name);
	else
		good = has_rows_of(r, s, number, position, v);
	while (good && thorough && applied > 0) {
		rc = fold_batch(&fold, size, &applied);
		if (rc == 0 && applied == 0)
			rc = fold_save(&fold);
		if (rc != 0)
			good = breach(v, "%s cannot go on: %s", projections[number]->name, problem.ptr != NULL ? problem.ptr : err_name(rc));
	}
	if (good && thorough)
		good = has_rows_of(r, s, number, size, v);
out:
	projection_file_close(fold.file);
	feed_reader_finish(&fold.reader);
	buf_finish(&problem);
	return good;
}

static bool check_and_learn_model(struct judge *j, struct service *s, unsigned number, const struct prints *prints, bool thorough,
    struct verdict *v)
{
	unsigned lost = v->models_lost;
	uint64_t position = 0;

	v->opened |= 2u << number;
	if (!check_model(j->r, s, number, thorough, &position, v))
		return false;
	if (lost == v->models_lost) /* one that is lost for being ahead of this log may be good beside a longer one */
		memo_put(j->memo, key_of_model(prints, number), position);
	return true;
}

/* What stands alone, where it is not known to be good beside a log of this size. */
static bool check_companions(struct judge *j, struct service *s, uint64_t size, const struct prints *prints, bool thorough,
    struct verdict *v)
{
	bool good = true;

	if (thorough || !keys_known(j, prints, size)) {
		v->opened |= 1;
		good = check_keyring(j, s, size, prints, v);
	}
	for (unsigned i = 0; good && i < j->r->n_models; i++)
		if (thorough || !model_known(j, prints, i, size))
			good = check_and_learn_model(j, s, i, prints, thorough, v);
	return good;
}

/* ---- going on ------------------------------------------------------------------------- */

/* A small event of the service's own. */
static bool check_append(struct service *s, uint64_t size, struct verdict *v)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct event_webhook_tallied data = {.source = SLICE("tencent"), .since_ms = 1, .until_ms = 2};
	struct event_context ctx = {&rng_system, &clock_system, NULL};
	struct event_meta meta = {.source = SLICE("/"), .actor = SLICE("system"), .expect = EXPECT_ANY};
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc = event_draft_make(&ctx, EVENT_WEBHOOK_TALLIED, &data, &meta, &a, &draft, NULL);

	if (rc == 0)
		rc = eventlog_append_wait(s->log, &append);
	arena_finish(&a);
	if (rc != 0 || append.position != size)
		return breach(v, "the next event is not taken: %s", err_name(rc));
	return true;
}

static bool check_again(struct service *s, const char *data, uint64_t size, struct verdict *v)
{
	service_close(s);
	if (service_open(s, data) != 0 || service_start_signer(s) != 0)
		return breach(v, "at the second start: %s", s->problem);
	if (eventlog_size(s->log) != size + 1)
		return breach(v, "at the second start the log has %llu events, not %llu", ull(eventlog_size(s->log)), ull(size + 1));
	return true;
}

static bool check_look_ups(const struct reference *r, struct service *s, uint64_t size, struct verdict *v)
{
	bool good = true;

	for (uint64_t i = 0; good && i < size; i++)
		good = check_look_up(&r->events[i], s, i, v);
	return good;
}

/* Log, index, and who it is: all that is said of them, but for the start of the signer. */
static bool check_core(struct judge *j, struct service *s, uint32_t ops, uint64_t *ret_note, struct verdict *v)
{
	v->core = true;
	return check_events(j->r, s, j->r->owed[ops], v) && check_signer(j->r, s, v->size, ret_note, v) &&
	    check_look_ups(j->r, s, v->size, v);
}

static bool check_start(struct judge *j, struct service *s, uint32_t ops, const struct prints *prints, uint64_t note, bool token,
    struct verdict *v)
{
	if (service_start_signer(s) != 0)
		return breach(v, "%s", s->problem);
	if (!check_identity(j->r, s, v->size, v))
		return false;
	if (!token && ops > j->r->first_answer) /* somebody could have used it */
		return breach(v, "the admin token is another");
	memo_put(j->memo, key_of_log(prints), v->size | note << NOTE_SHIFT);
	memo_put(j->memo, key_of_index(prints, v->size), 1);
	memo_put(j->memo, key_of_self(prints, v->size, note), SELF_GOOD | (token ? SELF_TOKEN : 0));
	return true;
}

void judge_state(struct judge *j, const char *dir, uint32_t ops, const struct prints *prints, bool thorough,
    struct verdict *ret)
{
	struct service s = {0};
	char data[PATH_MAX];
	struct verdict v = {0};
	bool known = !thorough && core_known(j, ops, prints, &v.size), token;
	uint64_t note = 0;

	snprintf(data, sizeof(data), "%s/data", dir);
	if (known && models_known(j, prints, v.size)) {
		/* The keyring alone, which needs no log. */
		v.opened = 1;
		v.good = service_begin(&s, data) == 0 ? check_keyring(j, &s, v.size, prints, &v) : breach(&v, "%s", s.problem);
		service_close(&s);
		*ret = v;
		return;
	}
	v.good = service_open_log(&s, data) == 0 || breach(&v, "%s", s.problem);
	token = v.good && has_token(j->r, &s);
	v.good = v.good && (known || check_core(j, &s, ops, &note, &v)) && check_companions(j, &s, v.size, prints, thorough, &v);
	v.good = v.good && (known || check_start(j, &s, ops, prints, note, token, &v));
	if (v.good && thorough)
		v.good = check_append(&s, v.size, &v) && check_again(&s, data, v.size, &v);
	service_close(&s);
	*ret = v;
}
