/*
 * What the service says about itself: the welcome, and the OpenAPI 3.1 document.
 * The document is made from the very tables the router and the read models run
 * on (routes, lists, schemas of parameters and events), so it cannot drift.
 */
#include <stdio.h>
#include <stdlib.h>

#include "app/api.h"
#include "app/api_list.h"
#include "app/app_http.h"
#include "base/err.h"
#include "domain/event.h"

#define DOCUMENT_MAX (8 * 1024 * 1024)

/* Where the API's routes are found; a new api_x.c adds its line. */
const struct route *const api_tables[] = {
	api_effect_replays_routes, api_effects_routes, api_event_stream_routes, api_events_routes, api_meetings_routes, api_meetings_legacy_routes,
	api_auth_routes, api_departments_routes, api_key_changes_routes, api_key_usage_routes, api_keys_routes, api_logins_routes,
	api_member_permissions_routes, api_members_routes, api_orgs_routes,
	api_password_routes, api_permissions_routes, api_platform_identities_routes, api_profile_routes,
	api_projections_routes, api_recordings_routes, api_register_routes, api_roles_routes, api_sessions_routes,
	api_setup_routes, api_summaries_routes, api_task_changes_routes, api_tasks_routes, api_transcripts_routes, api_user_change_routes,
	api_user_import_routes, api_user_states_routes, api_users_routes, api_verification_routes,
	api_webhooks_routes, health_routes, metrics_routes, openapi_routes, NULL,
};

static void put(struct json_writer *w, const char *name, const char *text)
{
	json_name(w, name);
	json_put_str(w, text);
}

static void put_ref(struct json_writer *w, const char *schema)
{
	char ref[160];

	snprintf(ref, sizeof(ref), "#/components/schemas/%s", schema);
	json_begin_object(w);
	put(w, "$ref", ref);
	json_end_object(w);
}

/* --- schemas of answers --------------------------------------------------------------- */

/* Rows of lists: the columns are the members. */
static const struct {
	const char *item, *page, *list;
	const char *query; /* that answers one of them and tells more than the list; NULL: none does */
} rows[] = {
	{"Effect", "EffectList", "effects", NULL},
	{"LarkRow", "LarkRowList", "lark_rows", NULL},
	{"Login", "LoginList", "logins", NULL},
	{"Meeting", "MeetingList", "meetings", NULL},
	{"Participant", "ParticipantList", "participants", NULL},
	{"PlatformIdentity", "PlatformIdentityList", "platform_identities", NULL},
	{"Recording", "RecordingList", "recordings", NULL},
	{"RecordingFile", "RecordingFileList", "recording_files", NULL},
	{"StoredObject", "StoredObjectList", "storage_objects", NULL},
	{"TaskRun", "TaskRunList", "task_runs", NULL},
	{"Summary", "SummaryList", "summaries", "summary_by_id"},
	{"User", "UserList", "users", "user_by_id"},
	{"UserImport", "UserImportList", "user_imports", NULL},
	{"Webhook", "WebhookList", "webhooks", NULL},
};

static void put_column(struct json_writer *w, enum column_kind kind)
{
	static const char *const types[] = {[COLUMN_TEXT] = "string", [COLUMN_INTEGER] = "integer",
		[COLUMN_REAL] = "number", [COLUMN_BOOL] = "boolean", [COLUMN_TIME] = "string", [COLUMN_JSON] = NULL};

	json_begin_object(w);
	if (types[kind] != NULL) {
		json_name(w, "type");
		json_begin_array(w);
		json_put_str(w, types[kind]);
		json_put_str(w, "null");
		json_end_array(w);
	}
	if (kind == COLUMN_TIME)
		put(w, "format", "date-time");
	json_end_object(w);
}

static void put_row(struct json_writer *w, const struct query_column *columns)
{
	json_begin_object(w);
	put(w, "type", "object");
	json_name(w, "properties");
	json_begin_object(w);
	for (const struct query_column *c = columns; c->name != NULL; c++) {
		json_name(w, c->name);
		put_column(w, c->kind);
	}
	json_end_object(w);
	json_end_object(w);
}

