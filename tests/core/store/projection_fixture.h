/*
 * A data directory with a log, a keyring and a sealer, and events written as
 * JSON: "given these events, then these rows".
 */
#ifndef LULAB_TESTS_PROJECTION_FIXTURE_H
#define LULAB_TESTS_PROJECTION_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "domain/event.h"
#include "store/eventlog.h"
#include "store/keyring.h"
#include "store/projector.h"
#include "store/query.h"
#include "store/seal.h"
#include "lib/temp_dir.h"

#define FIXTURE_TIME_US INT64_C(1795473555000000) /* 2026-11-23T22:39:15Z */
#define FIXTURE_ORIGIN "log.example.test/events"

struct projection_fixture {
	char dir[TEMP_DIR_LEN], keys_dir[96], root_path[96];
	struct clock_manual clock;
	struct rng_test rng;
	struct buf problem;
	struct eventlog *log;
	struct keyring *keyring;
	struct sealer *sealer;
	struct projector_options options; /* for the projector and the tools */
};

/* An event as a test writes it: what its data holds besides the members every delivery has. */
struct given {
	const char *type, *data;
};

static inline int fixture_lookup(void *arg, const uint8_t ref[SEAL_REF_LEN], struct id *ret_id)
{
	return eventlog_find_subject(arg, ref, ret_id);
}

/* disk_space: what the log is told of its disk, which it looks at each second of the fixture's clock; NULL: there is room. */
static inline void fixture_init_on(struct projection_fixture *f, int (*disk_space)(void *, uint64_t *, uint64_t *))
{
	struct eventlog_options log = {.map_bytes = (uint64_t)1 << 30, .reserve_off = disk_space == NULL, .disk_space = disk_space};
	struct keyring_options keys = {.stock = 512, .keep_days = 30};
	struct sealer_options seal = {.origin = FIXTURE_ORIGIN, .lookup = fixture_lookup};
	int rc;

	*f = (struct projection_fixture){.problem = BUF_INIT(1024)};
	ck_assert_int_eq(crypto_init(), 0);
	temp_dir_make(f->dir, "rows");
	snprintf(f->keys_dir, sizeof(f->keys_dir), "%s/keys", f->dir);
	snprintf(f->root_path, sizeof(f->root_path), "%s/root.key", f->dir);
	clock_manual_init(&f->clock, FIXTURE_TIME_US);
	rng_test_init(&f->rng, 1);
	log.dir = f->dir;
	log.clock = &f->clock.clock;
	log.problem = &f->problem;
	rc = eventlog_open(&f->log, &log);
	ck_assert_msg(rc == 0, "%s: %s", err_name(rc), f->problem.ptr == NULL ? "" : f->problem.ptr);
	keys.dir = f->keys_dir;
	keys.root_key_path = f->root_path;
	keys.clock = &clock_system;
	keys.rng = &rng_system;
	ck_assert_int_eq(keyring_open(&f->keyring, &keys), 0);
	seal.keyring = f->keyring;
	seal.lookup_arg = f->log;
	seal.rng = &rng_system;
	ck_assert_int_eq(sealer_create(&f->sealer, &seal), 0);
	f->options = (struct projector_options){.dir = f->dir, .log = f->log, .sealer = f->sealer, .clock = &clock_system};
}

static inline void fixture_init(struct projection_fixture *f)
{
	fixture_init_on(f, NULL);
}

static inline void fixture_finish(struct projection_fixture *f)
{
	sealer_destroy(f->sealer);
	keyring_close(f->keyring);
	eventlog_close(f->log);
	buf_finish(&f->problem);
	temp_dir_remove(f->dir);
}

/* ---- events ------------------------------------------------------------------- */

struct fixture_subjects {
	struct seal_subject items[4];
	struct subject subjects[4];
	size_t n;
};

