/* What a witness may answer, and what comes of it: its signature is kept, or said to be missing and why; some answers end the log. */
#include "app/witnesses.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/thread.h"
#include "core/store/log_fixture.h"
#include "domain/cosign.h"
#include "lib/failing.h"
#include "lib/run.h"
#include "net/http_client.h"

#define N_EVENTS 4 /* of which the checkpoint covers all but one */
#define SIZE (N_EVENTS - 1)
#define ANSWERS_MAX 5

/* What the peer says: an answer after the other, the last of them again and again. */
struct said {
	int status;       /* 0: it hangs up */
	const char *body; /* NULL: its signature */
};

static struct log_fixture f;
static struct policy policy;
static uint8_t secret[ED25519_SECRET_LEN];
static struct {
	int listening;
	pthread_t thread;
	struct said answers[ANSWERS_MAX];
	_Atomic unsigned n;               /* asked so often */
	_Atomic uint64_t old_size; /* of the newest request */
	_Atomic bool stopping;
} peer;

/* ---- the witness ---------------------------------------------------------------------------- */

static void sign(struct buf *out, struct slice request_text)
{
	struct cosign_request *request = calloc(1, sizeof(*request));
	struct note *note = calloc(1, sizeof(*note));

	ck_assert_int_eq(cosign_request_parse(request, request_text), 0);
	ck_assert_int_eq(note_parse(note, request->note), 0);
	ck_assert_int_eq(note_cosign_line(out, note->text, &policy.witnesses[0].key, secret, 1795473555), 0);
	free(note);
	free(request);
}