static void put_page(struct json_writer *w, const char *item)
{
	json_begin_object(w);
	put(w, "type", "object");
	json_name(w, "properties");
	json_begin_object(w);
	json_name(w, "data");
	json_begin_object(w);
	put(w, "type", "array");
	json_name(w, "items");
	put_ref(w, item);
	json_end_object(w);
	json_name(w, "pagination");
	put_ref(w, "Pagination");
	json_end_object(w);
	json_name(w, "required");
	json_put_raw(w, SLICE("[\"data\",\"pagination\"]"));
	json_end_object(w);
}

static const char pagination_schema[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"page\":{\"type\":[\"integer\",\"null\"]},\"limit\":{\"type\":\"integer\"},"
    "\"total\":{\"type\":[\"integer\",\"null\"]},\"totalPages\":{\"type\":[\"integer\",\"null\"]},"
    "\"nextCursor\":{\"type\":[\"string\",\"null\"],\"description\":\"pass it as cursor= to go on\"}}}";

static const char problem_schema[] =
    "{\"type\":\"object\",\"description\":\"RFC 9457\",\"properties\":{"
    "\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},"
    "\"detail\":{\"type\":\"string\",\"description\":\"what to do about it\"},\"instance\":{\"type\":\"string\"},"
    "\"code\":{\"type\":\"string\",\"description\":\"machine-readable\"},\"requestId\":{\"type\":\"string\"},"
    "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},"
    "\"code\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}}}}},\"required\":[\"status\",\"title\"]}";

static void put_event(struct json_writer *w)
{
	json_begin_object(w);
	put(w, "type", "object");
	json_name(w, "properties");
	json_begin_object(w);
	json_name(w, "position");
	json_put_raw(w, SLICE("{\"type\":\"integer\",\"minimum\":0}"));
	json_name(w, "type");
	json_begin_object(w);
	put(w, "type", "string");
	json_name(w, "examples");
	json_begin_array(w);
	for (size_t i = 0; i < event_types_n; i++)
		json_put_str(w, event_types[i].name);
	json_end_array(w);
	json_end_object(w);
	static const char *const texts[] = {"id", "time", "stream", "source", "actor", "causationId", "correlationId",
		"traceparent", "dataschema"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_name(w, texts[i]);
		json_put_raw(w, SLICE("{\"type\":\"string\"}"));
	}
	json_name(w, "version");
	json_put_raw(w, SLICE("{\"type\":\"integer\",\"description\":\"place in its stream, from 1\"}"));
	json_name(w, "data");
	json_put_raw(w, SLICE("{\"type\":\"object\",\"description\":\"one of the schemas data.<type>\"}"));
	json_end_object(w);
	json_name(w, "required");
	json_put_raw(w, SLICE("[\"position\",\"id\",\"type\",\"time\",\"stream\",\"data\"]"));
	json_end_object(w);
}

static void put_schemas(struct json_writer *w)
{
	char name[96];

	json_name(w, "schemas");
	json_begin_object(w);
	json_name(w, "Problem");
	json_put_raw(w, slice_str(problem_schema));
	json_name(w, "Pagination");
	json_put_raw(w, slice_str(pagination_schema));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_name(w, rows[i].item);
		put_row(w, rows[i].query != NULL ? query_find(rows[i].query)->columns : list_find(rows[i].list)->columns);
		json_name(w, rows[i].page);
		put_page(w, rows[i].item);
	}
	json_name(w, "Event");
	put_event(w);
	json_name(w, "EventList");
	put_page(w, "Event");
	for (size_t i = 0; i < event_types_n; i++) {
		snprintf(name, sizeof(name), "data.%s", event_types[i].name);
		json_name(w, name);
		schema_describe(event_types[i].schema, w);
	}
	json_end_object(w);
}

/* --- parameters --------------------------------------------------------------------------- */

