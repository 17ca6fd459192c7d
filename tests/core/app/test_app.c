/* The service as a whole: starts that are refused with a sentence, and what its settings do to answers. */
#include "core/app/app_rig.h"

#include "app/app_http.h"
#include "crypto/crypto.h"

static struct app_rig r;

static void setup(void)
{
	app_rig_init(&r);
}

static void teardown(void)
{
	app_rig_finish(&r);
}

static const char *in_dir(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", r.f.dir, name);
	return path;
}

static void put(const char *name, const char *text, unsigned mode)
{
	ck_assert_int_eq(file_replace(in_dir(name), slice_str(text), mode), 0);
}

/* ---- starts ------------------------------------------------------------------------------- */

static void nothing(void)
{
}

/* So that there are keys, a log and a name. */
static void ran_before(void)
{
	app_rig_configure(&r, NULL, NULL);
	app_rig_open(&r, NULL);
	app_stop(&r.app);
}

static void root_key_lost(void)
{
	ran_before();
	ck_assert_int_eq(unlink(in_dir("root.key")), 0);
}

static void another_root_key(void)
{
	ran_before();
	put("root.key", "0123456789abcdef0123456789abcdef", 0600);
}

static void half_restored(void)
{
	ck_assert_int_eq(dir_create(in_dir("restore.tmp"), 0700), 0);
}

static void half_succeeded(void)
{
	put("succession", "1\n", 0600);
}

static void no_token(void)
{
	put("admin.token", "", 0600);
}

static void no_log(void)
{
	ran_before();
	ck_assert_int_eq(tree_remove(in_dir("log")), 0);
}

static void half_a_certificate(void)
{
	put("cert.pem", "-----BEGIN CERTIFICATE-----\n", 0600);
}

static void no_certificate_and_no_key(void)
{
	half_a_certificate();
	put("key.pem", "x\n", 0600);
}

static void policy_of_another(void)
{
	uint8_t public_key[ED25519_PUBLIC_LEN], secret[ED25519_SECRET_LEN], seed[ED25519_SEED_LEN] = {7};
	struct buf text = BUF_INIT(1000);
	struct note_key key;

	ed25519_from_seed(public_key, secret, seed);
	ck_assert_int_eq(note_key_make(&key, SLICE("log.example.test/events"), NOTE_ED25519, public_key), 0);
	buf_append_str(&text, "log ");
	ck_assert_int_eq(note_key_format(&text, &key), 0);
	buf_append_str(&text, "\nquorum 0\n");
	put("policy", text.ptr, 0600);
	buf_finish(&text);
}

static void no_policy(void)
{
	put("policy", "nonsense\n", 0600);
}

