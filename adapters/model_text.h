/*
 * How long a text is for a language model, and how a long one is cut into parts
 * that fit. Pure functions, any thread.
 *
 * Models count tokens, each in a way of its own. The estimate here is meant to be a little high for all of them; where it is
 * too low after all, the vendor says so and the part is cut in two.
 */
#ifndef LULAB_ADAPTERS_MODEL_TEXT_H
#define LULAB_ADAPTERS_MODEL_TEXT_H

#include "base/slice.h"

/* About as many tokens as the text has. What is no UTF-8 counts a token a byte. */
size_t model_tokens(struct slice text);

/*
 * Takes the next part of at most so many tokens (but at least one character) from the front of *rest: up to the end of a
 * line, or of a sentence, or between two characters, the first of these that does not make it shorter than half of what
 * fits. All parts together are the text. False: nothing is left.
 */
bool model_cut(struct slice *rest, size_t tokens_max, struct slice *ret_part);

/* The language most of the text is in: "zh-CN", "en", "ja", "ko", or "" when none is. */
const char *model_language(struct slice text);

#endif