static void begin_parameter(struct json_writer *w, struct slice name, const char *in, const char *description)
{
	json_begin_object(w);
	json_name(w, "name");
	json_put_string(w, name);
	put(w, "in", in);
	if (strcmp(in, "path") == 0) {
		json_name(w, "required");
		json_put_bool(w, true);
	}
	if (description != NULL && description[0] != '\0')
		put(w, "description", description);
	json_name(w, "schema");
}

static void put_parameter(struct json_writer *w, const char *name, const char *schema, const char *description)
{
	begin_parameter(w, slice_str(name), "query", description);
	json_put_raw(w, slice_str(schema));
	json_end_object(w);
}

static void put_path_parameters(struct json_writer *w, const char *path)
{
	struct slice rest = slice_str(path), before, name;

	while (slice_cut(rest, '{', &before, &rest)) {
		slice_cut(rest, '}', &name, &rest);
		begin_parameter(w, name, "path", NULL);
		json_put_raw(w, slice_is(name, "position") ? SLICE("{\"type\":\"integer\",\"minimum\":0}")
		                                           : SLICE("{\"type\":\"string\"}"));
		json_end_object(w);
	}
}

static void put_filter(struct json_writer *w, const struct list_filter *f)
{
	begin_parameter(w, slice_str(f->name), "query", NULL);
	json_begin_object(w);
	put(w, "type", f->is_integer ? "integer" : f->is_bool ? "boolean" : "string");
	if (f->values != NULL) {
		json_name(w, "enum");
		json_begin_array(w);
		for (size_t i = 0; f->values[i] != NULL; i++)
			json_put_str(w, f->values[i]);
		json_end_array(w);
	}
	json_end_object(w);
	json_end_object(w);
}

static void put_sort(struct json_writer *w, const struct list_def *list)
{
	begin_parameter(w, SLICE("sort"), "query", "order; the first is the default, a minus turns it round");
	json_begin_object(w);
	put(w, "type", "string");
	json_name(w, "enum");
	json_begin_array(w);
	for (const struct list_sort *s = list->sorts; s->name != NULL; s++) {
		char turned[80];

		snprintf(turned, sizeof(turned), "-%s", s->name);
		json_put_str(w, s->descending ? turned : s->name);
		json_put_str(w, s->descending ? s->name : turned);
	}
	json_end_array(w);
	json_end_object(w);
	json_end_object(w);
}

static void put_list_parameters(struct json_writer *w, const struct api_list_doc *doc)
{
	const struct list_def *list = list_find(doc->list);

	for (const struct list_filter *f = list->filters; f != NULL && f->name != NULL; f++)
		if (doc->fixed == NULL || strcmp(doc->fixed, f->name) != 0)
			put_filter(w, f);
	if (list->range_from != NULL) {
		put_parameter(w, list->range_from, "{\"type\":\"string\"}", "from this date (a day of UTC) or instant (2026-11-23T00:00:00+08:00) on");
		put_parameter(w, list->range_to, "{\"type\":\"string\"}", "up to this instant, or to the end of this date (a day of UTC)");
	}
	if (list->search_sql != NULL)
		put_parameter(w, "search", "{\"type\":\"string\",\"maxLength\":200}", "words, Chinese ones included");
	put_sort(w, list);
	put_parameter(w, "page", "{\"type\":\"integer\",\"minimum\":1,\"default\":1}", "not together with cursor");
	put_parameter(w, "limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"default\":10}", "rows a page");
	put_parameter(w, "cursor", "{\"type\":\"string\"}", "nextCursor of the answer before");
	put_parameter(w, "fields", "{\"type\":\"string\"}", "only these members, separated by commas");
}

static void put_parameters(struct json_writer *w, const struct route *r)
{
	json_name(w, "parameters");
	json_begin_array(w);
	put_path_parameters(w, r->path);
	for (size_t i = 0; r->params != NULL && i < r->params->n_fields; i++) {
		const struct schema_field *f = &r->params->fields[i];

		begin_parameter(w, f->name, "query", f->description);
		schema_describe_field(f, w);
		json_end_object(w);
	}
	if (r->extra != NULL)
		put_list_parameters(w, r->extra);
	if (r->flags & ROUTE_KEYED) {
		begin_parameter(w, SLICE("Idempotency-Key"), "header", "sent again with it, the same request is done once");
		json_put_raw(w, SLICE("{\"type\":\"string\",\"minLength\":16,\"maxLength\":128}"));
		json_end_object(w);
	}
	json_end_array(w);
}

