/* See app.h. */
#include "app.h"

#include <assert.h>
#include <stdlib.h>

#include "app/app_http.h"
#include "app/erase.h"
#include "app/user_import.h"
#include "app/caller_notes.h"
#include "app/codes.h"
#include "app/key_usage.h"
#include "app/roles.h"
#include "app/task_scheduler.h"
#include "app/tasks.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "domain/event.h"
#include "domain/note.h"
#include "net/peers.h"
#include "store/effect_replay.h"

#define TICK_MS 5000
#define KEY_RATES 8192 /* API keys in use at a time whose requests are counted; the quietest makes room */
#define WITNESS_WAIT_MS 3000 /* at the start; one that is slower is heard later */
#define COMMAND_THREADS 4
#define COMMANDS_WAITING_MAX 1024
#define HASHING_THREADS 4 /* integrity.md 20: at most so many at once */
#define HASHINGS_WAITING_MAX 64
#define DECISIONS_WAITING_MAX 128
#define LONG_WAITING_MAX 4
#define FATAL_GRACE_MS 500 /* for the 503s on their way when the log has failed */

void *app_adapter_state(const struct app *app, const struct adapter *adapter)
{
	for (unsigned i = 0; i < app->n_adapters_started; i++)
		if (app->adapters[i] == adapter)
			return app->adapter_states[i];
	return NULL;
}

/* --- the main loop ----------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int signum)
{
	struct app *app = handle->data;

	if (signum == SIGHUP) {
		int rc = http_server_reload_tls(app->server);

		if (rc == 0)
			log_info("app", "certificate read again");
		else
			log_error("app", "the new certificate is not usable, the old one stays; lulab doctor says why", "error",
			    err_name(rc));
		return;
	}
	log_info("app", "stopping", "signal", signum == SIGINT ? "SIGINT" : "SIGTERM");
	atomic_store(&app->stopping, true);
	uv_stop(&app->loop);
}

static void tick_adapters(struct app *app, bool last)
{
	for (unsigned i = 0; i < app->n_adapters_started; i++)
		if (app->adapters[i]->tick != NULL)
			app->adapters[i]->tick(app->adapter_states[i], last);
}

static void on_tick(uv_timer_t *timer)
{
	struct app *app = timer->data;

	tick_adapters(app, false);
	if (app->caller_notes != NULL)
		caller_notes_write(app->caller_notes, app->log, app->clock, app->rng, false);
	if (app->key_usage != NULL)
		key_usage_write(app->key_usage, app->log, app->clock, app->rng, false);
}

static void on_wake(uv_async_t *async)
{
	struct app *app = async->data;

	if (atomic_load(&app->fatal) != 0 || atomic_load(&app->stopping))
		uv_stop(&app->loop);
}

/* Writer thread. */
static void on_log_failed(void *arg, int err)
{
	struct app *app = arg;

	log_error("app", "the log could not be written: the process ends, the next start decides what is there", "error",
	    err_name(err));
	atomic_store(&app->fatal, err);
	uv_async_send(&app->wake);
}

/* Keyring's thread, or whose it was to erase. */
static void on_keys_failed(void *arg, int err)
{
	struct app *app = arg;

	log_error("app", "the keys could not be written: the process ends, the next start finds those there are", "error",
	    err_name(err));
	atomic_store(&app->fatal, err);
	uv_async_send(&app->wake);
}

