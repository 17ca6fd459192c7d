/* What the files of API keys' routes share. */
#ifndef LULAB_APP_API_KEYS_H
#define LULAB_APP_API_KEYS_H

#include "app/action.h"

#define API_KEYS_MANAGE "api_keys:manage"

/* Where existing clients look, and under /api/v1. */
#define API_KEY_ROUTES(method, path, handler, ...) \
	{method, "/admin/api-keys" path, handler, .flags = ROUTE_NO_ETAG, .tag = "api keys", __VA_ARGS__}, \
	{method, "/api/v1/api-keys" path, handler, .flags = ROUTE_NO_ETAG, .tag = "api keys", __VA_ARGS__}

/* May they see and end keys that are not theirs: everybody's, or (org not empty) an organisation's? */
bool api_keys_manages(const struct principal *who, struct slice org);
/* The row (query api_key_by_id) of the key that the path names, for who may see it; false: the answer is set. For command threads. */
bool api_key_find(struct action *c, struct json_value *ret_row);
/* Answers with the key as it stands now; with its text when it was just made (else NULL), and the id of the one it follows. */
void api_key_answer(struct action *c, int status, struct slice id, const char *key, const char *old_id);

#endif