/* --- operations ------------------------------------------------------------------------------ */

static void put_content(struct json_writer *w, const char *answer)
{
	static const struct {
		const char *answer, *media_type, *schema;
	} plain[] = {
		{"text", "text/plain", "{\"type\":\"string\"}"},
		{"event-stream", "text/event-stream", "{\"type\":\"string\"}"},
		{"object", "application/json", "{\"type\":\"object\"}"},
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(answer, plain[i].answer) != 0)
			continue;
		json_name(w, plain[i].media_type);
		json_begin_object(w);
		json_name(w, "schema");
		json_put_raw(w, slice_str(plain[i].schema));
		json_end_object(w);
		return;
	}
	json_name(w, "application/json");
	json_begin_object(w);
	json_name(w, "schema");
	if (strstr(answer, "List") != NULL) {
		put_ref(w, answer);
	} else {
		json_begin_object(w);
		put(w, "type", "object");
		json_name(w, "properties");
		json_begin_object(w);
		json_name(w, "data");
		put_ref(w, answer);
		json_end_object(w);
		json_end_object(w);
	}
	json_end_object(w);
	if (strstr(answer, "List") == NULL)
		return;
	json_name(w, "application/x-ndjson");
	json_put_raw(w, SLICE("{\"schema\":{\"type\":\"string\"}}"));
	json_name(w, "text/csv");
	json_put_raw(w, SLICE("{\"schema\":{\"type\":\"string\"}}"));
}

static void put_responses(struct json_writer *w, const struct route *r)
{
	json_name(w, "responses");
	json_begin_object(w);
	json_name(w, r->success == NULL ? "200" : r->success);
	json_begin_object(w);
	put(w, "description", "done");
	if (r->success == NULL || strcmp(r->success, "204") != 0) {
		json_name(w, "content");
		json_begin_object(w);
		put_content(w, r->answer == NULL ? "text" : r->answer);
		json_end_object(w);
	}
	json_end_object(w);
	json_name(w, "default");
	json_put_raw(w, SLICE("{\"$ref\":\"#/components/responses/Problem\"}"));
	json_end_object(w);
}

static const char *const method_names[HTTP_METHOD_COUNT] = {"", "get", "post", "put", "patch", "delete"};

static void put_operation(struct json_writer *w, const struct route *r)
{
	json_name(w, method_names[r->method]);
	json_begin_object(w);
	put(w, "summary", r->summary);
	if (r->tag != NULL) {
		json_name(w, "tags");
		json_begin_array(w);
		json_put_str(w, r->tag);
		json_end_array(w);
	}
	if (r->flags & ROUTE_PUBLIC) {
		json_name(w, "security");
		json_put_raw(w, SLICE("[]"));
	} else if (r->permission != NULL) {
		put(w, "x-permission", r->permission);
	} else { /* for whoever is signed in; API keys are not, but see ROUTE_KEYS */
		json_name(w, "x-signed-in");
		json_put_bool(w, true);
		json_name(w, "x-api-keys");
		json_put_bool(w, (r->flags & ROUTE_KEYS) != 0);
	}
	put_parameters(w, r);
	if (r->method == HTTP_POST || r->request != NULL) {
		json_name(w, "requestBody");
		json_begin_object(w);
		json_name(w, "content");
		json_begin_object(w);
		json_name(w, "application/json");
		json_begin_object(w);
		json_name(w, "schema");
		if (r->request != NULL)
			schema_describe(r->request, w);
		else
			json_put_raw(w, SLICE("{\"type\":\"object\"}"));
		json_end_object(w);
		json_end_object(w);
		json_end_object(w);
	}
	put_responses(w, r);
	json_end_object(w);
}