/* DIR stands for the data directory; rc 0 is any error. */
static const struct {
	const char *says;
	void (*before)(void);
	const char *data, *settings[20];
	int rc;
	const char *sentence;
} starts[] = {
	{"a directory under a file", nothing, "/dev/null/x", {NULL}, 0, "the data directory /dev/null/x cannot be made"},
	{"a backup half restored", half_restored, NULL, {NULL}, ERR_CONFLICT, "finish with lulab backup restore"},
	{"a successor half in its place", half_succeeded, NULL, {NULL}, ERR_CONFLICT, "finish with lulab log succeed"},
	{"a token file without a token", no_token, NULL, {NULL}, ERR_CONFIG, "remove it and a new token is made"},
	{"a name that is none", nothing, NULL, {"LULAB_ORIGIN=a+b"}, ERR_CONFIG, "the log's name is not usable"},
	{"another name than before", ran_before, NULL, {"LULAB_ORIGIN=other.example.test/events"}, ERR_CONFIG,
	    "LULAB_ORIGIN must stay what it was"},
	{"a root key that is gone", root_key_lost, NULL, {NULL}, ERR_NOT_FOUND, "root.key is missing: put it back"},
	{"a root key of another directory", another_root_key, NULL, {NULL}, ERR_BAD_KEY, "it belongs to another directory"},
	{"a root key elsewhere that is gone", ran_before, NULL, {"LULAB_ROOT_KEY_FILE=/nonexistent/key"}, ERR_NOT_FOUND,
	    "the root key /nonexistent/key is missing"},
	{"a log that is gone", no_log, NULL, {NULL}, ERR_NOT_FOUND, "cannot be opened"},
	{"a pattern that is none", nothing, NULL, {"CORS_ORIGIN_REGEXES=https://[a-z"}, ERR_CONFIG,
	    "\"https://[a-z\" is not an extended regular expression"},
	{"more patterns than there is room for", nothing, NULL, {"CORS_ORIGIN_REGEXES=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}, ERR_CONFIG,
	    "or there are too many"},
	{"no certificate", nothing, NULL, {"LULAB_TLS_CERT=/nonexistent/c", "LULAB_TLS_KEY=/nonexistent/k"}, ERR_CONFIG,
	    "LULAB_TLS_CERT: /nonexistent/c cannot be read"},
	{"a certificate without its key", half_a_certificate, NULL, {"LULAB_TLS_CERT=DIR/cert.pem", "LULAB_TLS_KEY=/nonexistent/k"},
	    ERR_CONFIG, "LULAB_TLS_KEY: /nonexistent/k cannot be read"},
	{"neither certificate nor key", no_certificate_and_no_key, NULL, {"LULAB_TLS_CERT=DIR/cert.pem",
	    "LULAB_TLS_KEY=DIR/key.pem"}, ERR_CONFIG, "are not a certificate and its key in PEM"},
	{"an address of another machine", nothing, NULL, {"LULAB_LISTEN=192.0.2.1:0"}, 0, "cannot listen on 192.0.2.1:0"},
	{"a policy that is none", no_policy, NULL, {"LULAB_WITNESS_POLICY=DIR/policy"}, 0, "policy"},
	{"a policy that is gone", nothing, NULL, {"LULAB_WITNESS_POLICY=DIR/policy"}, ERR_NOT_FOUND, "cannot be read"},
	{"the policy of another log", policy_of_another, NULL, {"LULAB_WITNESS_POLICY=DIR/policy"}, ERR_CONFIG,
	    "is the policy of another log"},
};

/* The settings with the directory in its place; NULL behind the last. */
static const char *const *settings_of(const char *const *given)
{
	static char texts[20][200];
	static const char *settings[21];
	size_t n = 0;

	for (; given[n] != NULL; n++) {
		const char *at = strstr(given[n], "DIR");

		snprintf(texts[n], sizeof(texts[n]), "%.*s%s%s", at == NULL ? (int)strlen(given[n]) : (int)(at - given[n]), given[n],
		    at == NULL ? "" : r.f.dir, at == NULL ? "" : at + 3);
		settings[n] = texts[n];
	}
	settings[n] = NULL;
	return settings;
}

START_TEST(a_start_is_refused_with_a_sentence)
{
	int rc;

	starts[_i].before();
	app_rig_configure(&r, starts[_i].data, settings_of(starts[_i].settings));
	rc = app_rig_start(&r, NULL);
	ck_assert_msg(starts[_i].rc == 0 ? rc != 0 : rc == starts[_i].rc, "%s: %s", starts[_i].says, err_name(rc));
	ck_assert_msg(r.problem.ptr != NULL && strstr(r.problem.ptr, starts[_i].sentence) != NULL, "%s: %s", starts[_i].says,
	    r.problem.ptr == NULL ? "nothing is said" : r.problem.ptr);
}
END_TEST

START_TEST(a_directory_and_a_port_have_one_service)
{
	struct app_rig other;
	char listen[64];
	const char *settings[] = {listen, NULL};

	app_rig_configure(&r, NULL, NULL);
	app_rig_open(&r, NULL);
	app_rig_init(&other);
	app_rig_configure(&other, r.f.dir, NULL);
	ck_assert_int_eq(app_rig_start(&other, NULL), ERR_LOCKED);
	ck_assert_ptr_nonnull(strstr(other.problem.ptr, "is in use by another lulab"));
	snprintf(listen, sizeof(listen), "LULAB_LISTEN=127.0.0.1:%u", http_server_port(r.app.server));
	app_rig_configure(&other, NULL, settings);
	ck_assert_int_eq(app_rig_start(&other, NULL), ERR_TAKEN);
	ck_assert_ptr_nonnull(strstr(other.problem.ptr, "is in use by another program"));
	app_stop(&r.app);
	app_rig_finish(&other);
	log_set_sink(app_rig_quiet, NULL);
}
END_TEST

/* ---- adapters ------------------------------------------------------------------------------- */

static unsigned n_ticks, n_last_ticks, n_stops, n_refused;
static const char *why_unready;
static int a_state;

static int start_well(struct app *app, void **ret_state)
{
	(void)app;
	*ret_state = &a_state;
	return 0;
}

static int start_without_state(struct app *app, void **ret_state)
{
	(void)app;
	*ret_state = NULL;
	return 0;
}

static int start_badly(struct app *app, void **ret_state)
{
	(void)app, (void)ret_state;
	return ERR_CONFIG;
}

static void stop(void *state)
{
	ck_assert_ptr_eq(state, &a_state);
	n_stops++;
}

static void tick(void *state, bool last)
{
	(void)state;
	n_ticks++;
	n_last_ticks += last;
}

static void refused(void *state, const struct route *route, int status)
{
	ck_assert_ptr_eq(state, &a_state);
	ck_assert_str_eq(route->path, "/hook");
	ck_assert_int_eq(status, 413);
	n_refused++;
}

static const char *unready(void *state)
{
	(void)state;
	return why_unready;
}

static void on_hook(struct http_request *rq)
{
	http_respond_slice(rq, 500, HTTP_TEXT, SLICE("no\n")); /* its own answer: not refused by the server */
}

static const struct route hooks[] = {
	{.method = HTTP_GET, .path = "/hook", .handler = on_hook, .flags = ROUTE_PUBLIC},
	{.method = HTTP_POST, .path = "/hook", .handler = on_hook, .flags = ROUTE_PUBLIC, .body_max = 10},
	{0},
};
static const struct adapter full = {.name = "full", .routes = hooks, .start = start_well, .stop = stop, .tick = tick,
    .refused = refused, .unready = unready};
static const struct adapter least = {.name = "least", .start = start_without_state};
static const struct adapter deaf = {.name = "deaf", .routes = (const struct route[]){{0}}, .start = start_without_state, .stop = stop};
static const struct adapter broken = {.name = "broken", .start = start_badly};

START_TEST(adapters_are_told_what_concerns_them)
{
	static const struct adapter *const some[] = {&least, &full, &deaf, NULL};
	struct answer a;

	app_rig_configure(&r, NULL, NULL);
	app_rig_open(&r, some);
	ck_assert_ptr_eq(app_adapter_state(&r.app, &full), &a_state);
	ck_assert_ptr_null(app_adapter_state(&r.app, &broken));
	ck_assert_int_eq(ask_status(http_server_port(r.app.server), "GET /hook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 500);
	ck_assert_uint_eq(n_refused, 0);
	ck_assert_int_eq(ask_status(http_server_port(r.app.server),
	    "POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nConnection: close\r\n\r\n12345678901"), 413);
	wait_until(__atomic_load_n(&n_refused, __ATOMIC_SEQ_CST) == 1);
	wait_all(&r.f, r.app.projector);
	a = app_rig_ask(&r, "GET", "/readyz?verbose", "");
	ck_assert_int_eq(a.status, 200);
	answer_finish(&a);
	why_unready = "the vendor is asleep";
	a = app_rig_ask(&r, "GET", "/readyz?verbose", "");
	ck_assert_ptr_nonnull(memmem(a.body.ptr, a.body.len, why_unready, strlen(why_unready)));
	answer_finish(&a);
	app_stop(&r.app);
	ck_assert_uint_eq(n_last_ticks, 1);
	ck_assert_uint_eq(n_stops, 1); /* of the one with a state */
}
END_TEST

START_TEST(an_adapter_that_cannot_start_stops_the_start)
{
	static const struct adapter *const some[] = {&full, &broken, NULL};

	app_rig_configure(&r, NULL, NULL);
	ck_assert_int_eq(app_rig_start(&r, some), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(r.problem.ptr, "the adapter broken cannot start"));
	ck_assert_uint_eq(n_stops, 1);
}
END_TEST

START_TEST(there_is_room_for_sixteen_adapters)
{
	const struct adapter *many[APP_ADAPTERS_MAX + 2] = {NULL};

	for (unsigned i = 0; i <= APP_ADAPTERS_MAX; i++)
		many[i] = &least;
	app_rig_configure(&r, NULL, NULL);
	ck_assert_int_eq(app_rig_start(&r, many), ERR_RANGE);
	ck_assert_ptr_nonnull(strstr(r.problem.ptr, "the adapter least cannot start"));
	many[APP_ADAPTERS_MAX] = NULL;
	app_rig_open(&r, many);
	app_stop(&r.app);
}
END_TEST

/* ---- settings that change answers --------------------------------------------------------------- */

static const char *const cors[] = {"CORS_ORIGINS=https://app.example.org", "CORS_ORIGIN_REGEXES=https://[a-z]+\\.example\\.net", NULL};
static const char *const cors_all[] = {"CORS_ORIGINS=*,https://app.example.org", "CORS_CREDENTIALS=true", NULL};
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *says;
	const char *const *settings;
	const char *origin;
	bool allowed, credentials;
} origins[] = {
	{"one that is named", cors, "https://app.example.org", true, false},
	{"one that matches", cors, "https://a.example.net", true, false},
	{"one that only begins so", cors, "https://a.example.net:8080", false, false},
	{"one that only ends so", cors, "xhttps://a.example.net", false, false},
	{"another", cors, "https://a.example.com", false, false},
	{"one that is too long to be any", cors, "https://" X50 X50 X50 X50 X50 ".example.net", false, false},
	{"anybody, without cookies", cors_all, "https://anybody.example", true, false},
	{"one that is named, with them", cors_all, "https://app.example.org", true, true},
	{"none", NULL, "https://app.example.org", false, false},
};

START_TEST(other_sites_may_read_what_they_are_allowed_to)
{
	char field[400];
	struct answer a;
	struct slice value;

	app_rig_configure(&r, NULL, origins[_i].settings);
	app_rig_open(&r, NULL);
	snprintf(field, sizeof(field), "Origin: %s\r\n", origins[_i].origin);
	a = app_rig_ask(&r, "GET", "/livez", field);
	ck_assert_int_eq(a.status, 200);
	ck_assert_msg(answer_field(&a, "access-control-allow-origin", &value) == origins[_i].allowed, "%s", origins[_i].says);
	if (origins[_i].allowed)
		ck_assert_slice_eq(value, slice_str(origins[_i].origin));
	ck_assert_msg(answer_field(&a, "access-control-allow-credentials", &value) == origins[_i].credentials, "%s", origins[_i].says);
	answer_finish(&a);
	app_stop(&r.app);
}
END_TEST

START_TEST(beyond_its_memory_the_service_sheds_what_can_wait)
{
	static const char *const settings[] = {"LULAB_MEMORY_MAX=64KiB", NULL};
	struct answer a;
	uint64_t used, limit;

	app_rig_configure(&r, NULL, settings);
	app_rig_open(&r, NULL);
	app_memory(&r.app, &used, &limit);
	ck_assert_uint_eq(limit, 65536);
	ck_assert_uint_gt(used, limit);
	/* It looks now and then only. */
	for (int status = 200; status != 503;) {
		a = app_rig_ask(&r, "GET", "/api/v1/meetings", "");
		status = a.status;
		ck_assert(status == 200 || answer_value(&a, "retry-after").len > 0);
		answer_finish(&a);
	}
	a = app_rig_ask(&r, "GET", "/livez", "");
	ck_assert_int_eq(a.status, 200);
	answer_finish(&a);
	a = app_rig_ask(&r, "GET", "/health", "");
	ck_assert_ptr_nonnull(memmem(a.body.ptr, a.body.len, "memory", 6));
	answer_finish(&a);
	app_stop(&r.app);
}
END_TEST

START_TEST(without_room_on_the_disk_it_starts_and_says_so)
{
	static const char *const settings[] = {"LULAB_DISK_RESERVE=1024TiB", NULL};
	struct answer a;

	app_rig_configure(&r, NULL, settings);
	app_rig_open(&r, NULL);
	ck_assert_uint_eq(eventlog_size(r.app.log), 0);
	a = app_rig_ask(&r, "GET", "/readyz?verbose", "");
	ck_assert_ptr_nonnull(memmem(a.body.ptr, a.body.len, "disk", 4));
	answer_finish(&a);
	app_stop(&r.app);
}
END_TEST

/* ---- lists -------------------------------------------------------------------------------------- */

static const struct {
	const char *says, *target, *fields;
	int status;
	const char *body; /* somewhere in it */
	const char *head, *value; /* a field, and what is in it; value NULL: any */
} asked[] = {
	{"a page of CSV tells how many there are", "/api/v1/meetings?limit=1", "Accept: text/csv\r\n", 200, "id", "lulab-total", "2"},
	{"and how to go on", "/api/v1/meetings?limit=1", "Accept: application/x-ndjson\r\n", 200, "\"id\"", "lulab-next-cursor", NULL},
	{"the whole list without limit", "/api/v1/meetings", "Accept: application/x-ndjson\r\n", 200, "\"m2\"", "lulab-position", NULL},
	{"a position to wait for that is none", "/api/v1/meetings/c1/participants", "Lulab-Min-Position: x\r\n", 400, "Lulab-Min-Position",
	    NULL, NULL},
	{"a position that is still to come", "/api/v1/meetings", "Lulab-Min-Position: 1000\r\n", 503, "", "retry-after", NULL},
	{"one row with a position that is none", "/api/v1/meetings/c1", "Lulab-Min-Position: -1\r\n", 400, "Lulab-Min-Position", NULL, NULL},
	{"more than one thing wrong", "/api/v1/meetings?limit=0&page=0&x=1", "", 400, "\"x\"", NULL, NULL},
	{"an event id that goes on", "/api/v1/events/stream", "Last-Event-ID: x\r\n", 400, "Last-Event-ID", NULL, NULL},
	{"an event id before none", "/api/v1/events/stream", "Last-Event-ID: 18446744073709551615\r\n", 400, "Last-Event-ID", NULL, NULL},
	{"a stream of no type", "/api/v1/events/stream?type=nothing.known", "", 400, "type", NULL, NULL},
	{"a stream from nowhere", "/api/v1/events/stream?from=x", "", 400, "from", NULL, NULL},
	{"events from the middle, by pages", "/api/v1/events?page=2&limit=2", "", 200, "\"data\"", NULL, NULL},
	{"a page behind the last", "/api/v1/events?page=1000&limit=2", "", 200, "\"data\":[]", NULL, NULL},
	{"a proof of what is not there yet", "/api/v1/events/1000/proof", "", 404, "no event at this position yet", NULL, NULL},
	{"a proof that was not signed for yet", "/api/v1/events/4/proof", "", 200, "", NULL, NULL},
};

START_TEST(answers_are_what_was_asked_for)
{
	struct answer a;
	struct slice value;

	app_rig_configure(&r, NULL, NULL);
	app_rig_open(&r, NULL);
	give(&r.f, "meeting.created", "{\"meeting_id\":\"m1\",\"title\":\"t\",\"operate_at_ms\":1000,\"operator\":{\"uuid\":\"u1\"}}");
	give(&r.f, "meeting.created", "{\"meeting_id\":\"m2\",\"title\":\"t\",\"operate_at_ms\":1000}");
	give(&r.f, "meeting.started", "{\"meeting_id\":\"m1\",\"operate_at_ms\":2000}");
	give(&r.f, "meeting.ended", "{\"meeting_id\":\"m1\",\"operate_at_ms\":4000}");
	wait_all(&r.f, r.app.projector);
	ck_assert_int_eq(signer_sign_now(r.app.signer, eventlog_size(r.app.log)), 0);
	a = app_rig_ask(&r, "GET", asked[_i].target, asked[_i].fields);
	ck_assert_msg(a.status == asked[_i].status, "%s: %d %.*s", asked[_i].says, a.status, SLICE_ARG(buf_slice(&a.body)));
	ck_assert_msg(memmem(a.body.ptr, a.body.len, asked[_i].body, strlen(asked[_i].body)) != NULL || asked[_i].body[0] == '\0',
	    "%s: %.*s", asked[_i].says, SLICE_ARG(buf_slice(&a.body)));
	if (asked[_i].head != NULL) {
		ck_assert_msg(answer_field(&a, asked[_i].head, &value), "%s: %.*s", asked[_i].says, SLICE_ARG(buf_slice(&a.head)));
		if (asked[_i].value != NULL)
			ck_assert_slice_eq(value, slice_str(asked[_i].value));
	}
	answer_finish(&a);
	app_stop(&r.app);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("app");
	TCase *t = tcase_create("app");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_start_is_refused_with_a_sentence, 0, COUNT(starts));
	tcase_add_test(t, a_directory_and_a_port_have_one_service);
	tcase_add_test(t, adapters_are_told_what_concerns_them);
	tcase_add_test(t, an_adapter_that_cannot_start_stops_the_start);
	tcase_add_test(t, there_is_room_for_sixteen_adapters);
	tcase_add_loop_test(t, other_sites_may_read_what_they_are_allowed_to, 0, COUNT(origins));
	tcase_add_test(t, beyond_its_memory_the_service_sheds_what_can_wait);
	tcase_add_test(t, without_room_on_the_disk_it_starts_and_says_so);
	tcase_add_loop_test(t, answers_are_what_was_asked_for, 0, COUNT(asked));
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
