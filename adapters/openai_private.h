/* What the readers of whole answers and of streams share; private to adapters/openai_*.c. */
#ifndef LULAB_ADAPTERS_OPENAI_PRIVATE_H
#define LULAB_ADAPTERS_OPENAI_PRIVATE_H

#include "openai_wire.h"

enum openai_finish openai_finish_of(struct slice reason);
/* Of the member "usage", when there is one. */
void openai_usage_of(struct json_value v, struct arena *a, struct openai_usage *usage);

#endif