static inline void fixture_subject(struct projection_fixture *f, struct fixture_subjects *s, struct json_value data,
    const char *name, const char *kind, const char *member)
{
	struct json_value person = data, identity;
	struct slice text = {0};
	struct arena a = ARENA_INIT(4096);

	if (strcmp(name, "meeting") != 0 && !json_member(data, name, &person))
		return;
	if (!json_member(person, member, &identity))
		return;
	ck_assert_int_eq(json_string(identity, &a, &text), 0);
	ck_assert_int_eq(sealer_subject(f->sealer, slice_str(kind), text, &s->subjects[s->n]), 0);
	s->items[s->n] = (struct seal_subject){name, s->subjects[s->n].id};
	s->n++;
	arena_finish(&a);
}

static inline void fixture_subjects_write(struct buf *out, const struct fixture_subjects *s)
{
	for (size_t i = 0; i < s->n; i++) {
		char id[ID_TEXT_LEN + 1], ref[BASE64URL_LEN(SEAL_REF_LEN) + 1];

		id_format(id, &s->subjects[i].id);
		base64url_encode_to(ref, s->subjects[i].ref, SEAL_REF_LEN);
		buf_printf(out, "%s\"%s\":{\"id\":\"%s\",\"ref\":\"%s\"}", i == 0 ? "" : ",", s->items[i].name, id, ref);
	}
}

/* Those born of a webhook have members that say so. */
static inline void fixture_json(struct projection_fixture *f, const struct given *g, struct fixture_subjects *s,
    struct buf *out)
{
	struct slice data = slice_str(g->data);
	struct json_value root;
	bool webhook = strncmp(g->type, "webhook.", 8) != 0 && strncmp(g->type, "projection.", 11) != 0;

	ck_assert_msg(json_scan(data, NULL, NULL) == 0, "not JSON: %s", g->data);
	root = json_root(data);
	buf_append_char(out, '{');
	if (webhook) {
		fixture_subject(f, s, root, "operator", "tencent.user", "uuid");
		fixture_subject(f, s, root, "creator", "tencent.user", "uuid");
		fixture_subject(f, s, root, "to_operator", "tencent.user", "uuid");
		fixture_subject(f, s, root, "meeting", "tencent.meeting", "meeting_id");
		buf_append_str(out, "\"platform\":\"TENCENT_MEETING\",\"vendor_event\":\"vendor.event\",\"payload_index\":0,"
		    "\"fingerprint\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"subjects\":{");
		fixture_subjects_write(out, s);
		buf_append_str(out, "},");
	}
	buf_append(out, slice_of(data.ptr + 1, data.len - 1));
	ck_assert_int_eq(out->rc, 0);
}

static inline void fixture_draft(struct projection_fixture *f, const struct given *g, struct arena *a,
    struct event_draft *ret)
{
	const struct event_type_info *type = event_type_by_name(slice_str(g->type));
	struct event_meta meta = {.source = SLICE("/webhooks/tencent"), .actor = SLICE("webhook:tencent"), .has_id = true,
	    .expect = EXPECT_ANY};
	struct buf json = BUF_INIT(1u << 16);
	struct fixture_subjects subjects = {0};
	struct problems problems = PROBLEMS_INIT(a);
	struct seal_scope scope = {.sealer = f->sealer};
	struct seal_hooks hooks = {0};
	struct event_context ctx = {&f->rng.rng, &f->clock.clock, &hooks};
	char id[ID_TEXT_LEN + 1];
	void *data;
	int rc;

	ck_assert_msg(type != NULL, "no event %s", g->type);
	fixture_json(f, g, &subjects, &json);
	meta.id = id_random(&f->rng.rng);
	id_format(id, &meta.id);
	scope.event_id = slice_str(id);
	scope.subjects = subjects.items;
	scope.n_subjects = subjects.n;
	seal_scope_hooks(&hooks, &scope);
	data = arena_alloc(a, type->schema->size);
	rc = schema_decode(type->schema, arena_dup(a, buf_slice(&json)), a, data, &problems);
	ck_assert_msg(rc == 0, "%s %s: %s %s", g->type, json.ptr, problems.n > 0 ? problems.items[0].path : "",
	    problems.n > 0 ? problems.items[0].message : "");
	rc = event_draft_make(&ctx, (enum event_type)type->id, data, &meta, a, ret, &problems);
	ck_assert_msg(rc == 0, "%s: %s %s", g->type, err_name(rc), problems.n > 0 ? problems.items[0].message : "");
	buf_finish(&json);
}

