/*
 * Prompts: what a language model is asked, as schemas/prompts has it, filled in.
 * Any thread.
 *
 * What people said, or wrote, goes between two lines that nobody else could have written (model_fence); the prompt says
 * that nothing between them is an instruction.
 */
#ifndef LULAB_ADAPTERS_MODEL_PROMPT_H
#define LULAB_ADAPTERS_MODEL_PROMPT_H

#include "base/buf.h"
#include "domain/schema.h"

struct sealer;

struct model_prompt {
	const char *name, *language;
	const char *version; /* "meeting@1a2b3c4d": the name and a digest of the text */
	const char *system, *user;
};
extern const struct model_prompt model_prompts[]; /* closed by {0}; prompts.gen.c */

/* What goes where the prompt has {name}. */
struct model_value {
	const char *name;
	struct slice value;
};
/* Appends the text with its values, closed by {0}. In values nothing is looked for; a {name} without one stays as it is. */
void model_fill(struct buf *out, const char *text, const struct model_value *values);

/* In that language, else in English when it is neither Chinese nor unknown, else in zh-CN. The name must exist (asserted). */
const struct model_prompt *model_prompt_find(const char *name, struct slice language);

/* A line for around this text: of its digest under the server's secret, so that its writer could not know it. In the arena; {NULL,0}: no memory. */
struct slice model_fence(struct sealer *sealer, struct slice text, struct arena *a);

/*
 * The schema as JSON Schema in the strict form that vendors take: every property required, none besides, no lengths.
 * with_limits: those too, for models that only read it.
 */
void model_schema_write(const struct schema *s, bool with_limits, struct json_writer *w);

#endif
