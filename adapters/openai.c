/*
 * A language model behind OpenAI's interface (OpenAI, Volcano Ark, and others that
 * speak as they do): summaries of what was said.
 *
 * What is asked, and what must be answered, is in schemas/prompts and schemas/answers; how one question is put in
 * model_ask.c; how a long text becomes short in model_write.c.
 */
#include <stdlib.h>

#include "app/app.h"
#include "base/err.h"
#include "base/log.h"
#include "model_summary.h"
#include "net/http_client.h"
#include "vendor_call.h"

/* Figures of integrity.md 16; a work may be of many questions, each of them repeated (model_ask.c). */
static const struct effect_lane lane = {.name = "model", .class = EFFECT_HARMLESS, .concurrency = 4, .per_minute = 240,
    .burst = 30, .base_ms = 1000, .cap_ms = 120000, .tries_max = 6, .age_max_ms = 6 * 3600000};

static const char *host(void *state)
{
	const struct model *m = state;

	return m->host.len == 0 ? "" : m->host.ptr;
}

static const struct effect effects[] = {
	{.name = "ai.meeting", .lane = &lane, .run = model_meeting_run, .host = host, .thread_open = vendor_thread_open,
	    .thread_close = vendor_thread_close},
	{.name = "ai.participant", .lane = &lane, .run = model_participant_run, .host = host, .thread_open = vendor_thread_open,
	    .thread_close = vendor_thread_close},
	{.name = "ai.asked", .lane = &lane, .run = model_asked_run, .host = host, .thread_open = vendor_thread_open,
	    .thread_close = vendor_thread_close},
	{0},
};

/* ---- start and stop ------------------------------------------------------------------------ */

struct slice model_host_of(struct slice base)
{
	struct slice scheme, rest, name, path;

	if (!slice_cut(base, ':', &scheme, &rest))
		return SLICE("");
	while (rest.len > 0 && rest.ptr[0] == '/')
		rest = slice_of(rest.ptr + 1, rest.len - 1);
	slice_cut(rest, '/', &name, &path);
	return name;
}

static const char *configure(struct model *m, const struct config *c)
{
	struct arena probe = ARENA_INIT(4096);
	struct slice url, authorization;
	const char *problem = NULL;

	m->base = c->openai_base_url;
	m->key = c->ark_api_key.len > 0 ? c->ark_api_key : c->openai_api_key;
	m->name = c->openai_model;
	m->strict = slice_is(c->ai_dialect, "openai");
	m->temperature = c->openai_temperature;
	m->context_tokens = (size_t)c->ai_context_tokens;
	m->answer_tokens = (size_t)c->openai_max_tokens;
	if (m->answer_tokens > m->context_tokens / 2) /* at least half is for the question */
		m->answer_tokens = m->context_tokens / 2;
	m->part_tokens = (size_t)c->ai_part_tokens;
	m->price_in = c->ai_price_in;
	m->price_out = c->ai_price_out;
	m->currency = c->ai_currency;
	m->language = c->ai_language.ptr;
	if (m->key.len == 0)
		problem = "No language model is configured: set ARK_API_KEY or OPENAI_API_KEY, or there are no summaries.";
	else if (m->name.len == 0)
		problem = "The language model has no name: set OPENAI_MODEL.";
	else if (openai_url(m->base, "/", &probe, &url) != 0)
		problem = "The language model's address is none: see OPENAI_BASE_URL.";
	else if (openai_authorization(m->key, &probe, &authorization) != 0)
		problem = "The language model's key has characters that no key has: see ARK_API_KEY and OPENAI_API_KEY.";
	arena_wipe(&probe);
	return problem;
}

static void stop(void *state)
{
	struct model *m = state;

	model_memo_finish(&m->memo);
	free((char *)m->host.ptr);
	free(m);
}

static int start(struct app *app, void **ret_state)
{
	struct model *m = calloc(1, sizeof(*m));
	struct http_client *client; /* makes libcurl ready, before there are threads */
	struct slice name;
	int rc = m == NULL ? ERR_NOMEM : http_client_create(&client);

	if (rc != 0) {
		free(m);
		return rc;
	}
	http_client_destroy(client);
	model_memo_init(&m->memo);
	m->app = app;
	m->unready = configure(m, app->config);
	name = model_host_of(m->base);
	m->host = slice_str(strndup(name.ptr == NULL ? "" : name.ptr, name.len));
	if (m->host.ptr == NULL) {
		stop(m);
		return ERR_NOMEM;
	}
	if (m->unready != NULL)
		log_warn("model", m->unready);
	*ret_state = m;
	return 0;
}

static const char *unready(void *state)
{
	return ((struct model *)state)->unready;
}

static const struct route routes[] = {{0}};

const struct adapter adapter_openai = {
	.name = "openai",
	.routes = routes,
	.effects = effects,
	.start = start,
	.stop = stop,
	.unready = unready,
};