static int loop_init(struct app *app, bool keep_signals)
{
	if (uv_loop_init(&app->loop) != 0)
		return ERR_NOMEM;
	if (uv_async_init(&app->loop, &app->wake, on_wake) != 0) {
		uv_loop_close(&app->loop);
		return ERR_NOMEM;
	}
	uv_timer_init(&app->loop, &app->tick);
	app->wake.data = app->tick.data = app;
	app->loop_ready = true;
	uv_timer_start(&app->tick, on_tick, TICK_MS, TICK_MS);
	if (keep_signals)
		return 0;
	/* The first one makes what all of a loop's share, and alone can fail. */
	if (uv_signal_init(&app->loop, &app->sigterm) != 0)
		return ERR_NOMEM;
	uv_signal_init(&app->loop, &app->sigint);
	uv_signal_init(&app->loop, &app->sighup);
	app->sigterm.data = app->sigint.data = app->sighup.data = app;
	app->signals_ready = true;
	if (uv_signal_start(&app->sigterm, on_signal, SIGTERM) != 0 ||
	    uv_signal_start(&app->sigint, on_signal, SIGINT) != 0 ||
	    uv_signal_start(&app->sighup, on_signal, SIGHUP) != 0)
		return ERR_IO;
	return 0;
}

static void loop_finish(struct app *app)
{
	if (!app->loop_ready)
		return;
	uv_close((uv_handle_t *)&app->wake, NULL);
	uv_close((uv_handle_t *)&app->tick, NULL);
	if (app->signals_ready) {
		uv_close((uv_handle_t *)&app->sigterm, NULL);
		uv_close((uv_handle_t *)&app->sigint, NULL);
		uv_close((uv_handle_t *)&app->sighup, NULL);
	}
	uv_run(&app->loop, UV_RUN_DEFAULT);
	uv_loop_close(&app->loop);
	app->loop_ready = false;
}

int app_run(struct app *app)
{
	while (atomic_load(&app->fatal) == 0 && !atomic_load(&app->stopping))
		uv_run(&app->loop, UV_RUN_DEFAULT);
	return atomic_load(&app->fatal);
}

/* --- start: one step, one sentence when it fails -------------------------------------- */

static int start_data_dir(struct app *app, struct buf *problem)
{
	bool restoring = false, succeeding = false;
	int rc = dir_create(app->data_dir, 0700);

	if (rc != 0) {
		buf_printf(problem, "the data directory %s cannot be made: %s; choose another with --data", app->data_dir,
		    err_text(rc));
		return rc;
	}
	rc = restore_is_under_way(app->data_dir, &restoring);
	if (rc == 0)
		rc = succession_is_under_way(app->data_dir, &succeeding);
	if (rc != 0) {
		buf_printf(problem, "the data directory %s cannot be looked into: %s", app->data_dir, err_text(rc));
		return rc;
	}
	if (restoring) {
		buf_printf(problem, "a backup is about to be restored into %s: finish with lulab backup restore", app->data_dir);
		return ERR_CONFLICT;
	}
	if (succeeding) {
		buf_printf(problem, "a successor is about to take the place of the log in %s: finish with lulab log succeed",
		    app->data_dir);
		return ERR_CONFLICT;
	}
	return 0;
}

static int start_auth(struct app *app, struct buf *problem)
{
	bool made = false;
	int rc = auth_open(&app->auth, app->data_dir, app->rng, &made);

	if (rc != 0)
		buf_printf(problem, "%s/" ADMIN_TOKEN_FILE " is not usable: %s; remove it and a new token is made",
		    app->data_dir, err_text(rc));
	else if (made)
		log_info("app", "an admin token was made", "file", ADMIN_TOKEN_FILE);
	return rc;
}

static void explain_keyring(struct app *app, int rc, const char *root_key, struct buf *problem)
{
	if (rc == ERR_LOCKED)
		buf_printf(problem, "the data directory %s is in use by another lulab; stop it first", app->data_dir);
	else if (rc == ERR_NOT_FOUND)
		buf_printf(problem,
		    "%s/keys holds sealed keys but the root key %s is missing: put it back, or nothing personal can be read",
		    app->data_dir, root_key);
	else if (rc == ERR_BAD_KEY)
		buf_printf(problem, "the root key %s does not open the keys in %s/keys: it belongs to another directory",
		    root_key, app->data_dir);
	else if (rc == ERR_DENIED)
		buf_printf(problem, "the root key %s must be readable by this user alone: chmod 600 it", root_key);
	else
		buf_printf(problem, "the keys in %s/keys cannot be opened: %s", app->data_dir, err_text(rc));
}

