/* What the parts of the storage adapter share. */
#ifndef LULAB_ADAPTERS_STORAGE_PRIVATE_H
#define LULAB_ADAPTERS_STORAGE_PRIVATE_H

#include "adapters/object_private.h"
#include "app/adapter.h"
#include "app/api.h"
#include "params.gen.h"

#define STORAGE_CONTENT_PATH "/api/v1/storage/content"

extern const struct adapter adapter_storage;

/* The link with its signature, as a path; in the arena. p without one. NULL: no memory. */
const char *storage_link(const struct object_stores *all, struct arena *a, struct params_storage_content *p);
http_handler storage_serve_content;

/* An event without sealed fields among the results of an effect. ERR_NOMEM, ERR_TOO_BIG (no room), ERR_INVALID. */
int object_tell(struct effect_call *call, enum event_type type, const void *data);

#endif
