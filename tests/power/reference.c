/* See reference.h. */
#include "reference.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/io.h"
#include "domain/envelope.h"
#include "states.h"
#include "store/log_facts.h"
#include "store/projector.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

static bool say(const char *what, const char *which)
{
	fprintf(stderr, "reference: %s: %s\n", what, which);
	return false;
}

static struct slice keep(struct slice bytes)
{
	char *copy = malloc(bytes.len + 1);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes.ptr, bytes.len);
	return slice_of(copy, bytes.len);
}

/* ---- the recorder tells the truth --------------------------------------------------- */

static bool same_file(const char *a, const char *b)
{
	struct buf one = BUF_INIT(FILE_BYTES_MAX), two = BUF_INIT(FILE_BYTES_MAX);
	bool same = file_read(&one, a) == 0 && file_read(&two, b) == 0 && slice_eq(buf_slice(&one), buf_slice(&two));

	buf_finish(&one);
	buf_finish(&two);
	return same;
}

/* Everything in `left` is in `right` and alike. Locks are nobody's content. */
static bool same_dir(const char *left, const char *right)
{
	char a[PATH_MAX], b[PATH_MAX];
	DIR *dir = opendir(left);
	struct dirent *entry;
	bool same = dir != NULL;

	while (same && (entry = readdir(dir)) != NULL) {
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(a, sizeof(a), "%s/%s", left, entry->d_name);
		snprintf(b, sizeof(b), "%s/%s", right, entry->d_name);
		if (stat(a, &st) != 0)
			same = false;
		else if (S_ISDIR(st.st_mode))
			same = same_dir(a, b);
		else
			same = strcmp(entry->d_name, "lock.mdb") == 0 ? file_exists(b) : same_file(a, b);
		if (!same)
			say("the trace does not lead to the file that is there", a);
	}
	if (dir != NULL)
		closedir(dir);
	return same;
}

static bool play(struct disk *d, const char *dir)
{
	struct choice *choices;
	uint64_t print;
	bool good;

	disk_step_to(d, disk_ops(d));
	choices = disk_choices(d);
	states_choose(d, 0, STATE_ALL, choices);
	good = disk_build(d, choices, 0, dir, &print, NULL, NULL);
	free(choices);
	return good;
}

/* ---- the events ------------------------------------------------------------------------ */

static int on_fact(void *arg, const struct log_fact *fact)
{
	struct known_event *e = arg;

	if (fact->kind == FACT_EVENT) {
		e->stream = keep(fact->key);
	} else if (fact->kind == FACT_ONCE) {
		memcpy(e->once, fact->key.ptr, ONCE_KEY_LEN);
		e->has_once = true;
	} else if (fact->kind == FACT_SUBJECT && e->n_keys < KEYS_OF_EVENT_MAX - 1) {
		memcpy(e->keys[e->n_keys].ref, fact->key.ptr, SUBJECT_REF_LEN);
		e->keys[e->n_keys].has_ref = true;
		e->keys[e->n_keys++].id = fact->id;
	}
	return 0;
}

/* A sealed body begins with 0x01 and the id of its key. */
static int read_blob(struct log_read *read, uint64_t position, struct known_event *e)
{
	struct slice blob;
	int rc = eventlog_blob(read, position, 0, &blob);

	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc != 0 || blob.len < 1 + ID_LEN)
		return ERR_CORRUPT;
	e->blob = keep(blob);
	memcpy(e->keys[e->n_keys++].id.bytes, blob.ptr + 1, ID_LEN);
	return 0;
}

static int read_events(struct reference *r, struct service *s)
{
	struct log_read read = {0};
	int rc = log_read_start(&read, s->log);

	for (uint64_t i = 0; rc == 0 && i < r->size; i++) {
		struct known_event *e = &r->events[i];
		struct log_record record;

		rc = eventlog_read_one(&read, i, &record);
		if (rc == 0) {
			e->entry = keep(record.entry);
			e->version = record.stream_version;
			rc = facts_of_entry(e->entry, i, record.type, NULL, on_fact, e);
		}
		if (rc == 0)
			rc = read_blob(&read, i, e);
		for (unsigned k = 0; rc == 0 && k < e->n_keys; k++)
			rc = keyring_get(s->keyring, &e->keys[k].id, e->keys[k].key);
	}
	log_read_stop(&read);
	return rc;
}