static int start_keys(struct app *app, struct buf *problem)
{
	const struct config *c = app->config;
	struct arena a = ARENA_INIT(65536);
	struct keyring_options o = {
		.dir = arena_printf(&a, "%s/keys", app->data_dir),
		.root_key_path = c->root_key_file.len > 0 ? c->root_key_file.ptr
		                                          : arena_printf(&a, "%s/root.key", app->data_dir),
		.keep_days = (unsigned)c->webhook_keep_raw_days,
		.clock = app->clock,
		.rng = app->rng,
		.on_fatal = on_keys_failed,
		.arg = app,
	};
	int rc = o.dir == NULL || o.root_key_path == NULL ? ERR_NOMEM : keyring_open(&app->keyring, &o);

	if (rc != 0)
		explain_keyring(app, rc, o.root_key_path, problem);
	arena_finish(&a);
	return rc;
}

static int start_log(struct app *app, struct buf *problem)
{
	const struct config *c = app->config;
	struct buf why = BUF_INIT(2048);
	struct eventlog_options o = {.dir = app->data_dir, .clock = app->clock,
	    .map_bytes = (uint64_t)c->log_map_size, .reserve_bytes = (uint64_t)c->disk_reserve,
	    .index_delay_ms = (uint32_t)c->index_delay, .type_number = event_type_number,
	    .existed = signer_was_here(app->data_dir), .on_fatal = on_log_failed, .arg = app, .problem = &why};
	int rc = signer_record(app->data_dir, &o.signed_size, &o.signed_root);

	if (rc == 0 || rc == ERR_NOT_FOUND)
		rc = eventlog_open(&app->log, &o);
	if (rc == 0) {
		rc = log_refuse_restored(app->log, app->data_dir);
		if (rc != 0)
			buf_printf(&why, "whether it was restored from a backup cannot be told");
	}
	if (rc == ERR_LOCKED)
		buf_printf(problem, "the data directory %s is in use by another lulab; stop it first", app->data_dir);
	else if (rc != 0)
		buf_printf(problem, "the log in %s cannot be opened: %s%s%s", app->data_dir, err_text(rc),
		    why.len > 0 ? ": " : "", why.len > 0 ? why.ptr : "");
	buf_finish(&why);
	return rc;
}

static int find_subject(void *arg, const uint8_t ref[SEAL_REF_LEN], struct id *ret_id)
{
	return eventlog_find_subject(arg, ref, ret_id);
}

static int start_sealer(struct app *app, struct buf *problem)
{
	struct sealer_options o = {.keyring = app->keyring, .origin = app->origin, .lookup = find_subject,
	    .lookup_arg = app->log, .rng = app->rng};
	int rc = sealer_create(&app->sealer, &o);

	if (rc != 0)
		buf_printf(problem, "the server's own secrets in %s/keys cannot be read: %s", app->data_dir, err_text(rc));
	return rc;
}

static int start_signer(struct app *app, struct buf *problem)
{
	struct signer_options o = {.data_dir = app->data_dir, .origin = app->origin, .log = signed_log_of(app->log),
	    .interval_ms = (unsigned)app->config->checkpoint_interval, .clock = app->clock, .rng = app->rng};
	int rc = signer_start(&app->signer, &o);

	if (rc != 0)
		buf_printf(problem, "the checkpoint signer of %s cannot start: %s", app->data_dir, err_text(rc));
	else if (signer_refusal(app->signer) != NULL)
		log_error("app", "the log is read-only", "reason", signer_refusal(app->signer));
	return rc;
}

static bool policy_is_ours(const struct policy *policy, const struct note_key *key)
{
	for (unsigned i = 0; i < policy->n_logs; i++)
		if (memcmp(policy->logs[i].id, key->id, NOTE_ID_LEN) == 0 && strcmp(policy->logs[i].name, key->name) == 0)
			return true;
	return policy->n_logs == 0;
}

