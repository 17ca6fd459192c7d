/* See known.h. */
#include "app/known.h"

#include <stdlib.h>

#include "app/answer.h"
#include "app/app.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "store/projector.h"

#define ENTRIES 1024
#define SECRET_LEN 32

struct entry {
	uint64_t key;
	uint64_t generation, position; /* of the file that gave it; position 0: empty */
	char etag[HTTP_ETAG_LEN + 1];
};

struct known {
	uint8_t secret[SECRET_LEN]; /* so that nobody can look for two questions with one key */
	struct entry entries[ENTRIES];
};

int known_create(struct known **ret, const struct rng *rng)
{
	struct known *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return ERR_NOMEM;
	rng_fill(rng, k->secret, sizeof(k->secret));
	*ret = k;
	return 0;
}

void known_destroy(struct known *k)
{
	free(k);
}

/* Who asks is part of the question: what one may see, another may not. */
static struct entry *entry_of(const struct http_request *rq, enum query_format format, uint64_t *ret_key)
{
	struct known *k = loop_of(rq)->known;
	char form = (char)('0' + format);
	struct slice caller = {0}, parts[5];

	http_request_field(rq, "authorization", &caller);
	parts[0] = rq->target;
	parts[1] = SLICE("\n");
	parts[2] = caller;
	parts[3] = SLICE("\n");
	parts[4] = slice_of(&form, 1);
	blake2b((uint8_t *)ret_key, sizeof(*ret_key), slice_of(k->secret, sizeof(k->secret)), parts, 5);
	return &k->entries[*ret_key % ENTRIES];
}

bool known_answer(struct http_request *rq, const struct projection *model, enum query_format format)
{
	struct projection_status status;
	const struct entry *e;
	struct slice wanted;
	uint64_t key;

	if (rq->method != HTTP_GET || !http_request_field(rq, "if-none-match", &wanted))
		return false;
	e = entry_of(rq, format, &key);
	if (e->position == 0 || e->key != key || !http_etag_matches(wanted, slice_str(e->etag)))
		return false;
	if (projector_status_of(app_of(rq)->projector, model->name, &status) != 0 || !status.serving ||
	    status.generation != e->generation || status.serving_position != e->position)
		return false;
	http_header(rq, "ETag", slice_str(e->etag));
	answer_position(rq, e->position);
	http_respond(rq, 304, NULL, NULL);
	return true;
}

void known_note(struct http_request *rq, const struct query *q, struct slice body)
{
	char etag[HTTP_ETAG_LEN + 1];
	struct entry *e;
	uint64_t key;

	http_etag(etag, body);
	http_header(rq, "ETag", slice_str(etag));
	if (q->stale || q->position == 0)
		return;
	e = entry_of(rq, q->format, &key);
	*e = (struct entry){.key = key, .generation = q->generation, .position = q->position};
	memcpy(e->etag, etag, sizeof(e->etag));
}
