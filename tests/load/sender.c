/*
 * Sends webhooks for a test, remembers what was acknowledged, and holds a
 * stopped server's log against it. The test commands it over stdin, a line
 * each, and reads one line of JSON for each:
 *
 *     wait N      when N more webhooks have been acknowledged since the last `wait`, or an answer was wrong
 *     check DIR   looks through what DATA/log gained (deliveries.h); no server may run
 *     pause, go   stops sending, when the last answer has come; goes on
 *     rate N      a second from now on; 0: as fast as answers come
 *     width N     no more at a time wait for their answer; 0: as many as there are connections
 *     reset       forgets the times measured so far
 *     stats       counts and times
 *     finish      when all that was planned is acknowledged
 *
 * and ends it by closing stdin. Usage: sender NAME=VALUE...; see `options`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "bench_webhook.h"
#include "crypto/crypto.h"
#include "load/connections.h"
#include "load/control.h"
#include "load/deliveries.h"

#define ACK "successfully received callback"
#define TURN_US 100000

static struct {
	uint64_t seed, port, connections, addresses, unique, repeats, rate, late_ms;
} given = {.seed = 1, .connections = 64, .unique = 1000000};

static const struct control_option options[] = {
    {"seed", &given.seed},               /* of the order; also the webhooks' own */
    {"port", &given.port},
    {"connections", &given.connections},
    {"addresses", &given.addresses},     /* they come from so many addresses */
    {"unique", &given.unique},           /* webhooks in all */
    {"repeats", &given.repeats},         /* deliveries of them beyond the first, in all */
    {"rate", &given.rate},               /* a second; 0: as fast as answers come */
    {"late_ms", &given.late_ms},         /* with a rate: what could not be sent for so long is given up */
};

struct sender {
	struct deliveries deliveries;
	struct webhook_maker *maker;
	struct connections *connections;
	uint64_t wrong;            /* answers that are neither 200 nor 503 */
	int wrong_status;
	struct control control;
	enum { NOTHING, ACKS, QUIET, DONE } waits_for;
	uint64_t acks_wanted, acks_seen;
};

static bool make(void *arg, struct buf *request, uint32_t *ret_number)
{
	struct sender *s = arg;

	return deliveries_next(&s->deliveries, ret_number) && webhook_make(s->maker, *ret_number, request) == 0;
}

static void on_answer(void *arg, uint32_t number, int status, struct slice body)
{
	struct sender *s = arg;

	if (status == 200 && slice_is(body, ACK)) {
		deliveries_acked(&s->deliveries, number);
	} else if (status == 503) {
		deliveries_refused(&s->deliveries, number);
	} else {
		deliveries_unanswered(&s->deliveries, number);
		s->wrong += status != 0;
		s->wrong_status = status != 0 ? status : s->wrong_status;
	}
}

static void print_times(const char *name, const struct bench_histogram *h)
{
	printf(",\"%s\":{\"n\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"p999\":%" PRIu64 ",\"max\":%" PRIu64 "}",
	    name, h->n, bench_histogram_at(h, 0.5), bench_histogram_at(h, 0.99), bench_histogram_at(h, 0.999), h->max);
}

static void print_stats(struct sender *s)
{
	const struct connections_stats *c = connections_stats(s->connections);
	const struct deliveries *d = &s->deliveries;

	printf("{\"sent\":%" PRIu64 ",\"acked\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"unanswered\":%" PRIu64
	       ",\"refused\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"wrong_status\":%d,\"given_up\":%" PRIu64
	       ",\"stored\":%" PRIu64 ",\"repeats_of_stored\":%" PRIu64 ",\"position\":%" PRIu64
	       ",\"drawn\":%" PRIu32 ",\"busy\":%u,\"opened\":%" PRIu64,
	    d->sent, d->acked, d->answered, d->unanswered, d->refused, s->wrong, s->wrong_status, c->given_up, d->stored,
	    d->repeats_of_stored, d->position, d->drawn, connections_busy(s->connections), c->opened);
	print_times("ok_us", &c->ok);
	print_times("refused_us", &c->refused);
	printf("}\n");
}

