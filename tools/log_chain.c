/* See log_chain.h. */
#include "log_chain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/verify_succession.h"
#include "base/err.h"
#include "base/io.h"
#include "domain/policy.h"

#define LOGS_MAX 1000
#define RECORD_ARENA 262144

/* One step back. */
struct step {
	struct log_chain *chain;
	const struct verify_options *how; /* of the log itself */
	struct verify_summary *summary;   /* likewise */
	const struct succession *link;
	char dir[PATH_MAX]; /* of the old log */
	struct verify_options options;
};

__attribute__((format(printf, 3, 4))) static void found(struct step *s, bool evidence, const char *format, ...)
{
	struct verify_finding f = {.evidence = evidence};
	va_list args;

	va_start(args, format);
	vsnprintf(f.text, sizeof(f.text), format, args);
	va_end(args);
	if (evidence)
		s->summary->n_evidence++;
	else
		s->summary->n_unknown++;
	if (s->how->on_finding != NULL)
		s->how->on_finding(s->how->arg, &f);
}

/* A finding in the old log; its index is none of this one. */
static void on_finding(void *arg, const struct verify_finding *finding)
{
	struct step *s = arg;

	found(s, finding->evidence, "in the log before, %.*s: %.140s", SLICE_ARG(s->link->origin), finding->text);
}

static bool stopped(void *arg)
{
	struct step *s = arg;

	return s->how->stopped != NULL && s->how->stopped(s->how->arg);
}

/* The keys that are of the old log. */
static void take_keys(struct step *s)
{
	struct verify_options *o = &s->options;
	char path[PATH_MAX];

	for (unsigned i = 0; i < s->chain->n_keys && o->n_log_keys < VERIFY_KEYS_MAX; i++)
		if (slice_is(s->link->origin, s->chain->keys[i].name))
			o->keys[o->n_log_keys++] = s->chain->keys[i];
	if (o->n_log_keys == 0 && s->chain->own_keys &&
	    snprintf(path, sizeof(path), "%s/log.vkey", s->dir) < (int)sizeof(path) &&
	    policy_keys(o->keys, VERIFY_KEYS_MAX, &o->n_log_keys, NOTE_ED25519, path) == 0 &&
	    !slice_is(s->link->origin, o->keys[0].name))
		o->n_log_keys = 0;
}

static void check_root(struct step *s, const struct verify_source *old)
{
	int rc = succession_root_holds(s->link, old);

	if (rc == ERR_CORRUPT)
		found(s, true, "the log before, %.*s, does not begin with the %" PRIu64 " events that its successor found",
		    SLICE_ARG(s->link->origin), s->link->found);
	else if (rc == ERR_NOT_FOUND && old->size != NULL && s->link->has_root)
		found(s, true, "the log before, %.*s, has no longer the %" PRIu64 " events that its successor found",
		    SLICE_ARG(s->link->origin), s->link->found);
	/* An export ends at a checkpoint: what was found beyond the last one is in the store alone. */
	else if (rc != 0 && rc != ERR_NOT_FOUND)
		found(s, false, "the log before, %.*s, cannot be read: %s", SLICE_ARG(s->link->origin), err_text(rc));
}

/* Verifies the old log; 0 and *ret_source open when there is one to go on from. */
static int verify_old(struct step *s, struct verify_source *ret_source, uint64_t *ret_size)
{
	struct verify_summary summary;
	int rc = s->chain->is_export ? verify_export_open(ret_source, s->dir) : verify_data_open(ret_source, s->dir);

	if (rc != 0) {
		found(s, false, "the log before, %.*s, cannot be read in %s: %s", SLICE_ARG(s->link->origin), s->dir, err_text(rc));
		return ERR_NOT_FOUND;
	}
	s->options.threads = s->how->threads;
	s->options.semantics = s->how->semantics;
	s->options.on_finding = on_finding;
	s->options.stopped = stopped;
	s->options.arg = s;
	rc = verify_log(ret_source, &s->options, &summary);
	if (rc == 0) {
		if (summary.size > s->link->found)
			found(s, true, "the log before, %.*s, has %" PRIu64 " events; its successor says that %" PRIu64 " were found",
			    SLICE_ARG(s->link->origin), summary.size, s->link->found);
		else
			check_root(s, ret_source);
		s->chain->n_verified++;
		*ret_size = summary.size;
	}
	return rc;
}

static void close_source(const struct log_chain *c, struct verify_source *source)
{
	if (c->is_export)
		verify_export_close(source);
	else
		verify_data_close(source);
}

/* What can be said of the link without the old log. False: there is no key to say it by. */
static bool check_link(struct step *s)
{
	take_keys(s);
	if (s->options.n_log_keys == 0) {
		found(s, false, "this log succeeds %.*s, whose key was not given: see --previous-key", SLICE_ARG(s->link->origin));
		return false;
	}
	if (!succession_is_signed(s->link, s->options.keys, s->options.n_log_keys))
		found(s, true, "the note of %.*s in the first record is not signed by the key given for it", SLICE_ARG(s->link->origin));
	return true;
}

static unsigned count_logs(const struct log_chain *c)
{
	char path[PATH_MAX];
	unsigned n = 0;

	while (n < LOGS_MAX && snprintf(path, sizeof(path), "%s/previous/%u", c->dir, n + 1) < (int)sizeof(path) && file_exists(path))
		n++;
	return n;
}

static void remember(struct log_chain *c, const struct succession *s)
{
	if (c->is_successor)
		return;
	c->is_successor = true;
	c->found = s->found;
	c->signed_size = s->signed_size;
	snprintf(c->origin, sizeof(c->origin), "%.*s", SLICE_ARG(s->origin));
	snprintf(c->reason, sizeof(c->reason), "%.*s", SLICE_ARG(s->reason));
}

int log_chain_verify(struct log_chain *c, const struct verify_source *source, const struct verify_options *how,
    struct verify_summary *summary)
{
	struct arena a = ARENA_INIT(RECORD_ARENA);
	struct step *s = calloc(1, sizeof(*s));
	struct verify_source old = {0}, next;
	struct succession link;
	uint64_t size = summary->size;
	unsigned left = count_logs(c);
	bool is_old = false;
	int rc = s == NULL ? ERR_NOMEM : 0;

	while (rc == 0) {
		const char *reason = "";

		*s = (struct step){.chain = c, .how = how, .summary = summary, .link = &link};
		arena_finish(&a);
		a = (struct arena)ARENA_INIT(RECORD_ARENA);
		rc = succession_read(&link, is_old ? &old : source, size, &a, &reason);
		if (rc == ERR_MALFORMED)
			found(s, true, "the first record says that this log succeeds another, but %s", reason);
		if (rc != 0)
			break;
		remember(c, &link);
		snprintf(s->dir, sizeof(s->dir), "%s/previous/%u", c->dir, left);
		if (!check_link(s))
			break;
		if (left-- == 0) {
			found(s, false, "the log before, %.*s, is not here", SLICE_ARG(link.origin));
			break;
		}
		rc = verify_old(s, &next, &size);
		if (is_old)
			close_source(c, &old);
		is_old = rc != ERR_NOT_FOUND;
		if (is_old)
			old = next;
	}
	if (is_old)
		close_source(c, &old);
	arena_finish(&a);
	free(s);
	return rc == ERR_NOT_FOUND || rc == ERR_MALFORMED ? 0 : rc;
}
