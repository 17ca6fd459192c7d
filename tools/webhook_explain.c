/*
 * The steps of the server, each a function that notes its result. Guesses are
 * made by doing: a cause is only named when the request fits it.
 */
#include "webhook_explain.h"


#include "base/buf.h"
#include "base/codec.h"
#include "base/err.h"
#include "tencent_wire.h"

struct work {
	const struct webhook_request *request;
	const struct webhook_secrets *secrets;
	struct tencent_keys keys;
	struct tencent_signed sent;
	struct slice plain;
	int64_t now_ms;
	struct arena *a;
	struct explanation *out;
	int rc; /* ERR_NOMEM */
};

static bool note(struct work *w, const char *name, enum step_result result, const char *detail,
    const char *cause)
{
	if (detail == NULL)
		w->rc = ERR_NOMEM;
	w->out->steps[w->out->n_steps++] = (struct explain_step){name, result, detail, cause};
	return result != STEP_FAILED && w->rc == 0;
}

static bool failed(struct work *w, int http_status, const char *name, const char *detail,
    const char *cause)
{
	w->out->http_status = http_status;
	return note(w, name, STEP_FAILED, detail, cause);
}

/* ---- settings --------------------------------------------------------------- */

static bool settings(struct work *w)
{
	const struct webhook_secrets *s = w->secrets;

	if (s->token.len == 0)
		return failed(w, 503, "settings", "TENCENT_MEETING_TOKEN is not set",
		    "set it to the token shown in the Tencent Meeting console, or give --token");
	tencent_keys_add_token(&w->keys, s->token);
	if (s->token_old.len > 0)
		tencent_keys_add_token(&w->keys, s->token_old);
	if (s->aes_key.len == 0)
		return note(w, "settings", STEP_OK, "a token, no AES key: events are expected unencrypted", NULL);
	if (tencent_keys_add_aes(&w->keys, s->aes_key) != 0)
		return failed(w, 503, "settings", "TENCENT_MEETING_ENCODING_AES_KEY is no key",
		    "it must be the 43 letters and digits of EncodingAESKey, without '=' or quotes");
	if (s->aes_key_old.len > 0)
		tencent_keys_add_aes(&w->keys, s->aes_key_old);
	return note(w, "settings", STEP_OK, "a token and an AES key", NULL);
}

/* ---- what was sent ------------------------------------------------------------ */

static bool headers(struct work *w)
{
	const struct webhook_request *r = w->request;
	const struct {
		const char *name;
		struct slice value;
	} all[] = {{"timestamp", r->timestamp}, {"nonce", r->nonce}, {"signature", r->signature}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].value.len == 0)
			return failed(w, 400, "headers",
			    arena_printf(w->a, "the header \"%s\" is missing or empty", all[i].name),
			    "a proxy on the way drops headers it does not know, or this is not a request of "
			    "Tencent Meeting");
	w->sent.timestamp = r->timestamp;
	w->sent.nonce = r->nonce;
	w->sent.signature = r->signature;
	return note(w, "headers", STEP_OK, "timestamp, nonce and signature are there", NULL);
}

static bool check_string(struct work *w)
{
	struct buf text = BUF_INIT(w->request->check_str.len + 1);
	bool good = percent_decode(&text, w->request->check_str, 0) == 0;

	if (good)
		w->sent.data = arena_dup(w->a, buf_slice(&text));
	buf_finish(&text);
	if (!good)
		return failed(w, 400, "check_str", "check_str is not percent-encoded text",
		    "the query string was cut or re-encoded on the way");
	return note(w, "check_str", STEP_OK, "check_str is there", NULL);
}

static bool body(struct work *w)
{
	struct slice text = w->request->body;

	switch (tencent_body_data(text, w->a, &w->sent.data)) {
	case 0:
		return note(w, "body", STEP_OK,
		    arena_printf(w->a, "data of %zu characters", w->sent.data.len), NULL);
	case ERR_NOT_FOUND:
		return failed(w, 400, "body", "JSON without a text \"data\"",
		    "something on the way rewrote the body, or this is not a request of Tencent Meeting");
	case ERR_NOMEM:
		w->rc = ERR_NOMEM;
		return false;
	default:
		return failed(w, 400, "body",
		    text.len == 0 ? "the body is empty" : "the body is no JSON object",
		    "the body was cut, compressed or re-encoded on the way; save it byte for byte");
	}
}

/* ---- signature ------------------------------------------------------------------ */

static bool signs(struct work *w, struct slice token, struct slice timestamp, struct slice data)
{
	struct tencent_keys one = {0};
	struct tencent_signed s = w->sent;
	bool good;

	s.timestamp = timestamp;
	s.data = data;
	good = tencent_keys_add_token(&one, token) == 0 && tencent_verify(&one, &s);
	tencent_keys_finish(&one);
	return good;
}

