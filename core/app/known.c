/* See known.h. */
#include "app/known.h"

#include <stdlib.h>

#include "app/answer.h"
#include "app/app.h"
#include "app/auth.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "store/projector.h"

#define ENTRIES 1024
#define BODY_LEN_MAX ((size_t)64 * 1024)
#define BODIES_LEN_MAX ((size_t)4 * 1024 * 1024) /* of one loop */

struct entry {
	uint8_t key[SIPHASH_LEN];
	uint64_t generation, rows; /* of the file that gave it, where its rows stood; 0: empty */
	char etag[HTTP_ETAG_LEN + 1];
	char *body; /* NULL: only the tag is remembered */
	size_t body_len;
};

struct known {
	uint8_t secret[SIPHASH_KEY_LEN]; /* so that nobody can look for two questions with one key */
	size_t bodies_len;
	size_t hand; /* the entry whose body goes next when there is no room */
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

static void drop_body(struct known *k, struct entry *e)
{
	free(e->body);
	k->bodies_len -= e->body_len;
	e->body = NULL;
	e->body_len = 0;
}

void known_destroy(struct known *k)
{
	for (size_t i = 0; k != NULL && i < ENTRIES; i++)
		free(k->entries[i].body);
	free(k);
}

static void add(uint8_t question[SIPHASH_LEN], struct slice part)
{
	uint8_t key[SIPHASH_KEY_LEN];

	memcpy(key, question, sizeof(key));
	siphash(question, key, part);
}

/*
 * Who asks is part of the question, whatever they prove it with, and so is what they may: what one may see,
 * another may not, nor the same one once a right is gone.
 */
static struct entry *entry_of(const struct http_request *rq, enum query_format format, uint8_t ret_key[SIPHASH_LEN])
{
	struct known *k = loop_of(rq)->known;
	const struct principal *who = rq->principal;
	uint8_t form = (uint8_t)format;
	uint64_t place;

	memcpy(ret_key, k->secret, SIPHASH_LEN);
	add(ret_key, rq->target);
	add(ret_key, slice_of(&form, sizeof(form)));
	if (who != NULL) {
		add(ret_key, slice_str(who->id));
		add(ret_key, slice_str(who->user_id));
		for (size_t i = 0; who->permissions[i] != NULL; i++)
			add(ret_key, slice_str(who->permissions[i]));
	}
	memcpy(&place, ret_key, sizeof(place));
	return &k->entries[place % ENTRIES];
}

bool known_answer(struct http_request *rq, const struct projection *model, enum query_format format)
{
	struct buf body = BUF_INIT(BODY_LEN_MAX);
	struct projector_stand stand;
	const struct entry *e;
	struct slice wanted;
	uint8_t key[SIPHASH_LEN];
	bool has_it;

	if (rq->method != HTTP_GET)
		return false;
	e = entry_of(rq, format, key);
	if (e->rows == 0 || memcmp(e->key, key, SIPHASH_LEN) != 0)
		return false;
	has_it = http_request_field(rq, "if-none-match", &wanted) && http_etag_matches(wanted, slice_str(e->etag));
	if ((!has_it && e->body == NULL) ||
	    !projector_stand(app_of(rq)->projector, model, e->generation, &stand) || stand.rows != e->rows)
		return false;
	if (!has_it && buf_append(&body, slice_of(e->body, e->body_len)) != 0)
		return false;
	http_header(rq, "ETag", slice_str(e->etag));
	answer_position(rq, stand.position);
	if (has_it)
		http_respond(rq, 304, NULL, NULL);
	else
		http_respond(rq, 200, answer_content_type(format), &body);
	return true;
}

/* Other bodies go, in turn, until there is room. Without memory there is none to keep. */
static void keep_body(struct known *k, struct entry *e, struct slice body)
{
	for (; k->bodies_len + body.len > BODIES_LEN_MAX; k->hand = (k->hand + 1) % ENTRIES)
		drop_body(k, &k->entries[k->hand]);
	e->body = malloc(body.len);
	if (e->body == NULL)
		return;
	memcpy(e->body, body.ptr, body.len);
	e->body_len = body.len;
	k->bodies_len += body.len;
}

void known_note(struct http_request *rq, const struct query *q, struct slice body)
{
	struct known *k = loop_of(rq)->known;
	char etag[HTTP_ETAG_LEN + 1];
	uint8_t key[SIPHASH_LEN];
	struct entry *e;
	bool asked_again;

	http_etag(etag, body);
	http_header(rq, "ETag", slice_str(etag));
	if (q->stale || q->rows_position == 0)
		return;
	e = entry_of(rq, q->format, key);
	asked_again = e->rows != 0 && memcmp(e->key, key, SIPHASH_LEN) == 0;
	drop_body(k, e);
	*e = (struct entry){.generation = q->generation, .rows = q->rows_position};
	memcpy(e->key, key, SIPHASH_LEN);
	memcpy(e->etag, etag, sizeof(e->etag));
	/* The headers of other forms tell more than these do. */
	if (asked_again && q->format == QUERY_JSON && body.len <= BODY_LEN_MAX)
		keep_body(k, e, body);
}
