/*
 * Webhooks as Tencent Meeting sends them, each one unique, signed and
 * encrypted, about 2 KB, made in a few microseconds: what differs from one to
 * the next stands at the end of the text, so all blocks of the cipher before it
 * are made once.
 *
 * They tell of meetings that begin, are joined and left, recorded and ended,
 * eight events to a meeting, by a few hundred people, from the maker's first
 * moment on, 16 a millisecond. Number i of one maker is the same each time but for what it is signed with.
 */
#ifndef LULAB_TOOLS_BENCH_WEBHOOK_H
#define LULAB_TOOLS_BENCH_WEBHOOK_H

#include "base/buf.h"
#include "base/clock.h"
#include "tencent_wire.h"

#define WEBHOOK_TOKEN "benchTokenBenchToken0001"
#define WEBHOOK_AES_KEY "benchKeyBenchKeyBenchKeyBenchKeyBenchKey00A"
#define WEBHOOK_PATH "/webhooks/tencent"
#define WEBHOOK_EVENTS_PER_MEETING 8

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

#endif
