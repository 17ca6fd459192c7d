/* See effect_id.h. */
#include "domain/effect_id.h"

#include "base/codec.h"
#include "crypto/crypto.h"

void effect_id_make(char ret_id[EFFECT_ID_LEN + 1], struct slice cause, struct slice effect, struct slice step)
{
	struct slice parts[] = {SLICE("effect/v1\0"), cause, effect, SLICE("\0"), step};
	uint8_t hash[32];

	blake2b(hash, sizeof(hash), (struct slice){0}, parts, sizeof(parts) / sizeof(parts[0]));
	hex_encode(ret_id, hash, EFFECT_ID_LEN / 2);
}