/* The data with one character in the place of another. */
static struct slice replaced(struct work *w, char from, char to)
{
	struct slice copy = arena_dup(w->a, w->sent.data);
	char *at = (char *)(uintptr_t)copy.ptr;

	for (size_t i = 0; i < copy.len; i++)
		if (at[i] == from)
			at[i] = to;
	return copy;
}

static struct slice url_alphabet(struct work *w)
{
	struct slice copy = replaced(w, '-', '+');
	char *at = (char *)(uintptr_t)copy.ptr;

	for (size_t i = 0; i < copy.len; i++)
		if (at[i] == '_')
			at[i] = '/';
	return copy;
}

static struct slice unescaped(struct work *w)
{
	struct buf text = BUF_INIT(w->sent.data.len + 1);
	struct slice out = w->sent.data;

	if (percent_decode(&text, w->sent.data, 0) == 0)
		out = arena_dup(w->a, buf_slice(&text));
	buf_finish(&text);
	return out;
}

/* Was the data changed on the way in one of the usual manners? */
static const char *data_cause(struct work *w)
{
	struct slice token = w->secrets->token, at = w->sent.timestamp;

	if (signs(w, token, at, replaced(w, ' ', '+')))
		return "every + in the data became a space: something decoded the body as a form; "
		       "hand the body on as it is";
	if (signs(w, token, at, unescaped(w)))
		return "the data is still percent-encoded: it was encoded once more on the way";
	if (signs(w, token, at, slice_trim(w->sent.data)))
		return "white space was added around the data on the way";
	if (signs(w, token, at, url_alphabet(w)))
		return "the data was re-encoded in the URL alphabet (- and _ for + and /)";
	return NULL;
}

/* Is it the secret that is off, and in which manner? */
static const char *token_cause(struct work *w)
{
	struct slice token = w->secrets->token, at = w->sent.timestamp, data = w->sent.data;
	struct slice trimmed = slice_trim(token), bare = trimmed;

	if (bare.len >= 2 && (bare.ptr[0] == '"' || bare.ptr[0] == '\''))
		bare = slice_of(bare.ptr + 1, bare.len - 2);
	if (trimmed.len != token.len && signs(w, trimmed, at, data))
		return "TENCENT_MEETING_TOKEN has white space around it: remove it";
	if (bare.len != trimmed.len && signs(w, bare, at, data))
		return "TENCENT_MEETING_TOKEN has quotes around it: remove them";
	if (w->secrets->aes_key.len > 0 && signs(w, w->secrets->aes_key, at, data))
		return "TENCENT_MEETING_TOKEN and TENCENT_MEETING_ENCODING_AES_KEY are swapped";
	return NULL;
}

static const char *time_cause(struct work *w)
{
	struct slice at = w->sent.timestamp;

	if (at.len > 3 && signs(w, w->secrets->token, slice_of(at.ptr, at.len - 3), w->sent.data))
		return "the timestamp header was turned from seconds into milliseconds on the way";
	return NULL;
}

/* Nothing fits the signature. Does the data open with our key? Then only the token can be wrong. */
static const char *last_guess(struct work *w)
{
	struct tencent_envelope envelope;
	const char *reason = NULL;
	struct slice plain;

	if (tencent_decrypt(&w->keys, w->sent.data, w->a, &plain) == 0 &&
	    (w->request->check_str.ptr != NULL ? utf8_valid(plain)
	                                       : tencent_parse(plain, w->a, &envelope, &reason) == 0))
		return w->keys.n_aes > 0
		    ? "the data opens with our AES key, so it arrived whole: TENCENT_MEETING_TOKEN is not the "
		      "token of this application, or was changed in the console"
		    : "the data is whole: TENCENT_MEETING_TOKEN is not the token of this application, or was "
		      "changed in the console";
	return "neither token nor key fits: the webhook belongs to another application, or the data was "
	       "changed on the way";
}

static bool lower_case(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
			return false;
	return true;
}

static bool signature(struct work *w)
{
	char mine[TENCENT_SIGNATURE_LEN + 1];
	struct slice theirs = w->sent.signature;
	const char *cause;

	if (tencent_verify(&w->keys, &w->sent))
		return note(w, "signature", STEP_OK, "made with our token over this data", NULL);
	if (theirs.len != TENCENT_SIGNATURE_LEN)
		return failed(w, 401, "signature",
		    arena_printf(w->a, "%zu characters instead of 40", theirs.len),
		    "the header was cut, or is not a SHA-1 signature of Tencent Meeting");
	tencent_sign(mine, w->secrets->token, w->sent.timestamp, w->sent.nonce, w->sent.data);
	if (!lower_case(theirs) && slice_eq_nocase(slice_str(mine), theirs))
		return failed(w, 401, "signature", "right, but in capital letters",
		    "the vendor sends lower case: the sender is a test tool, or a proxy rewrites headers");
	cause = data_cause(w);
	if (cause == NULL)
		cause = token_cause(w);
	if (cause == NULL)
		cause = time_cause(w);
	if (cause == NULL)
		cause = last_guess(w);
	return failed(w, 401, "signature", "does not match", cause);
}

