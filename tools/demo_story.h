/* The sentences of `lulab demo`: what an event means to somebody who sees one for the first time. */
#ifndef LULAB_TOOLS_DEMO_STORY_H
#define LULAB_TOOLS_DEMO_STORY_H

#include "base/buf.h"
#include "base/json.h"

/*
 * Appends what the event tells, on one line; false: it is no part of the story. data: that of the event, as the API has it.
 * A member that is absent is told as "?". Errors stick in `line`.
 */
bool demo_tell(struct slice type, struct json_value data, struct buf *line);

#endif
