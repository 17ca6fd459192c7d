/*
 * Changing a webhook before it is sent: members by path ("payload.0.operator.user_name"),
 * a new trace_id, the present time.
 */
#ifndef LULAB_TOOLS_WEBHOOK_EDIT_H
#define LULAB_TOOLS_WEBHOOK_EDIT_H

#include "base/slice.h"

struct cJSON;

/*
 * "path=value". Names and indexes are joined by dots; what is missing on the way is
 * made, an index one past the end appends. The value is text where the member is text now;
 * otherwise JSON if it is JSON, else text. An empty value after "path=" is the empty text.
 * ERR_MALFORMED: no '='; ERR_NOT_FOUND: the path leads through a value that has no members, or
 * past the end of a list; ERR_NOMEM.
 */
int webhook_set(struct cJSON *root, struct slice assignment);

/* ERR_NOMEM. */
int webhook_set_trace_id(struct cJSON *root, const char *trace_id);

/*
 * Moves every item's operate_time to now, in the unit it has, and the times of
 * its meeting_info by the same span. ERR_NOMEM.
 */
int webhook_set_now(struct cJSON *root, int64_t now_ms);

#endif
