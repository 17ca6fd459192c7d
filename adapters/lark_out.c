/*
 * Feishu out: tables of Bitable that are kept in step with meetings, people,
 * recordings and what each said, and messages. What is not set is not done: each table by
 * itself, the card, or all of it.
 */
#include "lark_out.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "net/http_client.h"
#include "vendor_call.h"

/* Figures of integrity.md 16; one thread, for the vendor takes one writer at a table. */
const struct effect_lane lark_table_lane = {.name = "lark_table", .class = EFFECT_READABLE, .concurrency = 1,
    .per_minute = 600, .burst = 60, .base_ms = 500, .cap_ms = 300000, .tries_max = 8, .age_max_ms = 86400000,
    .batch_max = LARK_BATCH_MAX, .batch_wait_ms = 5000};
/* 80 % of what the vendor allows within a minute. */
const struct effect_lane lark_message_lane = {.name = "lark_message", .class = EFFECT_KEYED, .concurrency = 8,
    .per_minute = 800, .burst = 40, .base_ms = 500, .cap_ms = 300000, .tries_max = 8, .age_max_ms = 86400000,
    .repeat_ms = 50 * 60000};

/* ---- what is switched off ------------------------------------------------------------------- */

static const char *off_table(const struct lark_out *out, enum lark_table table)
{
	static const char *const why[LARK_TABLES] = {
		[LARK_USER] = "LARK_TABLE_MEETING_USE is not set: the table of people is left alone.",
		[LARK_MEETING] = "LARK_TABLE_MEETING_RECORD is not set: the table of meetings is left alone.",
		[LARK_RECORDING] = "LARK_TABLE_MEETING_RECORDING is not set: the table of recordings is left alone.",
		[LARK_SUMMARY] = "LARK_TABLE_PERSONAL_MEETING_SUMMARY is not set: the table of what each said is left alone.",
	};

	if (out->app_token.len == 0)
		return "LARK_BITABLE_APP_TOKEN is not set: no table is kept in step.";
	return out->table_ids[table].len == 0 ? why[table] : NULL;
}

static const char *off_user(void *state)
{
	return off_table(state, LARK_USER);
}

static const char *off_meeting(void *state)
{
	return off_table(state, LARK_MEETING);
}

static const char *off_recording(void *state)
{
	return off_table(state, LARK_RECORDING);
}

static const char *off_summary(void *state)
{
	return off_table(state, LARK_SUMMARY);
}

static const char *off_forget(void *state)
{
	const char *why = NULL;

	for (unsigned t = 0; t < LARK_TABLES; t++) {
		why = off_table(state, (enum lark_table)t);
		if (why == NULL)
			break;
	}
	return why;
}

static const char *off_card(void *state)
{
	return ((const struct lark_out *)state)->chat.len > 0 ? NULL : "LULAB_LARK_CHAT is not set: no chat is told of meetings.";
}

static const char *host(void *state)
{
	return ((const struct lark_out *)state)->host;
}

#define THREADS .host = host, .thread_open = vendor_thread_open, .thread_close = vendor_thread_close
#define ROW(what) .lane = &lark_table_lane, .run = lark_write_rows, .off = off_##what, THREADS

static const struct effect effects[] = {
	{.name = "lark.user", ROW(user)},
	{.name = "lark.meeting", ROW(meeting)},
	{.name = "lark.recording", ROW(recording)},
	{.name = "lark.summary", ROW(summary)},
	{.name = "lark.forget", .lane = &lark_table_lane, .run = lark_forget, .off = off_forget},
	{.name = "lark.message", .lane = &lark_message_lane, .run = lark_send_message, THREADS},
	{.name = "lark.meeting_card", .lane = &lark_message_lane, .run = lark_send_card, .off = off_card, THREADS},
	{0},
};

/* ---- start and stop ---------------------------------------------------------------------------- */

static int start(struct app *app, void **ret_state)
{
	const struct config *c = app->config;
	struct lark_client_options o = {.base_url = c->lark_base_url, .app_id = c->lark_app_id, .app_secret = c->lark_app_secret,
	    .ca_file = c->lark_ca_file.len > 0 ? c->lark_ca_file.ptr : NULL};
	struct lark_out *out = calloc(1, sizeof(*out));
	struct http_client *client; /* makes libcurl ready, before there are threads */
	int rc = out == NULL ? ERR_NOMEM : http_client_create(&client);

	if (rc == 0) {
		http_client_destroy(client);
		while (o.base_url.len > 0 && o.base_url.ptr[o.base_url.len - 1] == '/')
			o.base_url.len--;
		rc = lark_client_create(&out->client, &o);
	}
	if (rc != 0) {
		free(out);
		return rc;
	}
	out->app = app;
	out->host = c->lark_base_url.ptr;
	out->app_token = c->lark_bitable_app_token;
	out->table_ids[LARK_USER] = c->lark_table_meeting_use;
	out->table_ids[LARK_MEETING] = c->lark_table_meeting_record;
	out->table_ids[LARK_RECORDING] = c->lark_table_meeting_recording;
	out->table_ids[LARK_SUMMARY] = c->lark_table_personal_meeting_summary;
	out->chat = c->lark_chat;
	if (c->lark_app_id.len == 0 || c->lark_app_secret.len == 0)
		out->unready = "Feishu is not configured: set LARK_APP_ID and LARK_APP_SECRET, or nothing is written there.";
	*ret_state = out;
	return 0;
}

static void stop(void *state)
{
	struct lark_out *out = state;

	lark_client_destroy(out->client);
	free(out);
}

static const char *unready(void *state)
{
	return ((struct lark_out *)state)->unready;
}

const struct adapter adapter_lark_out = {
	.name = "lark_out",
	.routes = lark_routes,
	.effects = effects,
	.start = start,
	.stop = stop,
	.unready = unready,
};