#define TOGETHER_MAX 4

/* Appends events together, as the items of one delivery, and gives the position of the first. */
static inline uint64_t give_together(struct projection_fixture *f, const struct given *given, unsigned n)
{
	struct arena a = ARENA_INIT(16u << 20);
	struct event_draft drafts[TOGETHER_MAX];
	struct append append = {.events = drafts, .n_events = n};

	ck_assert_uint_le(n, TOGETHER_MAX);
	for (unsigned i = 0; i < n; i++)
		fixture_draft(f, &given[i], &a, &drafts[i]);
	ck_assert_int_eq(eventlog_append_wait(f->log, &append), 0);
	arena_finish(&a);
	clock_manual_advance(&f->clock, 1000);
	return append.position;
}

/* Appends one event and gives its position. */
static inline uint64_t give(struct projection_fixture *f, const char *type, const char *data)
{
	struct given g = {type, data};

	return give_together(f, &g, 1);
}

static inline uint64_t count_events(struct projection_fixture *f, const char *type)
{
	struct log_filter filter = {.type = event_type_number(slice_str(type))};
	uint64_t n;

	ck_assert_int_eq(eventlog_count(f->log, &filter, 0, &n), 0);
	return n;
}

/*
 * Before another thread has a loop: read models look through a directory when they open their files, and libuv closes the
 * descriptors of its loops behind the thread sanitizer's back, which takes a directory that gets such a number for the loop.
 */
static inline void await_live(struct projector *p)
{
	struct projection_status status;

	for (unsigned i = 0; projector_status(p, i, &status);) {
		if (status.state == PROJECTION_LIVE)
			i++;
		else
			usleep(1000);
	}
}

/* ---- rows ----------------------------------------------------------------------- */

static inline void wait_all(struct projection_fixture *f, struct projector *p)
{
	struct projection_status status;

	for (unsigned i = 0; projector_status(p, i, &status); i++) {
		int rc = projector_wait(p, status.model->name, eventlog_size(f->log) - 1, 20000);

		projector_status(p, i, &status);
		ck_assert_msg(rc == 0, "%s: %s: %s", status.model->name, err_name(rc), status.problem);
	}
}

/* A list as JSON with these parameters, "name=value&name=value"; the answer is the caller's to free. */
static inline char *ask_list(struct query_pool *pool, const char *list, const char *params, struct query *ret)
{
	struct list_param pairs[16];
	struct list_problem problems[LIST_PROBLEMS_MAX];
	struct list_request request;
	struct slice rest = slice_str(params), pair;
	struct arena a = ARENA_INIT(1u << 20);
	struct query q = {.list = &request};
	size_t n = 0, n_problems;
	bool more = rest.len > 0;
	char *text;
	int rc;

	while (more) {
		more = slice_cut(rest, '&', &pair, &rest);
		slice_cut(pair, '=', &pairs[n].name, &pairs[n].value);
		n++;
	}
	ck_assert_ptr_nonnull(list_find(list));
	rc = list_request_parse(&request, list_find(list), pairs, n, LIST_LIMIT_MAX, &a, problems, &n_problems);
	ck_assert_msg(rc == 0, "%s: %s", params, n_problems > 0 ? problems[0].message : err_name(rc));
	if (ret != NULL)
		q.format = ret->format;
	rc = query_run(pool, &q);
	ck_assert_msg(rc == 0, "%s?%s: %s", list, params, err_name(rc));
	if (ret != NULL) {
		*ret = q;
		ret->out = (struct buf){0};
	} else {
		buf_finish(&q.next_cursor);
	}
	text = buf_take(&q.out, NULL);
	buf_finish(&q.out);
	arena_finish(&a);
	return text;
}

/* The rows of a list, with only these fields, must be this JSON. */
static inline void rows_are(struct query_pool *pool, const char *list, const char *params, const char *json)
{
	char *text = ask_list(pool, list, params, NULL);

	ck_assert_str_eq(text, json);
	free(text);
}

#endif