/* Before anything is appended: a witness may have seen more of this log than there is. */
static int start_witnesses(struct app *app, struct buf *problem)
{
	const char *path = app->config->witness_policy.ptr;
	struct policy *policy;
	int rc;

	if (app->config->witness_policy.len == 0)
		return 0;
	policy = malloc(sizeof(*policy));
	rc = policy == NULL ? ERR_NOMEM : policy_read(policy, path, problem);
	if (rc == 0 && !policy_is_ours(policy, signer_key(app->signer))) {
		buf_printf(problem, "%s is the policy of another log: its log line is not the key in %s/log.vkey", path,
		    app->data_dir);
		rc = ERR_CONFIG;
	}
	if (rc == 0)
		rc = witnesses_start(&app->witnesses, app->log, policy, WITNESS_WAIT_MS);
	if (rc != 0 && problem->len == 0)
		buf_printf(problem, "the witnesses of %s cannot be asked: %s", path, err_text(rc));
	free(policy);
	return rc;
}

/* The first record of a log says whose it is. */
static int begin_log(struct app *app, struct buf *problem)
{
	struct arena a = ARENA_INIT(1 << 20);
	struct buf vkey = BUF_INIT(1024);
	struct event_log_created data = {.origin = slice_str(app->origin), .software = SLICE("lulab")};
	struct event_context ctx = {app->rng, app->clock, NULL};
	struct event_meta meta = {.source = SLICE("/"), .actor = SLICE("system"), .expect = EXPECT_NONE};
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc = 0;

	if (eventlog_size(app->log) > 0 || eventlog_refusal(app->log) != NULL)
		goto out;
	rc = note_key_format(&vkey, signer_key(app->signer));
	data.vkey = buf_slice(&vkey);
	if (rc == 0)
		rc = event_draft_make(&ctx, EVENT_LOG_CREATED, &data, &meta, &a, &draft, NULL);
	if (rc == 0)
		rc = eventlog_append_wait(app->log, &append);
	if (rc == ERR_DISK_FULL) {
		log_error("app", "too little free disk space: events are refused until there is more");
		rc = 0;
	} else if (rc != 0) {
		buf_printf(problem, "the first event cannot be written to the log in %s: %s", app->data_dir, err_text(rc));
	}
out:
	buf_finish(&vkey);
	arena_finish(&a);
	return rc;
}

static int start_log_check(struct app *app, struct buf *problem)
{
	struct log_check_options o = {.log = app->log, .data_dir = app->data_dir, .clock = app->clock,
	    .interval_s = (unsigned)app->config->verify_interval, .bytes_per_s = (uint64_t)app->config->verify_rate};
	const struct note_key *key;
	int rc;

	while ((key = signer_key_nth(app->signer, o.n_keys)) != NULL)
		o.keys[o.n_keys++] = *key;
	rc = log_check_start(&app->log_check, &o);
	if (rc != 0)
		buf_printf(problem, "the verification of the log in %s cannot start: %s", app->data_dir, err_text(rc));
	return rc;
}

/* Before anything sealed is opened. */
static int start_erased(struct app *app, struct buf *problem)
{
	int rc = erase_keys_at_start(app);

	if (rc != 0)
		buf_printf(problem, "the keys of people who were erased cannot be destroyed in %s/keys: %s", app->data_dir,
		    err_text(rc));
	return rc;
}

static int start_reading(struct app *app, struct buf *problem)
{
	struct projector_options p = {.dir = app->data_dir, .log = app->log, .sealer = app->sealer, .clock = app->clock,
	    .yields = true};
	struct query_pool_options q = {.clock = app->clock, .n_threads = (unsigned)app->config->query_threads};
	int rc = projector_start(&app->projector, &p);

	q.projector = app->projector;
	if (rc == 0)
		rc = query_pool_open(&app->queries, &q);
	if (rc != 0)
		buf_printf(problem, "the read models in %s/read cannot be opened: %s", app->data_dir, err_text(rc));
	return rc;
}

