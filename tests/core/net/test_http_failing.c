/*
 * Connections while every call of the server fails once. Of several requests sent at once the answers come in their
 * order, each the right one or one that says the server could not; what is cut is cut for good. Then all is right again.
 */
#include "core/net/server_rig.h"

#include "lib/failing.h"

#define END HOST "Connection: close\r\n\r\n"

#define TRACE "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"

static const char *const conversations[] = {
	"GET /hello HTTP/1.1\r\n" HOST "\r\nGET /few HTTP/1.1\r\n" HOST "\r\nPOST /echo HTTP/1.1\r\n" HOST
	"Content-Length: 3\r\n\r\nabcGET /problem HTTP/1.1\r\n" END,
	"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /tagged HTTP/1.1\r\n" END,
	"POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabcGET /few HTTP/1.1\r\n" END,
	"GET /who/a%20b?x=1&y=%41 HTTP/1.1\r\n" HOST "Origin: https://good.example\r\nX-Forwarded-For: 1.2.3.4\r\n"
	TRACE "\r\nHEAD /few HTTP/1.1\r\n" END,
	"OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: https://good.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n"
	"GET /meetings/1 HTTP/1.1\r\n" TRACE END,
	"GET /private HTTP/1.1\r\n" HOST "Authorization: Bearer read\r\n\r\nGET /private HTTP/1.1\r\n" HOST "\r\n"
	"POST /small HTTP/1.1\r\n" HOST "Content-Length: 17\r\n\r\n",
	"GET /lines HTTP/1.1\r\n" HOST "\r\nGET /nothing HTTP/1.1\r\n" HOST "\r\nDELETE /echo HTTP/1.1\r\n" END,
	"GET /few HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\nGET /hello HTTP/1.1\r\n" END,
	"GET /hello HTTP/1.1\r\n" HOST HOST "\r\n",
	"GET /hello HTTP/1.1\r\n" HOST "\r\nnonsense",
};
#define ANSWERS_MAX 8
#define N_CONVERSATIONS COUNT(conversations)

struct answers {
	int status[ANSWERS_MAX];
	uint64_t body[ANSWERS_MAX]; /* a hash of it; of errors and packed bodies 0 */
	unsigned n;
	bool cut; /* within one, or between two */
};

static struct answers good[N_CONVERSATIONS];
static unsigned now; /* the conversation at hand */
static bool judging;

static uint64_t hash_of(struct slice bytes)
{
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < bytes.len; i++)
		hash = (hash ^ (unsigned char)bytes.ptr[i]) * 1099511628211u;
	return hash;
}

/* Does this answer have no body, whatever its head says? */
static bool is_bodiless(int status)
{
	return status < 200 || status == 204 || (now == 3 && status == 200);
}

static void note(struct answers *all, const struct answer *a, struct slice body)
{
	struct slice value;

	if (a->status < 200)
		return; /* 100 Continue */
	ck_assert_uint_lt(all->n, ANSWERS_MAX);
	all->status[all->n] = a->status;
	all->body[all->n++] = a->status >= 400 || answer_field(a, "content-encoding", &value) ? 0 : hash_of(body);
}

/* What came until the server closed. */
static struct answers read_answers(struct client *c)
{
	struct answers all = {.cut = false};

	while (client_read(c))
		;
	while (c->in.len > 0) {
		struct answer a;
		struct slice value;
		uint64_t len = 0;
		bool head_only;

		if (memmem(c->in.ptr, c->in.len, "\r\n\r\n", 4) == NULL) {
			all.cut = true;
			break;
		}
		a = client_head(c);
		head_only = is_bodiless(a.status) && !(now == 3 && all.n == 0);
		if (!head_only && answer_field(&a, "content-length", &value))
			ck_assert_int_eq(slice_to_u64(value, &len), 0);
		if (c->in.len < len) {
			all.cut = true;
			answer_finish(&a);
			break;
		}
		note(&all, &a, slice_of(c->in.ptr, len));
		buf_consume(&c->in, len);
		answer_finish(&a);
	}
	return all;
}

/* Answers up to one that says the server could not are right; after it nothing is asked for. */
static void judge(const struct answers *all, const struct answers *right)
{
	unsigned i = 0;

	while (i < all->n && all->status[i] < 500) {
		ck_assert_msg(i < right->n && all->status[i] == right->status[i] &&
		    (all->body[i] == right->body[i] || all->body[i] == 0 || right->body[i] == 0),
		    "conversation %u: answer %u has status %d", now, i, all->status[i]);
		i++;
	}
	if (judging)
		ck_assert_msg(all->n == right->n && i == right->n && !all->cut, "conversation %u: %u answers", now, all->n);
}

static int converse(void)
{
	struct client c;
	struct answers all;

	failing_pause();
	c = client_connect(rig.port);
	client_say(&c, conversations[now]);
	shutdown(c.fd, SHUT_WR);
	all = read_answers(&c);
	if (good[now].n == 0)
		good[now] = all;
	judge(&all, &good[now]);
	client_close(&c);
	wait_until(rig_stats().connections_open == 0);
	failing_go_on();
	return 0;
}

START_TEST(answers_are_right_or_errors)
{
	static const char *const threads[] = {"http loop", NULL};
	struct failing_walk walk = {.kinds = FAILING_MEMORY | FAILING_ARENAS | FAILING_LOOPS, .act = converse, .runs_on = true,
	    .goes_on = true, .threads = threads, .depth = 8};
	unsigned n = 0;

	rig_start_usual();
	for (now = 0; now < N_CONVERSATIONS; now++)
		n += failing_walk(&walk);
	ck_assert_uint_ge(n, 40);
	judging = true;
	for (now = 0; now < N_CONVERSATIONS; now++)
		converse();
	rig_stop();
}
END_TEST

static int start(void)
{
	struct http_options options = rig_options();
	const char *detail = NULL;
	int rc = http_server_start(&rig.server, &options, &detail);

	if (rc == 0)
		rig_stop();
	return rc;
}

START_TEST(a_start_that_fails_leaves_nothing)
{
	struct failing_walk walk = {.kinds = FAILING_MEMORY | FAILING_LOOPS | FAILING_THREADS, .act = start};

	ck_assert_uint_ge(failing_walk(&walk), 10);
	ck_assert_int_eq(start(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_test(t, answers_are_right_or_errors);
	tcase_add_test(t, a_start_that_fails_leaves_nothing);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
