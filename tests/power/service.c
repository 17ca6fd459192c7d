/* See service.h. */
#include "service.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"
#include "domain/event.h"
#include "store/projector.h"

#define STOCK 4u /* a full stock of keys takes longer to make than all the rest */
#define MAP_BYTES ((uint64_t)1 << 30)

static int failed(struct service *s, int rc, const char *step, const struct buf *why)
{
	if (rc != 0)
		snprintf(s->problem, sizeof(s->problem), "%s: %s%s%.*s", step, err_name(rc), why != NULL && why->len > 0 ? ": " : "",
		    why != NULL ? (int)why->len : 0, why != NULL && why->ptr != NULL ? why->ptr : "");
	return rc;
}

static int find_subject(void *arg, const uint8_t ref[SEAL_REF_LEN], struct id *ret_id)
{
	return eventlog_find_subject(arg, ref, ret_id);
}

int service_open_keys(struct service *s)
{
	char dir[PATH_MAX], root_key[PATH_MAX];
	struct keyring_options o = {.dir = dir, .root_key_path = root_key, .stock = STOCK, .keep_days = 30,
	    .clock = &clock_system, .rng = &rng_system};
	struct sealer_options so = {.origin = s->origin, .lookup = find_subject, .lookup_arg = s->log, .rng = &rng_system};
	int rc;

	snprintf(dir, sizeof(dir), "%s/keys", s->data);
	snprintf(root_key, sizeof(root_key), "%s/root.key", s->data);
	rc = failed(s, keyring_open(&s->keyring, &o), "the keyring does not open", NULL);
	so.keyring = s->keyring;
	return rc == 0 ? failed(s, sealer_create(&s->sealer, &so), "the sealer does not start", NULL) : rc;
}

int service_begin(struct service *s, const char *data)
{
	int rc;

	*s = (struct service){0};
	snprintf(s->data, sizeof(s->data), "%s", data);
	rc = failed(s, dir_create(s->data, 0700), "the data directory cannot be made", NULL);
	if (rc == 0)
		rc = failed(s, auth_open(&s->auth, s->data, &rng_system, NULL), "the admin token is not usable", NULL);
	if (rc == 0)
		rc = failed(s, log_origin(s->origin, s->data, NULL, &rng_system), "the log's name is not usable", NULL);
	return rc;
}

int service_open_log(struct service *s, const char *data)
{
	struct buf why = BUF_INIT(400);
	struct eventlog_options o = {.clock = &clock_system, .map_bytes = MAP_BYTES, .reserve_off = true,
	    .type_number = event_type_number, .problem = &why};
	int rc = service_begin(s, data);

	if (rc != 0)
		return rc;
	rc = signer_record(s->data, &s->signed_size, &s->signed_root);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return failed(s, rc, "the signer's state cannot be read", NULL);
	o.dir = s->data;
	o.existed = signer_was_here(s->data);
	o.signed_size = s->signed_size;
	o.signed_root = s->signed_root;
	rc = failed(s, eventlog_open(&s->log, &o), "the log does not open", &why);
	buf_finish(&why);
	return rc;
}

int service_open(struct service *s, const char *data)
{
	int rc = service_open_log(s, data);

	return rc == 0 ? service_open_keys(s) : rc;
}

int service_start_signer(struct service *s)
{
	struct signer_options o = {.data_dir = s->data, .origin = s->origin, .log = signed_log_of(s->log),
	    .clock = &clock_system, .rng = &rng_system};
	int rc = failed(s, signer_start(&s->signer, &o), "the signer does not start", NULL);

	if (rc == 0 && signer_refusal(s->signer) != NULL) {
		snprintf(s->problem, sizeof(s->problem), "the signer refuses: %s", signer_refusal(s->signer));
		rc = ERR_CORRUPT;
	}
	return rc;
}

void service_close(struct service *s)
{
	if (s->log != NULL)
		eventlog_wake(s->log); /* the signer waits in it */
	signer_stop(s->signer);
	event_feed_close(s->feed);
	eventlog_close(s->log);
	sealer_destroy(s->sealer);
	keyring_close(s->keyring);
	auth_close(&s->auth);
	s->signer = NULL;
	s->feed = NULL;
	s->log = NULL;
	s->sealer = NULL;
	s->keyring = NULL;
}

/* As open_file() of store/projector.c, set_aside() included. */
int service_open_model(struct service *s, const struct projection *model, struct fold *fold, bool *ret_lost)
{
	char bad[PATH_MAX + 8];
	struct buf path = BUF_INIT(PATH_MAX);
	int rc = buf_printf(&path, "%s/read", s->data);

	*ret_lost = false;
	fold->model = model;
	fold->log = s->log;
	buf_clear(fold->problem);
	if (rc == 0)
		rc = dir_create(path.ptr, 0700);
	buf_clear(&path);
	if (rc == 0)
		rc = projection_path(&path, s->data, model);
	if (rc == 0 && s->feed == NULL)
		rc = event_feed_open(&s->feed, &(struct event_feed_options){.log = s->log, .sealer = s->sealer,
		    .models = projections});
	feed_reader_init(&fold->reader, s->feed, model);
	if (rc == 0)
		rc = projection_file_open(&fold->file, model, path.ptr, fold->problem);
	if (rc == 0)
		rc = fold_check(fold);
	if (rc == ERR_CORRUPT && !fold->log_failed) {
		*ret_lost = true;
		projection_file_close(fold->file);
		fold->file = NULL;
		snprintf(bad, sizeof(bad), "%s.bad", path.ptr);
		io_calls->rename(path.ptr, bad);
		projection_file_remove(path.ptr);
		buf_clear(fold->problem);
		rc = projection_file_open(&fold->file, model, path.ptr, fold->problem);
	}
	buf_finish(&path);
	return failed(s, rc, model->name, fold->problem);
}
