/* Ids: 16 bytes, random or in the order of their making, as hexadecimal text. */
#include "base/id.h"

#include "base/codec.h"
#include "base/err.h"

struct id id_random(const struct rng *rng)
{
	struct id id;

	rng_fill(rng, id.bytes, sizeof(id.bytes));
	return id;
}

struct id id_ordered(const struct rng *rng, int64_t wall_ms)
{
	struct id id;

	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)((uint64_t)wall_ms >> (40 - 8 * i));
	rng_fill(rng, id.bytes + 6, sizeof(id.bytes) - 6);
	return id;
}

void id_format(char ret_text[ID_TEXT_LEN + 1], const struct id *id)
{
	hex_encode(ret_text, id->bytes, sizeof(id->bytes));
}

int id_parse(struct slice text, struct id *ret_id)
{
	struct id id;

	if (text.len != ID_TEXT_LEN)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
			return ERR_MALFORMED;
	}
	if (hex_decode(id.bytes, sizeof(id.bytes), text) != 0)
		return ERR_MALFORMED;
	*ret_id = id;
	return 0;
}
