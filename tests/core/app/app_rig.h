/*
 * The service in the process of the test, with a data directory and settings of its own, and questions to it over a
 * connection each.
 */
#ifndef LULAB_TESTS_APP_RIG_H
#define LULAB_TESTS_APP_RIG_H

#include "app/app.h"

#include "base/log.h"
#include "core/net/http_rig.h"
#include "core/store/projection_fixture.h"
#include "lib/temp_dir.h"

struct app_rig {
	struct projection_fixture f; /* of the service's parts, while it runs: give() and wait_all() work */
	struct config_loaded config;
	struct app app;
	struct buf problem; /* of the last start */
	char token[100];    /* the operator's */
};

/* The service's, NULL: the system's. The log, keys and codes go by it, too. */
static const struct clock *app_rig_clock;

static inline void app_rig_quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

/* A data directory, and nothing started. What is logged is kept from the terminal. */
static inline void app_rig_init(struct app_rig *r)
{
	log_set_sink(app_rig_quiet, NULL);
	ck_assert_int_eq(crypto_init(), 0);
	*r = (struct app_rig){.problem = BUF_INIT(8192)};
	temp_dir_make(r->f.dir, "app");
}

static inline void app_rig_finish(struct app_rig *r)
{
	config_finish(&r->config);
	buf_finish(&r->problem);
	temp_dir_remove(r->f.dir);
	log_set_sink(NULL, NULL);
}

/* Settings as NAME=value, the last NULL; each must be one there is. `data` NULL: the rig's directory. */
static inline void app_rig_configure(struct app_rig *r, const char *data, const char *const *settings)
{
	const struct config_flag flags[] = {{"data", data == NULL ? r->f.dir : data}, {"loops", "1"}, {0}};
	const char *environment[32] = {"LULAB_LISTEN=127.0.0.1:0", "LULAB_LOG_MAP_SIZE=256MiB", "LULAB_DISK_RESERVE=1",
	    "LULAB_RATE_LIMIT=0", "LULAB_RATE_LIMIT_MEETINGS=0", "LULAB_QUERY_THREADS=1"};
	size_t n = 6;
	int rc;

	for (; settings != NULL && *settings != NULL; settings++)
		environment[n++] = *settings;
	config_finish(&r->config);
	rc = config_load(&r->config, &(struct config_sources){.flags = flags, .environment = environment, .env_file = ""});
	ck_assert_msg(rc == 0, "%s: %s", r->config.problems.n > 0 ? r->config.problems.items[0].path : "",
	    r->config.problems.n > 0 ? r->config.problems.items[0].message : err_name(rc));
	ck_assert_msg(r->config.remarks.total == 0, "%s", r->config.remarks.n > 0 ? r->config.remarks.items[0].message : "");
}

static inline int app_rig_start(struct app_rig *r, const struct adapter *const *with)
{
	static const struct adapter *const none[] = {NULL};
	struct app_options options = {.config = &r->config.values, .adapters = with == NULL ? none : with,
	    .keep_signals = true, .clock = app_rig_clock};

	buf_clear(&r->problem);
	return app_start(&r->app, &options, &r->problem);
}

/* Started for good: with the operator's token, and the fixture filled in. */
static inline void app_rig_open(struct app_rig *r, const struct adapter *const *with)
{
	struct buf text = BUF_INIT(100);
	char path[128];
	int rc = app_rig_start(r, with);

	ck_assert_msg(rc == 0, "%s: %s", err_name(rc), r->problem.ptr == NULL ? "" : r->problem.ptr);
	snprintf(path, sizeof(path), "%s/admin.token", r->f.dir);
	ck_assert_int_eq(file_read(&text, path), 0);
	snprintf(r->token, sizeof(r->token), "%.*s", SLICE_ARG(slice_trim(buf_slice(&text))));
	buf_finish(&text);
	r->f.log = r->app.log;
	r->f.sealer = r->app.sealer;
	clock_manual_init(&r->f.clock, FIXTURE_TIME_US);
	rng_test_init(&r->f.rng, 1);
}

/* The operator asks; `fields` are lines with their ends, or "". The answer is the caller's to finish. */
static inline struct answer app_rig_ask(struct app_rig *r, const char *method, const char *target, const char *fields)
{
	struct buf text = BUF_INIT(8192);
	struct answer a;

	buf_printf(&text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%s\r\n", method, target,
	    r->token, fields);
	a = ask(http_server_port(r->app.server), text.ptr);
	buf_finish(&text);
	return a;
}

#endif