static void check(struct sender *s, const char *dir)
{
	const char *why;

	if (deliveries_check(&s->deliveries, dir, &why))
		print_stats(s);
	else
		printf("{\"breach\":\"%s\"}\n", why);
}

static void command(void *arg, const char *line)
{
	struct sender *s = arg;
	struct connections_stats *stats = connections_stats(s->connections);

	if (strncmp(line, "wait ", 5) == 0) {
		s->waits_for = ACKS;
		s->acks_wanted = strtoull(line + 5, NULL, 10);
		s->acks_seen = s->deliveries.acked;
	} else if (strncmp(line, "check ", 6) == 0) {
		check(s, line + 6);
	} else if (strcmp(line, "pause") == 0) {
		connections_pause(s->connections, true);
		s->waits_for = QUIET;
	} else if (strcmp(line, "go") == 0) {
		connections_pause(s->connections, false);
		print_stats(s);
	} else if (strncmp(line, "rate ", 5) == 0) {
		connections_set_rate(s->connections, (double)strtoull(line + 5, NULL, 10));
		print_stats(s);
	} else if (strncmp(line, "width ", 6) == 0) {
		connections_set_width(s->connections, (unsigned)strtoul(line + 6, NULL, 10));
		print_stats(s);
	} else if (strcmp(line, "reset") == 0) {
		*stats = (struct connections_stats){0};
		print_stats(s);
	} else if (strcmp(line, "stats") == 0) {
		print_stats(s);
	} else if (strcmp(line, "finish") == 0) {
		s->waits_for = DONE;
	} else {
		printf("{\"error\":\"unknown command\"}\n");
	}
}

static void answer_waiting(struct sender *s)
{
	const struct deliveries *d = &s->deliveries;

	if ((s->waits_for == ACKS && (d->acked - s->acks_seen >= s->acks_wanted || s->wrong > 0)) ||
	    (s->waits_for == QUIET && connections_busy(s->connections) == 0) ||
	    (s->waits_for == DONE && deliveries_done(d) && connections_busy(s->connections) == 0)) {
		s->waits_for = NOTHING;
		print_stats(s);
	}
}

static int run(struct sender *s)
{
	int rc;

	control_init(&s->control);
	rc = connections_watch(s->connections, STDIN_FILENO);
	while (rc == 0 && !s->control.over) {
		rc = connections_turn(s->connections, connections_now_us() + TURN_US);
		control_read(&s->control, command, s);
		answer_waiting(s);
		fflush(stdout);
	}
	return rc;
}

int main(int argc, char **argv)
{
	static struct sender s;
	int rc;

	if (!control_options(options, sizeof(options) / sizeof(options[0]), argc, argv))
		return 2;
	rc = crypto_init();
	if (rc == 0)
		rc = webhook_maker_create(&s.maker, given.seed, &clock_system);
	if (rc == 0)
		rc = deliveries_init(&s.deliveries, given.seed, (uint32_t)given.unique, (uint32_t)given.repeats);
	if (rc == 0)
		rc = connections_create(&s.connections, &(struct connections_options){.port = (unsigned)given.port,
		    .n = (unsigned)given.connections, .addresses = (unsigned)given.addresses, .rate = (double)given.rate,
		    .late_ms_max = (unsigned)given.late_ms, .arg = &s, .make = make, .on_answer = on_answer});
	if (rc == 0)
		rc = run(&s);
	if (rc != 0)
		fprintf(stderr, "sender: %s\n", err_text(rc));
	connections_destroy(s.connections);
	deliveries_finish(&s.deliveries);
	webhook_maker_destroy(s.maker);
	return rc == 0 ? 0 : 1;
}
