/* Members of a webhook by path. The tree is cJSON's; numbers go in as their own digits, so that none are lost. */
#include "webhook_edit.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"

enum { NAME_LEN_MAX = 128 };

/* The child of that name or index, or NULL. */
static cJSON *child_of(cJSON *parent, const char *name)
{
	uint64_t index;

	if (cJSON_IsObject(parent))
		return cJSON_GetObjectItemCaseSensitive(parent, name);
	if (cJSON_IsArray(parent) && slice_to_u64(slice_str(name), &index) == 0 && index <= INT32_MAX)
		return cJSON_GetArrayItem(parent, (int)index);
	return NULL;
}

/* Puts `value` at that place, in the place of what is there. Takes the value over in every case. */
static int put(cJSON *parent, const char *name, cJSON *value)
{
	uint64_t index;
	bool done = false;

	if (value == NULL)
		return ERR_NOMEM;
	if (cJSON_IsObject(parent)) {
		if (cJSON_GetObjectItemCaseSensitive(parent, name) != NULL)
			done = cJSON_ReplaceItemInObjectCaseSensitive(parent, name, value);
		else
			done = cJSON_AddItemToObject(parent, name, value);
	} else if (cJSON_IsArray(parent) && slice_to_u64(slice_str(name), &index) == 0) {
		if (index < (uint64_t)cJSON_GetArraySize(parent))
			done = cJSON_ReplaceItemInArray(parent, (int)index, value);
		else if (index == (uint64_t)cJSON_GetArraySize(parent))
			done = cJSON_AddItemToArray(parent, value);
	}
	if (done)
		return 0;
	cJSON_Delete(value);
	return ERR_NOT_FOUND;
}

static cJSON *value_of(const cJSON *present, const char *text)
{
	if (!cJSON_IsString(present) && json_scan(slice_str(text), NULL, NULL) == 0)
		return cJSON_CreateRaw(text);
	return cJSON_CreateString(text);
}

int webhook_set(struct cJSON *root, struct slice assignment)
{
	struct slice path, text, name;
	char key[NAME_LEN_MAX + 1];
	char *value;
	cJSON *at = root, *next;
	int rc = 0;

	if (!slice_cut(assignment, '=', &path, &text) || path.len == 0)
		return ERR_MALFORMED;
	value = strndup(text.len == 0 ? "" : text.ptr, text.len);
	if (value == NULL)
		return ERR_NOMEM;
	for (bool more = true; more && rc == 0;) {
		more = slice_cut(path, '.', &name, &path);
		if (name.len == 0 || name.len > NAME_LEN_MAX) {
			rc = ERR_MALFORMED;
			break;
		}
		memcpy(key, name.ptr, name.len);
		key[name.len] = '\0';
		next = child_of(at, key);
		if (!more) {
			rc = put(at, key, value_of(next, value));
		} else if (next == NULL) {
			next = cJSON_CreateObject();
			rc = put(at, key, next);
		}
		at = next;
	}
	free(value);
	return rc;
}

int webhook_set_trace_id(struct cJSON *root, const char *trace_id)
{
	return put(root, "trace_id", cJSON_CreateString(trace_id));
}

/* A whole number as its digits: a double has them exactly up to 2^53, cJSON's printing might not. */
static int put_number(cJSON *parent, const char *name, double number)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%.0f", number);
	return put(parent, name, cJSON_CreateRaw(digits));
}

/* Moves the times of one meeting_info, which are in seconds. */
static int move_meeting(cJSON *info, double by_s)
{
	static const char *const names[] = {"start_time", "end_time", "sub_meeting_start_time",
		"sub_meeting_end_time"};
	int rc = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc == 0; i++) {
		const cJSON *time = cJSON_GetObjectItemCaseSensitive(info, names[i]);

		if (cJSON_IsNumber(time))
			rc = put_number(info, names[i], time->valuedouble + by_s);
	}
	return rc;
}

int webhook_set_now(struct cJSON *root, int64_t now_ms)
{
	cJSON *item;
	int rc = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "payload")) {
		const cJSON *time = cJSON_GetObjectItemCaseSensitive(item, "operate_time");
		cJSON *info = cJSON_GetObjectItemCaseSensitive(item, "meeting_info");
		bool seconds;
		double by_s;

		if (!cJSON_IsNumber(time))
			continue;
		seconds = time->valuedouble < 1e11;
		by_s = floor((double)now_ms / 1000 - time->valuedouble / (seconds ? 1 : 1000));
		rc = put_number(item, "operate_time", seconds ? (double)(now_ms / 1000) : (double)now_ms);
		if (rc == 0 && info != NULL)
			rc = move_meeting(info, by_s);
		if (rc != 0)
			break;
	}
	return rc;
}
