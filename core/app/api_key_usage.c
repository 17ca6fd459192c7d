/*
 * What an API key was used for (api_key_usage_logs of functional-spec 15): a row
 * for each hour, route and status. For who may see the key; see key_usage.h for when it is told.
 */
#include "app/api.h"
#include "app/api_admin.h"
#include "app/api_keys.h"
#include "base/clock.h"
#include "params.gen.h"

#define HOUR_MS 3600000

static bool read_instant(struct action *c, const char *name, struct slice text, int64_t otherwise, int64_t *ret_ms)
{
	int64_t at_us;

	*ret_ms = otherwise;
	if (text.len == 0)
		return true;
	if (time_parse_us(text, &at_us) != 0)
		return action_fail(c, 400, "invalid",
		    arena_printf(c->arena, "%s: is no instant, as 2026-11-23T00:00:00Z.", name), "时间格式不正确");
	*ret_ms = at_us / 1000;
	return true;
}

static void run_usage(struct action *c)
{
	struct params_api_key_usage q;
	struct json_value row;
	int64_t from_ms, to_ms;
	struct action_param of[6] = {{"key", http_request_param(c->rq, "id"), 0}};

	if (!api_key_find(c, &row) || !admin_params(c, &schema_params_api_key_usage, &q) ||
	    !read_instant(c, "startDate", q.start_date, 0, &from_ms) || !read_instant(c, "endDate", q.end_date, INT64_MAX, &to_ms))
		return;
	of[1] = (struct action_param){"from", {0}, from_ms - from_ms % HOUR_MS};
	of[2] = (struct action_param){"to", {0}, to_ms};
	of[3] = (struct action_param){"status", {0}, q.has_status_code ? q.status_code : -1};
	admin_page(c, "api_key_usage_page", of, 4, q.page, q.has_limit ? q.limit : q.page_size);
}

static void usage(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_usage);
}

const struct route api_key_usage_routes[] = {
	ADMIN_ROUTES(HTTP_GET, "/api-keys/{id}/usage", usage, NULL, 0, .params = &schema_params_api_key_usage, .answer = "object",
	    .tag = "api keys", .summary = "What an API key was used for: how often in an hour, by route and status"),
	{0},
};
