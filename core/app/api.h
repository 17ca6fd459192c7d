/* The HTTP API: one file a resource, each with its table of routes, and the few things they share. */
#ifndef LULAB_APP_API_H
#define LULAB_APP_API_H

#include "domain/schema.h"
#include "net/http.h"
#include "store/eventlog.h"

extern const struct route api_auth_routes[];
extern const struct route api_departments_routes[];
extern const struct route api_effect_replays_routes[];
extern const struct route api_effects_routes[];
extern const struct route api_event_stream_routes[];
extern const struct route api_events_routes[];
extern const struct route api_logins_routes[];
extern const struct route api_key_changes_routes[];
extern const struct route api_key_usage_routes[];
extern const struct route api_keys_routes[];
extern const struct route api_meetings_legacy_routes[];
extern const struct route api_meetings_routes[];
extern const struct route api_platform_identities_routes[];
extern const struct route api_member_permissions_routes[];
extern const struct route api_members_routes[];
extern const struct route api_orgs_routes[];
extern const struct route api_password_routes[];
extern const struct route api_permissions_routes[];
extern const struct route api_profile_routes[];
extern const struct route api_projections_routes[];
extern const struct route api_recordings_routes[];
extern const struct route api_transcripts_routes[];
extern const struct route api_register_routes[];
extern const struct route api_roles_routes[];
extern const struct route api_sessions_routes[];
extern const struct route api_setup_routes[];
extern const struct route api_task_changes_routes[];
extern const struct route api_tasks_routes[];
extern const struct route api_summaries_routes[];
extern const struct route api_user_change_routes[];
extern const struct route api_user_import_routes[];
extern const struct route api_user_states_routes[];
extern const struct route api_users_routes[];
extern const struct route api_verification_routes[];
extern const struct route api_webhooks_routes[];
extern const struct route health_routes[];
extern const struct route metrics_routes[];
extern const struct route openapi_routes[];

/* A route of log-ins at both places it has: where existing clients look, and under /api/v1. */
#define AUTH_TAG "auth"
#define AUTH_ROUTES(method, path, handler, open, ...) \
	{method, "/api/auth" path, handler, .flags = (open) | ROUTE_NO_ETAG, .tag = AUTH_TAG, __VA_ARGS__}, \
	{method, "/api/v1/auth" path, handler, .flags = (open) | ROUTE_NO_ETAG, .tag = AUTH_TAG, __VA_ARGS__}

struct app;

/* The document of all routes, once they are gathered; app->openapi, which the app frees. 0 or ERR_*. */
int openapi_make(struct app *app);

/* Query parameters into the struct of their schema; false: the 400 with all problems was sent. */
bool api_decode_params(struct http_request *rq, const struct schema *schema, void *ret);

/* Type name and stream into a filter of the log; false: the 400 was sent. Empty slices filter nothing. */
bool api_event_filter(struct http_request *rq, struct slice type, struct slice stream, struct log_filter *ret);

/* Answers with events of the log, of this stream alone unless it is empty. stream lives as long as the request. */
void api_list_events(struct http_request *rq, struct slice stream);

/* Appends what proves that the event at a position, below the end of the log, is in it: a proof file (integrity.md 8). Any
 * thread that may wait. */
int api_event_proof(struct app *app, uint64_t position, struct buf *out);

#endif
