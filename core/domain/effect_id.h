/* What an effect is called: the same cause always gives the same id, so asking again asks for the same (integrity.md 15). */
#ifndef LULAB_DOMAIN_EFFECT_ID_H
#define LULAB_DOMAIN_EFFECT_ID_H

#include "base/slice.h"

#define EFFECT_ID_LEN 32

/*
 * The first 16 bytes of BLAKE2b-256("effect/v1" 0 cause effect 0 step) as hex digits, and a NUL. cause: the id of
 * the event as its record has it; effect: "mail.code"; step tells several of one cause apart, may be empty.
 */
void effect_id_make(char ret_id[EFFECT_ID_LEN + 1], struct slice cause, struct slice effect, struct slice step);

#endif