/* A secret alone may be left over in a file of settings: until when is asked for as well. */
static int believe_legacy(struct app *app, struct buf *problem)
{
	const struct config *c = app->config;
	int64_t until_us;
	int rc;

	if (c->jwt_secret_until.len == 0)
		return 0;
	if (time_parse_us(c->jwt_secret_until, &until_us) != 0) {
		buf_printf(problem, "LULAB_JWT_SECRET_UNTIL is no instant, as 2027-01-31T00:00:00Z");
		return ERR_CONFIG;
	}
	rc = tokens_believe_legacy(app->tokens, c->jwt_secret, until_us / 1000000);
	if (rc == ERR_INVALID) {
		buf_printf(problem, "LULAB_JWT_SECRET_UNTIL is set, but JWT_SECRET is not, or is shorter than %d bytes and can be guessed",
		    TOKEN_LEGACY_SECRET_MIN);
		rc = ERR_CONFIG;
	}
	return rc;
}

/* What commands run on, and what their callers are known by. */
static int start_identity(struct app *app, struct buf *problem)
{
	int rc = tokens_open(&app->tokens, app->keyring, app->origin, app->clock, app->rng);

	/* What changed anybody's rights may be the last event there is: nobody is believed by older rows. */
	atomic_store(&app->access_epoch, eventlog_size(app->log));
	app->key_rates = peers_create(KEY_RATES, app->rng);
	if (rc == 0 && app->key_rates == NULL)
		rc = ERR_NOMEM;
	if (rc == 0)
		rc = believe_legacy(app, problem);
	if (rc == 0)
		rc = caller_notes_create(&app->caller_notes);
	if (rc == 0)
		rc = key_usage_create(&app->key_usage);
	if (rc == 0)
		rc = job_pool_open(&app->commands, "lulab-command", COMMAND_THREADS, COMMANDS_WAITING_MAX);
	if (rc == 0)
		rc = user_imports_open(&app->imports, app);
	if (rc == 0)
		rc = job_pool_open(&app->hashings, "lulab-hash", HASHING_THREADS, HASHINGS_WAITING_MAX);
	if (rc == 0)
		rc = job_pool_open(&app->decisions, "lulab-decide", 1, DECISIONS_WAITING_MAX); /* one: see action.h */
	if (rc == 0)
		rc = job_pool_open(&app->longs, "lulab-long", 1, LONG_WAITING_MAX);
	if (rc == 0)
		rc = codes_open(&app->codes, app);
	if (rc != 0 && problem->len == 0)
		buf_printf(problem, "log-ins cannot be served: %s", err_text(rc));
	return rc;
}

static int start_erasures(struct app *app, struct buf *problem)
{
	int rc = erasures_open(&app->erasures, app);

	if (rc != 0)
		buf_printf(problem, "an erasure that was interrupted cannot be finished: %s", err_text(rc));
	return rc;
}

/* Before anybody is believed: what a role gives is looked up no earlier than this. */
static int start_roles(struct app *app, struct buf *problem)
{
	(void)problem;
	system_roles_update(app);
	return 0;
}

/* Without an answer in time (read models are being made anew) there is no link, so no first start either. */
static int start_setup(struct app *app, struct buf *problem)
{
	int rc = setup_offer(app, app->setup_token);

	(void)problem;
	if (rc != 0)
		log_warn("app", "whether there is an account cannot be told yet, so no set-up link was made", "error",
		    err_name(rc));
	return 0;
}

