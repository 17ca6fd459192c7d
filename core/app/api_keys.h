/* What the files of API keys' routes share. */
#ifndef LULAB_APP_API_KEYS_H
#define LULAB_APP_API_KEYS_H

#include "app/action.h"

/* The row (query api_key_by_id) of the key that the path names, for who may see it; false: the answer is set. For command threads. */
bool api_key_find(struct action *c, struct json_value *ret_row);

#endif
