/* See policy.h. */
#include "domain/policy.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"

static struct slice word(struct slice *rest)
{
	struct slice w;

	slice_cut(*rest, ' ', &w, rest);
	*rest = slice_trim(*rest);
	return w;
}

static bool same_key(const struct note_key *a, const struct note_key *b)
{
	return memcmp(a->id, b->id, NOTE_ID_LEN) == 0 && strcmp(a->name, b->name) == 0;
}

static const char *take_key(struct note_key *ret, struct slice text, enum note_key_type type)
{
	int rc = note_key_parse(ret, text);

	if (rc == ERR_BAD_KEY)
		return "the id in the key is not that of the key; was it cut or retyped?";
	if (rc != 0)
		return "not a verifier key, which is name+id+base64";
	if (ret->type != type)
		return type == NOTE_ED25519 ? "this is a witness's key, not a log's" : "this is a log's key, not a witness's";
	return NULL;
}

static const char *take_log(struct policy *p, struct slice rest)
{
	const char *why;

	if (p->n_logs == POLICY_LOGS_MAX)
		return "too many log lines";
	why = take_key(&p->logs[p->n_logs], word(&rest), NOTE_ED25519);
	if (why == NULL && rest.len > 0)
		why = "there is more behind the key";
	for (unsigned i = 0; why == NULL && i < p->n_logs; i++)
		if (same_key(&p->logs[i], &p->logs[p->n_logs]))
			why = "this log was named before";
	p->n_logs += why == NULL;
	return why;
}

static const char *take_witness(struct policy *p, struct slice rest)
{
	struct policy_witness *w = &p->witnesses[p->n_witnesses];
	const char *why;

	if (p->n_witnesses == POLICY_WITNESSES_MAX)
		return "too many witness lines";
	why = take_key(&w->key, word(&rest), NOTE_COSIGNATURE);
	if (why == NULL && rest.len > POLICY_URL_MAX)
		why = "the URL is too long";
	if (why == NULL && rest.len > 0 && !slice_starts_with(rest, SLICE("https://")) &&
	    !slice_starts_with(rest, SLICE("http://")))
		why = "behind the key there may be a URL, nothing else";
	for (unsigned i = 0; why == NULL && i < p->n_witnesses; i++)
		if (same_key(&p->witnesses[i].key, &w->key))
			why = "this witness was named before";
	if (why != NULL)
		return why;
	for (size_t i = 0; i < rest.len; i++)
		w->url[i] = rest.ptr[i];
	w->url[rest.len] = '\0';
	p->n_witnesses++;
	return NULL;
}

static const char *take_quorum(struct policy *p, struct slice rest, bool *seen)
{
	uint64_t n;

	if (*seen)
		return "a second quorum";
	if (slice_to_u64(rest, &n) != 0 || n > POLICY_WITNESSES_MAX)
		return "a quorum is a number of witnesses";
	p->quorum = (unsigned)n;
	*seen = true;
	return NULL;
}

int policy_parse(struct policy *ret, struct slice text, struct buf *problem)
{
	struct policy *p = calloc(1, sizeof(*p));
	bool has_quorum = false;
	const char *why = NULL;
	unsigned number = 0;

	if (p == NULL)
		return ERR_NOMEM;
	while (why == NULL && text.len > 0) {
		struct slice line, kind;

		slice_cut(text, '\n', &line, &text);
		line = slice_trim(line);
		number++;
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		kind = word(&line);
		if (slice_is(kind, "log"))
			why = take_log(p, line);
		else if (slice_is(kind, "witness"))
			why = take_witness(p, line);
		else if (slice_is(kind, "quorum"))
			why = take_quorum(p, line, &has_quorum);
		else
			why = "a line begins with log, witness, quorum or #";
	}
	if (why == NULL && p->quorum > p->n_witnesses)
		why = "the quorum is more than there are witnesses";
	if (why == NULL)
		*ret = *p;
	else
		buf_printf(problem, "line %u: %s", number, why);
	free(p);
	return why == NULL ? 0 : ERR_CONFIG;
}

int policy_read(struct policy *ret, const char *path, struct buf *problem)
{
	struct buf text = BUF_INIT(POLICY_FILE_MAX), why = BUF_INIT(512);
	int rc = file_read(&text, path);

	if (rc != 0) {
		buf_printf(problem, "%s cannot be read: %s", path, err_text(rc));
	} else {
		rc = policy_parse(ret, buf_slice(&text), &why);
		if (rc != 0)
			buf_printf(problem, "%s, %.*s", path, (int)why.len, why.ptr);
	}
	buf_finish(&text);
	buf_finish(&why);
	return rc;
}

static int add_key(struct note_key *ret, unsigned n_max, unsigned *io_n, enum note_key_type type, struct slice text)
{
	struct note_key key;
	int rc = note_key_parse(&key, text);

	if (rc == 0 && key.type != type)
		rc = ERR_UNSUPPORTED;
	if (rc == 0 && *io_n == n_max)
		rc = ERR_TOO_BIG;
	if (rc == 0)
		ret[(*io_n)++] = key;
	return rc;
}

int policy_keys(struct note_key *ret, unsigned n_max, unsigned *io_n, enum note_key_type type, const char *text)
{
	struct buf file = BUF_INIT(POLICY_FILE_MAX);
	struct slice line, rest;
	int rc = add_key(ret, n_max, io_n, type, slice_str(text));

	if (rc != ERR_MALFORMED)
		return rc;
	rc = file_read(&file, text);
	rest = slice_trim(buf_slice(&file));
	if (rc == 0 && rest.len == 0)
		rc = ERR_MALFORMED;
	while (rc == 0 && rest.len > 0) {
		slice_cut(rest, '\n', &line, &rest);
		rc = add_key(ret, n_max, io_n, type, slice_trim(line));
	}
	buf_finish(&file);
	return rc;
}