static int read_roots(struct reference *r, struct service *s)
{
	struct tile_reader tiles = eventlog_tiles(s->log);
	int rc = 0;

	for (uint64_t n = 0; rc == 0 && n <= r->size; n++)
		rc = merkle_root(&r->roots[n], n, &tiles);
	return rc;
}

static int read_notes(struct reference *r, struct service *s)
{
	size_t cap = 0;
	uint64_t from = 0;
	int rc = 0;

	while (rc == 0) {
		struct buf note = BUF_INIT(NOTE_BYTES_MAX);
		struct checkpoint c;
		uint64_t size;

		rc = eventlog_next_note(s->log, from, &size, &note);
		if (rc != 0)
			break;
		rc = checkpoint_open(&c, NULL, buf_slice(&note), &r->key, 1, NULL);
		if (rc == 0 && (c.size != size || !merkle_hash_eq(&c.root, &r->roots[size])))
			rc = ERR_CORRUPT;
		if (r->n_notes == cap) {
			cap = cap == 0 ? 64 : 2 * cap;
			r->notes = realloc(r->notes, cap * sizeof(*r->notes));
		}
		r->notes[r->n_notes++] = (struct known_note){size, keep(buf_slice(&note))};
		buf_finish(&note);
		from = size + 1;
	}
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* The digest after every single event, from a fresh fold. */
static int read_digests(struct reference *r, struct service *s, const struct projection *model, unsigned number)
{
	struct buf problem = BUF_INIT(400), path = BUF_INIT(PATH_MAX);
	struct fold fold = {.model = model, .log = s->log, .problem = &problem};
	struct event_feed *feed = NULL;
	uint64_t applied, position;
	int rc = buf_printf(&path, "%s/read/reference.db", s->data);

	r->digests[number] = calloc(r->size + 1, SHA256_LEN);
	if (rc == 0)
		rc = event_feed_open(&feed, &(struct event_feed_options){.log = s->log, .sealer = s->sealer,
		    .models = projections});
	feed_reader_init(&fold.reader, feed, model);
	if (rc == 0)
		rc = projection_file_open(&fold.file, model, path.ptr, &problem);
	for (uint64_t n = 0; rc == 0 && n <= r->size; n++) {
		rc = fold_batch(&fold, n, &applied);
		if (rc == 0)
			rc = fold_save(&fold);
		if (rc == 0)
			rc = projection_digest(path.ptr, model, r->digests[number][n], &position);
		if (rc == 0 && position != n)
			rc = ERR_CORRUPT;
	}
	if (rc != 0)
		say(model->name, problem.len > 0 ? problem.ptr : err_name(rc));
	projection_file_close(fold.file);
	feed_reader_finish(&fold.reader);
	event_feed_close(feed);
	projection_file_remove(path.ptr);
	buf_finish(&path);
	buf_finish(&problem);
	return rc;
}

static int read_all(struct reference *r, struct service *s)
{
	char path[PATH_MAX];
	int rc;

	r->size = eventlog_size(s->log);
	r->events = calloc(r->size + 1, sizeof(*r->events));
	r->roots = calloc(r->size + 1, sizeof(*r->roots));
	memcpy(r->origin, s->origin, sizeof(r->origin));
	r->key = *signer_key(s->signer);
	r->token = (struct buf)BUF_INIT(4096);
	snprintf(path, sizeof(path), "%s/" ADMIN_TOKEN_FILE, s->data);
	rc = file_read(&r->token, path);
	if (rc == 0)
		rc = read_events(r, s);
	if (rc == 0)
		rc = read_roots(r, s);
	if (rc == 0)
		rc = read_notes(r, s);
	while (rc == 0 && projections[r->n_models] != NULL && r->n_models < MODELS_MAX) {
		rc = read_digests(r, s, projections[r->n_models], r->n_models);
		r->n_models++;
	}
	return rc;
}

/* ---- the acknowledgements ----------------------------------------------------------------- */

/* The one event whose sealed body is what was sent. */
static bool find_sent(struct reference *r, struct service *s, struct slice sent, uint64_t *ret_position)
{
	struct arena arena = ARENA_INIT(1u << 20);
	unsigned found = 0;

	for (uint64_t i = 0; i < r->size; i++) {
		struct known_event *e = &r->events[i];
		struct buf plain = BUF_INIT(FILE_BYTES_MAX);
		struct envelope envelope;

		if (e->blob.ptr != NULL && envelope_decode(e->entry, i, &arena, &envelope) == 0 &&
		    seal_open_to(s->sealer, envelope.id, SLICE("raw"), e->blob, &plain) == 0 &&
		    slice_eq(buf_slice(&plain), sent)) {
			*ret_position = i;
			found++;
		}
		buf_finish(&plain);
		arena_reset(&arena);
	}
	arena_finish(&arena);
	return found == 1;
}

/* "X-Request-Id: <id>" of an answer; an empty slice when it is not a webhook's. */
static struct slice request_id(struct slice answer)
{
	static const char name[] = "X-Request-Id: w-";
	const char *at = memmem(answer.ptr, answer.len, name, sizeof(name) - 1);
	const char *end;

	if (at == NULL)
		return slice_of("", 0);
	at += sizeof(name) - 3;
	end = memchr(at, '\r', (size_t)(answer.ptr + answer.len - at));
	return end == NULL ? slice_of("", 0) : slice_of(at, (size_t)(end - at));
}

static bool read_answer(struct reference *r, struct service *s, const char *sent_dir, struct slice answer, uint64_t *owed)
{
	struct slice id = request_id(answer);
	struct buf sent = BUF_INIT(FILE_BYTES_MAX);
	char path[PATH_MAX];
	uint64_t position;
	bool good = true;

	if (id.len == 0)
		return true;
	snprintf(path, sizeof(path), "%s/%.*s", sent_dir, SLICE_ARG(id));
	if (file_read(&sent, path) != 0 || !find_sent(r, s, buf_slice(&sent), &position))
		good = say("acknowledged, and not once and unaltered in the log", path);
	else if (position + 1 > *owed)
		*owed = position + 1;
	r->acknowledged++;
	buf_finish(&sent);
	return good;
}

static bool read_answers(struct reference *r, struct service *s, const struct disk *d, const char *sent_dir)
{
	uint64_t owed = 0;

	r->owed = calloc(disk_ops(d) + 1, sizeof(*r->owed));
	r->first_answer = disk_ops(d);
	for (uint32_t i = 0; i < disk_ops(d); i++) {
		const uint8_t *bytes;
		const struct trace_op *op = disk_op(d, i, &bytes);

		if (op->kind == TRACE_ANSWER) {
			if (r->first_answer > i)
				r->first_answer = i;
			if (!read_answer(r, s, sent_dir, slice_of(bytes, op->len), &owed))
				return false;
		}
		r->owed[i + 1] = owed;
	}
	return true;
}

bool reference_load(struct reference *r, const char *trace_path, const char *sent_dir, const char *data_dir, const char *dir)
{
	struct disk *d = disk_open(trace_path);
	struct service s = {0};
	char data[PATH_MAX];
	bool good = d != NULL;
	int rc;

	*r = (struct reference){0};
	snprintf(data, sizeof(data), "%s/data", dir);
	good = good && play(d, dir) && same_dir(data, data_dir) && same_dir(data_dir, data);
	if (!good)
		return false;
	rc = service_open(&s, data);
	if (rc == 0)
		rc = service_start_signer(&s);
	if (rc == 0)
		rc = read_all(r, &s);
	if (rc != 0)
		good = say("the state at the end of the run is not good", s.problem[0] != '\0' ? s.problem : err_name(rc));
	good = good && read_answers(r, &s, d, sent_dir);
	service_close(&s);
	disk_close(d);
	return good;
}
