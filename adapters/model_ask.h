/*
 * One question to the language model, and an answer that can be used: asked as a
 * stream, read strictly by its schema, asked once more with the reason when it cannot
 * be used. Nothing of an answer is kept unless all of it is good.
 *
 * A model's answer is a stranger's text. What is taken from it are the members of the
 * schema, within their limits.
 */
#ifndef LULAB_ADAPTERS_MODEL_ASK_H
#define LULAB_ADAPTERS_MODEL_ASK_H

#include <pthread.h>

#include "model_prompt.h"
#include "openai_wire.h"
#include "store/effect.h"

struct app;

/* Good answers of late, so that a long work that is tried again does not pay twice for what it had. Of this process alone. */
#define MODEL_MEMO_ANSWERS 128
#define MODEL_MEMO_BYTES ((size_t)8 << 20)
struct model_memo {
	pthread_mutex_t lock;
	struct model_memo_entry {
		uint8_t digest[32]; /* of the effect and the request: asked anew, it is answered anew */
		char *content;
		size_t len;
	} entries[MODEL_MEMO_ANSWERS]; /* the newest is at next - 1 */
	unsigned next;
	size_t bytes;
};

/* Who is asked, and how. Constant but for the memo. */
struct model {
	struct app *app;
	const char *unready; /* why there is none, static; NULL: there is one */
	struct slice base, key, name;
	struct slice host;   /* of base */
	bool strict;         /* knows schemas, and max_completion_tokens */
	double temperature;
	size_t context_tokens; /* question and answer */
	size_t answer_tokens;
	size_t part_tokens;    /* of a long text's parts */
	double price_in, price_out; /* of a million tokens; 0 = not known */
	struct slice currency;
	const char *language;
	struct model_memo memo;
};
/* The name and port of an address; borrowed. */
struct slice model_host_of(struct slice base);
void model_memo_init(struct model_memo *memo);
void model_memo_finish(struct model_memo *memo); /* wipes */

/* What it took, added up over questions. */
struct model_use {
	int64_t calls, prompt_tokens, completion_tokens;
	int64_t took_ms;
};

struct model_question {
	const struct model_prompt *prompt;
	const struct model_value *values; /* of the prompt, closed by {0}; {format} is given by model_ask() */
	const char *schema_name;
	const struct schema *schema;
};

/*
 * 0: *ret, a struct of the schema, in the call's arena.
 * ERR_TOO_BIG: question and answer together are too long for this model; ask about less of it. The outcome is not set.
 * ERR_CANCELLED: the call's outcome says why not.
 */
int model_ask(struct effect_call *call, struct model *m, const struct model_question *q, struct model_use *use, void *ret);

#endif