static int start_adapters(struct app *app, struct buf *problem)
{
	for (unsigned i = 0; app->adapters[i] != NULL; i++) {
		int rc = i < APP_ADAPTERS_MAX ? app->adapters[i]->start(app, &app->adapter_states[i]) : ERR_RANGE;

		if (rc != 0) {
			buf_printf(problem, "the adapter %s cannot start: %s", app->adapters[i]->name, err_text(rc));
			return rc;
		}
		app->n_adapters_started = i + 1;
	}
	return 0;
}

/* A command on a stopped directory has no adapters: it only appends, and what that asks for is done by the next start. */
static bool serves(const struct app *app)
{
	return app->adapters[0] != NULL;
}

/* Before anything is accepted: what is asked for from here on is wanted. */
static int start_effects(struct app *app, struct buf *problem)
{
	struct effect_entry entries[EFFECTS_MAX];
	struct effects_options o = {.log = app->log, .queries = app->queries, .sealer = app->sealer, .clock = app->clock,
	    .rng = app->rng, .entries = entries, .base_max_ms = app->config->effects_retry_base,
	    .breaker_ms = app->config->effects_breaker, .batch_wait_max_ms = app->config->effects_batch_wait};
	int rc = 0;

	effect_replay_clear(app->data_dir);
	for (unsigned i = 0; i < app->n_adapters_started; i++) {
		const struct adapter *adapter = app->adapters[i];
		void *state = app->adapter_states[i];
		const char *unready = adapter->unready == NULL ? NULL : adapter->unready(state);

		for (const struct effect *e = adapter->effects; rc == 0 && e != NULL && e->name != NULL; e++) {
			const char *why = unready != NULL || e->off == NULL ? unready : e->off(state);

			rc = o.n_entries < EFFECTS_MAX ? 0 : ERR_RANGE;
			if (rc == 0)
				entries[o.n_entries++] = (struct effect_entry){e, state, why == NULL, why};
		}
	}
	for (const struct effect *e = task_effects; rc == 0 && serves(app) && e->name != NULL; e++) {
		rc = o.n_entries < EFFECTS_MAX ? 0 : ERR_RANGE;
		if (rc == 0)
			entries[o.n_entries++] = (struct effect_entry){.effect = e, .state = app, .enabled = true};
	}
	if (rc == 0)
		rc = effects_start(&app->effects, &o);
	if (rc != 0)
		buf_printf(problem, "what is owed to the world cannot be attended to: %s", err_text(rc));
	return rc;
}

static int start_tasks(struct app *app, struct buf *problem)
{
	struct task_scheduler_options o = {.log = app->log, .queries = app->queries, .sealer = app->sealer,
	    .keyring = app->keyring, .clock = app->clock, .rng = app->rng};
	int rc = serves(app) ? task_scheduler_start(&app->task_scheduler, &o) : 0;

	if (rc != 0)
		buf_printf(problem, "tasks cannot be attended to: %s", err_text(rc));
	return rc;
}

static void on_pool_started(uv_work_t *work)
{
	(void)work;
}

/* libuv makes its pool's threads at the first work and aborts when it cannot: at the start, then, not under a request. */
static int start_pool(struct app *app, struct buf *problem)
{
	int rc = uv_queue_work(&app->loop, &app->pool_start, on_pool_started, NULL);

	(void)problem;
	assert(rc == 0); /* fails only without a work function */
	return 0;
}

static int name_log(struct app *app, struct buf *problem)
{
	const struct config *c = app->config;
	int rc = log_origin(app->origin, app->data_dir, c->origin.len > 0 ? c->origin.ptr : NULL, app->rng);

	if (rc != 0)
		buf_printf(problem,
		    "the log's name is not usable: %s; LULAB_ORIGIN must stay what it was at the first start of %s",
		    err_text(rc), app->data_dir);
	return rc;
}

