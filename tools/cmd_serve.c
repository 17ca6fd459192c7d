/* lulab serve: the service itself. */
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "app/app.h"
#include "base/err.h"
#include "base/log.h"
#include "command.h"
#include "process.h"
#include "settings.h"
#include "store/log_guard.h"

_Static_assert(LOG_STATUS_DAMAGED == STATUS_NOT_VERIFIED, "damage has one status, whoever notices it");

/* A connection is a descriptor: take what the system allows. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static enum exit_status load(struct invocation *in, struct config_loaded *config)
{
	const struct config_flag flags[] = {
		{"data", option_text(in, "data")}, {"listen", option_text(in, "listen")},
		{"loops", option_text(in, "loops")}, {0},
	};
	struct config_sources sources = {.flags = flags, .environment = (const char *const *)environ,
	    .env_file = option_text(in, "env-file")};
	enum exit_status status = settings_load(in, &sources, config);
	enum log_level level;

	if (status != STATUS_OK)
		return status;
	if (log_level_parse(config->values.log_level, &level) == 0)
		log_set_level(level);
	return STATUS_OK;
}

/* Once, for whoever started it; not a line of the log, which others may read. */
static void show_setup(struct app *app)
{
	struct buf url = BUF_INIT(1024);

	if (app->setup_token[0] != '\0' && settings_url(app->config, &url) == 0) {
		printf("\n"
		       "  Welcome to lulab. Nobody has an account here yet, and there is no default password.\n"
		       "  This link makes yours, one that may do everything; it works once, within the hour:\n"
		       "\n"
		       "      %s/setup#%s\n"
		       "\n"
		       "  Or in another terminal: lulab user create YOUR_NAME --role SUPER_ADMIN\n"
		       "\n",
		    url.ptr, app->setup_token);
		/* It serves all the same, and its end is not to be called a failure for that. */
		if (fflush(stdout) != 0) {
			log_warn("app", "the link to the first account could not be shown; lulab user create makes one, too");
			__fpurge(stdout);
			clearerr(stdout);
		}
	}
	crypto_wipe(app->setup_token, sizeof(app->setup_token));
	buf_finish(&url);
}

#define LOCKED_TRIES 20
#define LOCKED_PAUSE_MS 50

/*
 * A process that was killed just when it had forked for ffprobe leaves a child behind, which holds the locks for as long as it takes to
 * come to its exec; whoever starts the service again at once must not fail for that.
 */
static int start(struct app *app, const struct app_options *options, struct buf *problem)
{
	const struct timespec pause = {.tv_nsec = LOCKED_PAUSE_MS * 1000000};
	int rc = app_start(app, options, problem);

	for (int i = 0; rc == ERR_LOCKED && i < LOCKED_TRIES; i++) {
		nanosleep(&pause, NULL);
		buf_clear(problem);
		rc = app_start(app, options, problem);
	}
	return rc;
}

static int serve(struct invocation *in, struct config_loaded *config)
{
	struct app *app = calloc(1, sizeof(*app));
	struct app_options options = {.config = &config->values, .adapters = adapters};
	struct buf problem = BUF_INIT(8192);
	int rc;

	if (app == NULL)
		return command_fail_err(in, ERR_NOMEM, "cannot start");
	rc = start(app, &options, &problem);
	if (rc != 0) {
		rc = command_fail(in, status_of(rc), "%s", problem.len > 0 ? problem.ptr : err_text(rc));
	} else {
		log_info("app", "listening", "address", http_server_address(app->server), "data", app->data_dir, "origin",
		    app->origin);
		show_setup(app);
		rc = app_run(app) == 0 ? STATUS_OK : APP_STATUS_LOG_FAILED;
		app_stop(app);
		log_info("app", "stopped");
	}
	buf_finish(&problem);
	free(app);
	return rc;
}

static int run_serve(struct invocation *in)
{
	struct config_loaded config;
	int status;

	process_prepare();
	raise_descriptor_limit();
	status = load(in, &config);
	if (status == STATUS_OK)
		status = serve(in, &config);
	config_finish(&config);
	return status;
}

static const struct option options[] = {
	OPTION_DATA,
	{.name = "listen", .kind = OPTION_TEXT, .value = "ADDR:PORT",
	    .summary = "where to listen (default: LULAB_LISTEN, else 127.0.0.1 and PORT, else port 3000)"},
	{.name = "loops", .kind = OPTION_NUMBER, .value = "N", .max = 64,
	    .summary = "threads that serve HTTP (default: one per processor)"},
	{.name = "env-file", .kind = OPTION_FILE, .value = "FILE", .summary = "settings (default: ./.env when it is there)"},
	{0},
};

static const struct example examples[] = {
	{"lulab serve", "keeps its data in ./data and listens on 127.0.0.1:3000"},
	{"lulab serve --data /var/lib/lulab --listen 0.0.0.0:8080", "the same elsewhere"},
	{"TENCENT_MEETING_TOKEN_FILE=/run/secrets/token lulab serve", "takes a secret from a file"},
	{0},
};

extern const struct command cmd_serve;
const struct command cmd_serve = {
	.name = "serve",
	.summary = "Run the service",
	.description = "Receives webhooks, keeps them in the log, folds them into read models and answers the API.\n"
	               "Settings come from flags, the environment and .env, in this order; lulab config show lists them.\n"
	               "The first start prints a link that makes the first account; there is no default password.\n"
	               "The admin token is in the file admin.token of the data directory.\n"
	               "Ends cleanly on SIGTERM and Ctrl-C; SIGHUP reads the certificate again. Exit status 70: the log, "
	               "its index or the keys could not be written; start again, the next start decides what is there. An abort "
	               "(SIGABRT, 134 in a shell): the event loop found no memory or descriptor for itself; start again. "
	               "Exit status 4: a file of the store, which it names, is damaged or cannot be read. "
	               "None of these loses what was acknowledged.",
	.options = options,
	.examples = examples,
	.run = run_serve,
};