/* ---- age ---------------------------------------------------------------------- */

static bool age(struct work *w)
{
	int64_t signed_ms, age_s;

	if (w->secrets->max_age_s == 0)
		return note(w, "age", STEP_OK, "any age is taken", NULL);
	if (tencent_time_ms(w->sent.timestamp, &signed_ms) != 0)
		return failed(w, 401, "age", "the timestamp is no number",
		    "the header was rewritten on the way");
	age_s = (w->now_ms - signed_ms) / 1000;
	if (age_s < -300)
		return failed(w, 401, "age",
		    arena_printf(w->a, "signed %lld s in the future", (long long)-age_s),
		    "one of the clocks is wrong, most likely this machine's: compare `date -u`");
	if (age_s > w->secrets->max_age_s)
		return note(w, "age", STEP_DOUBTFUL,
		    arena_printf(w->a, "signed %lld s ago; %lld s are allowed", (long long)age_s,
		        (long long)w->secrets->max_age_s),
		    "fine if it was saved long ago; refused with 401 if it arrived like this: a clock is wrong, "
		    "or LULAB_WEBHOOK_MAX_AGE is too short");
	return note(w, "age", STEP_OK, arena_printf(w->a, "signed %lld s ago", (long long)age_s), NULL);
}

/* ---- content -------------------------------------------------------------------- */

static const char *decrypt_cause(struct work *w)
{
	struct tencent_keys none = {0};
	struct slice raw;

	if (tencent_decrypt(&none, w->sent.data, w->a, &raw) != 0)
		return "the data is not base64: it was cut or re-encoded before it was signed";
	if (utf8_valid(raw) && json_scan(raw, NULL, NULL) == 0)
		return "the data is not encrypted: switch encryption on in the console, or unset "
		       "TENCENT_MEETING_ENCODING_AES_KEY";
	if (raw.len % 16 != 0)
		return "its length is no multiple of 16: it is not AES-256-CBC";
	return "TENCENT_MEETING_ENCODING_AES_KEY is not the key of this application, or was changed in the "
	       "console";
}

static bool decryption(struct work *w)
{
	const char *what = w->keys.n_aes > 0 ? "decryption" : "decoding";
	int rc = tencent_decrypt(&w->keys, w->sent.data, w->a, &w->plain);

	if (rc == ERR_NOMEM) {
		w->rc = rc;
		return false;
	}
	if (rc != 0)
		return failed(w, 400, what, "the data does not open", decrypt_cause(w));
	if (utf8_valid(w->plain))
		return note(w, what, STEP_OK, arena_printf(w->a, "%zu bytes of text", w->plain.len), NULL);
	return failed(w, 400, what, "what comes out is no text",
	    w->keys.n_aes > 0 ? "TENCENT_MEETING_ENCODING_AES_KEY is not the key of this application"
	                      : "the data is encrypted: set TENCENT_MEETING_ENCODING_AES_KEY");
}

static bool event(struct work *w)
{
	struct tencent_envelope envelope = {0};
	const char *reason = NULL;
	int rc = tencent_parse(w->plain, w->a, &envelope, &reason);

	if (rc == ERR_NOMEM) {
		w->rc = rc;
		return false;
	}
	if (rc != 0)
		return note(w, "event", STEP_DOUBTFUL, reason == NULL ? "not an event" : reason,
		    "it verified, so it is stored as it is and acknowledged; a wrong AES key can look like this");
	return note(w, "event", STEP_OK,
	    arena_printf(w->a, "%.*s, %zu item%s, trace_id %.*s", SLICE_ARG(envelope.event), envelope.n_items,
	        envelope.n_items == 1 ? "" : "s",
	        SLICE_ARG(envelope.trace_id.len == 0 ? SLICE("absent") : envelope.trace_id)),
	    NULL);
}

int webhook_explain(const struct webhook_request *request, const struct webhook_secrets *secrets,
    int64_t now_ms, struct arena *a, struct explanation *ret)
{
	struct work w = {.request = request, .secrets = secrets, .now_ms = now_ms, .a = a, .out = ret};
	bool is_check = request->check_str.ptr != NULL;

	*ret = (struct explanation){.http_status = 200};
	if (settings(&w) && (is_check ? check_string(&w) : body(&w)) && headers(&w) && signature(&w) &&
	    age(&w) && decryption(&w) && !is_check)
		event(&w);
	tencent_keys_finish(&w.keys);
	return w.rc;
}