static void answer(int fd, struct slice body)
{
	const struct said *said = &peer.answers[peer.n < ANSWERS_MAX ? peer.n : ANSWERS_MAX - 1];
	struct buf out = BUF_INIT(1u << 20), text = BUF_INIT(1u << 20);
	struct cosign_request *request = calloc(1, sizeof(*request));

	ck_assert_int_eq(cosign_request_parse(request, body), 0);
	atomic_store(&peer.old_size, request->old_size);
	free(request);
	if (said->body == NULL)
		sign(&text, body);
	else
		buf_append_str(&text, said->body);
	buf_printf(&out, "HTTP/1.1 %d x\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%.*s", said->status, text.len,
	    SLICE_ARG(buf_slice(&text)));
	if (said->status != 0)
		ck_assert_int_eq(send(fd, out.ptr, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
	buf_finish(&text);
	buf_finish(&out);
	atomic_fetch_add(&peer.n, 1);
}

static void hear(int fd)
{
	struct buf in = BUF_INIT(1u << 20);
	size_t want = SIZE_MAX;

	while (in.len < want) {
		char *room = buf_reserve(&in, 4096), *end;
		const char *length;
		ssize_t n = recv(fd, room, 4096, 0);

		if (n <= 0)
			break;
		buf_commit(&in, (size_t)n);
		end = memmem(in.ptr, in.len, "\r\n\r\n", 4);
		length = end == NULL ? NULL : memmem(in.ptr, in.len, "Content-Length: ", 16);
		if (length != NULL)
			want = (size_t)(end + 4 - in.ptr) + strtoul(length + 16, NULL, 10);
		if (in.len == want)
			answer(fd, slice_of(end + 4, in.len - (size_t)(end + 4 - in.ptr)));
	}
	buf_finish(&in);
	close(fd);
}

static void *serve(void *arg)
{
	int fd;

	(void)arg;
	thread_name("peer");
	while ((fd = accept(peer.listening, NULL, NULL)) >= 0)
		hear(fd);
	return NULL;
}

/* The last of the answers is repeated. */
static void peer_says(const struct said *answers)
{
	struct said last = answers[0];

	for (int i = 0; i < ANSWERS_MAX; i++) {
		last = answers[i].status == 0 && answers[i].body == NULL ? last : answers[i];
		peer.answers[i] = last;
	}
	atomic_store(&peer.n, 0);
}

/* ---- the log --------------------------------------------------------------------------------- */

static void checkpoint(uint64_t size)
{
	struct tile_reader tiles = eventlog_tiles(f.log);
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	struct merkle_hash root;

	ck_assert_int_eq(merkle_root(&root, size, &tiles), 0);
	checkpoint_make(&note, size, &root);
	ck_assert_int_eq(eventlog_put_note(f.log, size, buf_slice(&note)), 0);
	buf_finish(&note);
}

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static void setup(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint8_t public_key[ED25519_PUBLIC_LEN], seed[ED25519_SEED_LEN] = {2};
	socklen_t len = sizeof(a);

	log_set_sink(quiet, NULL);
	log_fixture_init(&f);
	log_fixture_open(&f);
	for (int i = 0; i < N_EVENTS; i++)
		ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	checkpoint(SIZE);
	peer.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(peer.listening, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(peer.listening, 8), 0);
	ck_assert_int_eq(getsockname(peer.listening, (struct sockaddr *)&a, &len), 0);
	ck_assert_int_eq(pthread_create(&peer.thread, NULL, serve, NULL), 0);
	ed25519_from_seed(public_key, secret, seed);
	policy = (struct policy){.n_witnesses = 1, .quorum = 1};
	ck_assert_int_eq(note_key_make(&policy.witnesses[0].key, SLICE("w.example.test"), NOTE_COSIGNATURE, public_key), 0);
	snprintf(policy.witnesses[0].url, sizeof(policy.witnesses[0].url), "http://127.0.0.1:%u", ntohs(a.sin_port));
}

static void teardown(void)
{
	shutdown(peer.listening, SHUT_RDWR);
	pthread_join(peer.thread, NULL);
	close(peer.listening);
	log_fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

/* ---- its answers ------------------------------------------------------------------------------- */

static const struct {
	struct said said[ANSWERS_MAX];
	enum witness_state state;
	const char *reason;
	bool ends_the_log;
} answers[] = {
	{{{200, NULL}}, WITNESS_OK, "", false},
	{{{409, "0\n"}, {200, NULL}}, WITNESS_OK, "", false},
	{{{200, ""}}, WITNESS_UNREACHABLE, "its signature was not kept", false},
	{{{200, "nonsense"}}, WITNESS_UNREACHABLE, "its signature was not kept", false},
	{{{404, ""}}, WITNESS_REFUSING, "its operator has to add the log's key", false},
	{{{403, ""}}, WITNESS_REFUSING, "it knows another key of this log", false},
	{{{500, ""}}, WITNESS_UNREACHABLE, "it answers with status 500", false},
	{{{409, "many"}}, WITNESS_UNREACHABLE, "does not say what it holds", false},
	{{{409, ""}}, WITNESS_UNREACHABLE, "does not say what it holds", false},
	{{{409, "0"}}, WITNESS_UNREACHABLE, "another size each time", false},
	{{{0, ""}}, WITNESS_UNREACHABLE, "", false},
	{{{409, "5\n"}}, WITNESS_REFUSING, "has seen 5 events and the log has 4", true},
	{{{422, ""}}, WITNESS_REFUSING, "has seen another history than this one of 3 events", true},
};

START_TEST(an_answer_has_its_consequence)
{
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	struct witness_status status;
	struct http_client *http;
	struct witnesses *w;
	uint64_t size;

	ck_assert_int_eq(http_client_create(&http), 0);
	peer_says(answers[_i].said);
	ck_assert_int_eq(witnesses_start(&w, f.log, &policy, 20000), 0);
	ck_assert(witnesses_status(w, 0, &status));
	ck_assert_msg(status.state == answers[_i].state, "%d: %s", status.state, status.reason);
	ck_assert_msg(strstr(status.reason, answers[_i].reason) != NULL, "%s", status.reason);
	ck_assert((status.reason[0] == '\0') == (status.state == WITNESS_OK));
	ck_assert_str_eq(status.name, "w.example.test");
	ck_assert_uint_eq(status.size, status.state == WITNESS_OK ? SIZE : 0);
	ck_assert((eventlog_refusal(f.log) != NULL) == answers[_i].ends_the_log);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), answers[_i].ends_the_log ? ERR_UNAVAILABLE : 0);
	/* What is shown to others has its signature, if it has signed. */
	ck_assert_int_eq(witnesses_note(w, f.log, &size, &note), 0);
	ck_assert_uint_eq(size, SIZE);
	ck_assert((memmem(note.ptr, note.len, "w.example.test", 14) != NULL) == (status.state == WITNESS_OK));
	ck_assert(!witnesses_status(w, 1, &status));
	ck_assert(!witnesses_status(NULL, 0, &status));
	ck_assert_uint_eq(witnesses_quorum(w), 1);
	ck_assert_uint_eq(witnesses_quorum(NULL), 0);
	witnesses_stop(w);
	witnesses_stop(NULL);
	http_client_destroy(http);
	buf_finish(&note);
}
END_TEST

/* It holds what we are about to sign again, as after a start from before: it is asked with the next. */
START_TEST(what_it_holds_already_is_gone_on_from)
{
	const struct said said[ANSWERS_MAX] = {{409, "4\n"}, {200, NULL}};
	struct witness_status status = {0};
	struct http_client *http;
	struct witnesses *w;

	ck_assert_int_eq(http_client_create(&http), 0);
	peer_says(said);
	ck_assert_int_eq(witnesses_start(&w, f.log, &policy, 1), 0);
	while (peer.n == 0)
		usleep(1000);
	ck_assert_ptr_null(eventlog_refusal(f.log));
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	checkpoint(N_EVENTS + 1);
	while (status.size != N_EVENTS + 1) {
		usleep(1000);
		witnesses_status(w, 0, &status);
	}
	ck_assert_uint_eq(peer.old_size, N_EVENTS);
	ck_assert_int_eq(status.state, WITNESS_OK);
	witnesses_stop(w);
	http_client_destroy(http);
}
END_TEST

/* Served by hand, it is nobody's to ask. */
START_TEST(a_witness_without_an_address_is_not_asked)
{
	struct witness_status status;
	struct witnesses *w;

	policy.witnesses[0].url[0] = '\0';
	ck_assert_int_eq(witnesses_start(&w, f.log, &policy, 20000), 0);
	ck_assert(witnesses_status(w, 0, &status));
	ck_assert_int_eq(status.state, WITNESS_OK);
	witnesses_stop(w);
	ck_assert_uint_eq(peer.n, 0);
}
END_TEST

/* ---- and while calls fail ------------------------------------------------------------------------ */

static struct http_client *http_of_walk;
static enum witness_state state_of_walk;
static uint64_t size_of_walk;

static int show(void)
{
	struct witness_status status;
	struct witnesses *w = NULL;
	int rc = witnesses_start(&w, f.log, &policy, 20000);

	if (rc == 0 && witnesses_status(w, 0, &status)) {
		state_of_walk = status.state;
		size_of_walk = status.size;
	}
	witnesses_stop(w);
	return rc;
}

/* The checkpoint as it was signed, with no signature of the witness. */
static void begin(void)
{
	static const struct said said[ANSWERS_MAX] = {{409, "0\n"}, {200, NULL}};

	peer_says(said);
	checkpoint(SIZE);
	size_of_walk = 0;
}

static void it_signed_or_is_said_not_to_have(int rc, const char *what)
{
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t size;
	bool is_kept;

	ck_assert_int_eq(eventlog_last_note(f.log, &size, &note), 0);
	is_kept = memmem(note.ptr, note.len, "w.example.test", 14) != NULL;
	ck_assert_msg(what != NULL || (rc == 0 && is_kept && state_of_walk == WITNESS_OK), "%s", err_name(rc));
	ck_assert_msg(rc != 0 || size_of_walk != SIZE || is_kept, "after %s failed it is said to have signed", what);
	ck_assert_msg(eventlog_refusal(f.log) == NULL, "after %s failed the log is at its end", what);
	buf_finish(&note);
}

START_TEST(a_failure_is_no_signature_and_no_alarm)
{
	static const char *const threads[] = {"the test", NULL}; /* and those it makes, which have its name */
	struct failing_walk of = {.kinds = FAILING_MEMORY | FAILING_LMDB | FAILING_THREADS, .before = begin, .act = show,
	    .after = it_signed_or_is_said_not_to_have, .threads = threads, .runs_on = true, .depth = 6};
	unsigned n;

	ck_assert_int_eq(http_client_create(&http_of_walk), 0);
	thread_name("the test");
	n = failing_walk(&of);
	ck_assert_msg(n >= 20, "only %u calls failed", n);
	http_client_destroy(http_of_walk);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("witnesses");
	TCase *t = tcase_create("witnesses");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, an_answer_has_its_consequence, 0, (int)COUNT(answers));
	tcase_add_test(t, what_it_holds_already_is_gone_on_from);
	tcase_add_test(t, a_witness_without_an_address_is_not_asked);
	tcase_add_test(t, a_failure_is_no_signature_and_no_alarm);
	suite_add_tcase(s, t);
	return run_suite(s);
}
