/*
 * Webhooks as Tencent Meeting sends them, each one unique, signed and
 * encrypted, about 2 KB, made in a few microseconds: what differs from one to
 * the next stands at the end of the text, so all blocks of the cipher before it
 * are made once.
 *
 * They tell of meetings that begin, are joined and left, recorded and ended,
 * eight events to a meeting, by a few hundred people, from the maker's first
 * moment on. Number i of one maker is the same each time but for what it is signed with.
 */
#ifndef LULAB_TOOLS_BENCH_WEBHOOK_H
#define LULAB_TOOLS_BENCH_WEBHOOK_H

#include "base/buf.h"
#include "base/clock.h"
#include "tencent_wire.h"

#define WEBHOOK_TOKEN "benchTokenBenchToken0001"
#define WEBHOOK_AES_KEY "benchKeyBenchKeyBenchKeyBenchKeyBenchKey00A"
#define WEBHOOK_PATH "/webhooks/tencent"
#define WEBHOOK_PEOPLE 256
/* About as many as are taken here: at that rate the times they tell of are those at which they are sent. */
#define WEBHOOKS_PER_MS 16

/* What happens in a meeting, in this order: number i is of kind i % 8, of meeting i / 8. */
enum webhook_kind {
	WEBHOOK_CREATED,
	WEBHOOK_STARTED,
	WEBHOOK_HOST_JOINED,
	WEBHOOK_GUEST_JOINED,
	WEBHOOK_HOST_LEFT,
	WEBHOOK_RECORDED,
	WEBHOOK_GUEST_LEFT,
	WEBHOOK_ENDED,
	WEBHOOK_EVENTS_PER_MEETING,
};

struct webhook_maker;

/* `seed` keeps the meetings of two runs apart. 0 or ERR_NOMEM. */
int webhook_maker_create(struct webhook_maker **ret, uint64_t seed, const struct clock *clock);
void webhook_maker_destroy(struct webhook_maker *m);

/* The keys they are signed and encrypted with; borrowed. */
const struct tencent_keys *webhook_maker_keys(const struct webhook_maker *m);

/* Appends the whole HTTP request number i. 0, ERR_TOO_BIG, ERR_NOMEM. One thread. */
int webhook_make(struct webhook_maker *m, uint64_t i, struct buf *request);

/* The text of number i before encryption, appended. */
int webhook_make_plain(struct webhook_maker *m, uint64_t i, struct buf *plain);

/* What is in number i, for who makes what is to come of it without reading it. Texts fit. */
#define WEBHOOK_TEXT_MAX 80
const char *webhook_event(uint64_t i);
unsigned webhook_host(uint64_t i); /* below WEBHOOK_PEOPLE, of its meeting; */
unsigned webhook_guest(uint64_t i);
void webhook_title(char ret_text[WEBHOOK_TEXT_MAX], unsigned host);
void webhook_name(char ret_text[WEBHOOK_TEXT_MAX], unsigned person);
#define WEBHOOK_FILE_ID "2000000000000000001" /* of every recording */

/* The number of the webhook with this trace id. ERR_MALFORMED when it is none of ours. */
int webhook_number(struct slice trace_id, uint64_t *ret_number);

#endif