/* The shown routes over all tables, as many of them as there is room for; how many there are. */
static size_t shown_routes(const struct app *app, const struct route **ret, size_t room)
{
	size_t n = 0;

	for (size_t t = 0; app->routes[t] != NULL; t++) {
		for (const struct route *r = app->routes[t]; r->method != HTTP_NONE; r++) {
			if (r->flags & ROUTE_HIDDEN)
				continue;
			if (n < room)
				ret[n] = r;
			n++;
		}
	}
	return n;
}

/* All methods of the path of the first route; theirs become NULL. */
static void put_path(struct json_writer *w, const struct route **routes, size_t n)
{
	const char *path = routes[0]->path;

	json_name(w, path);
	json_begin_object(w);
	for (size_t i = 0; i < n; i++) {
		if (routes[i] == NULL || strcmp(routes[i]->path, path) != 0)
			continue;
		put_operation(w, routes[i]);
		routes[i] = NULL;
	}
	json_end_object(w);
}

/* A path is one object with all its methods, written where it occurs first. */
static int put_paths(struct json_writer *w, const struct app *app)
{
	size_t n = shown_routes(app, NULL, 0);
	const struct route **routes = calloc(n + 1, sizeof(*routes));

	if (routes == NULL)
		return ERR_NOMEM;
	shown_routes(app, routes, n);
	json_name(w, "paths");
	json_begin_object(w);
	for (size_t i = 0; i < n; i++)
		if (routes[i] != NULL)
			put_path(w, &routes[i], n - i);
	json_end_object(w);
	free(routes);
	return 0;
}

int openapi_make(struct app *app)
{
	struct json_writer w = JSON_WRITER(&app->openapi);
	int rc;

	app->openapi = (struct buf)BUF_INIT(DOCUMENT_MAX);

	json_begin_object(&w);
	put(&w, "openapi", "3.1.0");
	json_name(&w, "info");
	json_put_raw(&w, SLICE("{\"title\":\"lulab\",\"version\":\"1\",\"summary\":\"Meetings, their events and their "
	                       "proofs\",\"license\":{\"name\":\"MIT\",\"identifier\":\"MIT\"}}"));
	json_name(&w, "security");
	json_put_raw(&w, SLICE("[{\"bearer\":[]},{\"apiKey\":[]}]"));
	rc = put_paths(&w, app);
	json_name(&w, "components");
	json_begin_object(&w);
	json_name(&w, "securitySchemes");
	json_put_raw(&w, SLICE("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
	                       "\"apiKey\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\"}}"));
	json_name(&w, "responses");
	json_put_raw(&w, SLICE("{\"Problem\":{\"description\":\"what is wrong, and what to do about it\",\"content\":"
	                       "{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}}"));
	put_schemas(&w);
	json_end_object(&w);
	json_end_object(&w);
	return rc != 0 ? rc : app->openapi.rc;
}

static void openapi(struct http_request *rq)
{
	http_respond_shared(rq, 200, HTTP_JSON, buf_slice(&app_of(rq)->openapi));
}

static void welcome(struct http_request *rq)
{
	http_respond_slice(rq, 200, HTTP_TEXT,
	    SLICE("Welcome to LULAB Backend API Service - Empowering Education Technology\n"
	          "\n"
	          "/openapi.json     what can be asked here\n"
	          "/api/v1/meetings  meetings (with Authorization: Bearer, see admin.token in the data directory)\n"
	          "/readyz?verbose   how every part is\n"
	          "/metrics          counters for Prometheus\n"));
}

const struct route openapi_routes[] = {
	{HTTP_GET, "/", welcome, .flags = ROUTE_PUBLIC, .answer = "text", .tag = "service", .summary = "Where to go next"},
	{HTTP_GET, "/openapi.json", openapi, .flags = ROUTE_PUBLIC, .answer = "object", .tag = "service",
	    .summary = "This document"},
	{HTTP_GET, "/api-json", openapi, .flags = ROUTE_PUBLIC | ROUTE_HIDDEN, .answer = "object", .tag = "service",
	    .summary = "This document, where existing clients look for it"},
	{0},
};