int app_start(struct app *app, const struct app_options *options, struct buf *problem)
{
	static int (*const steps[])(struct app *, struct buf *) = {
		start_data_dir, start_auth, app_cors_init, name_log, start_keys, start_log, start_sealer, start_signer,
		start_witnesses, begin_log, start_log_check, start_erased, start_reading, start_erasures, start_roles, start_identity,
		start_setup, start_adapters, start_effects, start_tasks, start_pool, app_http_start,
	};
	int rc;

	*app = (struct app){.config = options->config, .data_dir = options->config->data.ptr,
	    .clock = options->clock != NULL ? options->clock : &clock_system,
	    .rng = options->rng != NULL ? options->rng : &rng_system, .adapters = options->adapters};
	app->started_us = clock_wall_us(app->clock);
	rc = crypto_init();
	if (rc == 0)
		rc = loop_init(app, options->keep_signals);
	if (rc != 0)
		buf_printf(problem, "the program cannot start: %s", err_text(rc));
	for (size_t i = 0; rc == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		rc = steps[i](app, problem);
	if (rc != 0)
		app_stop(app);
	return rc;
}

/* --- stop ------------------------------------------------------------------------------ */

void app_stop(struct app *app)
{
	bool failed = atomic_load(&app->fatal) != 0;

	atomic_store(&app->stopping, true);
	erasures_cancel(app->erasures);
	if (app->server != NULL)
		http_server_stop(app->server, failed ? FATAL_GRACE_MS : (unsigned)app->config->stop_timeout);
	http_server_close(app->server);
	app->server = NULL;
	buf_finish(&app->openapi);
	for (unsigned i = 0; i < APP_LOOPS_MAX; i++)
		metrics_http_destroy(atomic_exchange(&app->loop_metrics[i], NULL));
	task_scheduler_stop(app->task_scheduler);
	app->task_scheduler = NULL;
	effects_stop(app->effects);
	app->effects = NULL;
	if (!failed)
		tick_adapters(app, true);
	if (!failed && app->caller_notes != NULL && app->log != NULL)
		caller_notes_write(app->caller_notes, app->log, app->clock, app->rng, true);
	if (!failed && app->key_usage != NULL && app->log != NULL)
		key_usage_write(app->key_usage, app->log, app->clock, app->rng, true);
	while (app->n_adapters_started > 0) {
		unsigned i = --app->n_adapters_started;

		if (app->adapters[i]->stop != NULL && app->adapter_states[i] != NULL)
			app->adapters[i]->stop(app->adapter_states[i]);
	}
	codes_close(app->codes);
	user_imports_close(app->imports);
	app->imports = NULL;
	if (app->erasures != NULL)
		projector_interrupt(app->projector);
	erasures_close(app->erasures);
	app->erasures = NULL;
	job_pool_close(app->longs);
	job_pool_close(app->decisions);
	job_pool_close(app->hashings);
	job_pool_close(app->commands);
	query_pool_close(app->queries);
	/* The threads below wait there. */
	if (app->log != NULL)
		eventlog_wake(app->log);
	projector_stop(app->projector);
	log_check_stop(app->log_check);
	signer_stop(app->signer); /* signs the last checkpoint, which the witnesses are to see */
	witnesses_stop(app->witnesses);
	eventlog_close(app->log);
	sealer_destroy(app->sealer);
	tokens_close(app->tokens);
	caller_notes_destroy(app->caller_notes);
	key_usage_destroy(app->key_usage);
	peers_destroy(app->key_rates);
	keyring_close(app->keyring);
	app_cors_finish(app);
	auth_close(&app->auth);
	crypto_wipe(app->setup_token, sizeof(app->setup_token));
	loop_finish(app);
	app->longs = app->decisions = app->hashings = app->commands = NULL;
	app->codes = NULL;
	app->tokens = NULL;
	app->caller_notes = NULL;
	app->key_usage = NULL;
	app->key_rates = NULL;
	app->queries = NULL;
	app->projector = NULL;
	app->log_check = NULL;
	app->witnesses = NULL;
	app->signer = NULL;
	app->log = NULL;
	app->sealer = NULL;
	app->keyring = NULL;
}
