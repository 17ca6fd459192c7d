/* Is a copy of a log good? In three outcomes; see backup.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup.h"
#include "backup_objects.h"
#include "base/io.h"
#include "domain/policy.h"
#include "log_chain.h"
#include "verify_watch.h"

/* Root of every record there is, from what the verifier has just found to be whole. */
static int root_of(const struct verify_source *source, uint64_t records, struct merkle_hash *ret)
{
	struct buf bytes = BUF_INIT(BUNDLE_LEN_MAX);
	struct merkle_edge edge = {0};
	struct merkle_hash leaf;
	int rc = 0;

	while (rc == 0 && edge.size < records) {
		struct slice rest, record;
		uint64_t left = records - edge.size;
		bool cut = false;

		buf_clear(&bytes);
		rc = source->entries(source->arg, edge.size / MERKLE_TILE_WIDTH,
		    left < MERKLE_TILE_WIDTH ? (unsigned)left : MERKLE_TILE_WIDTH, &bytes);
		rest = buf_slice(&bytes);
		left = edge.size;
		while (rc == 0 && bundle_next(&rest, &record, &cut)) {
			merkle_leaf(&leaf, record);
			merkle_edge_add(&edge, &leaf, NULL);
		}
		if (rc == 0 && (cut || edge.size == left))
			rc = ERR_CORRUPT;
	}
	buf_finish(&bytes);
	if (rc == 0)
		merkle_edge_root(ret, &edge);
	return rc;
}

static enum backup_outcome verify_source(const struct verify_source *source, const char *dir, struct verify_options *o,
    struct verify_summary *ret, struct merkle_hash *ret_root, struct buf *problem)
{
	struct log_chain chain = {.dir = dir, .own_keys = true};
	struct verify_watch watch = {.out = stderr};
	int rc;

	verify_watch_start(&watch, o);
	rc = verify_log(source, o, ret);
	if (rc == 0)
		rc = log_chain_verify(&chain, source, o, ret);
	if (rc == 0 && ret->n_evidence == 0 && ret->n_unknown == 0)
		rc = root_of(source, ret->records, ret_root);
	verify_watch_finish(&watch);
	if (rc != 0) {
		buf_printf(problem, "the log in %s could not be verified to its end: %s", dir, err_text(rc));
		return BACKUP_INCONCLUSIVE;
	}
	if (ret->n_evidence > 0) {
		buf_printf(problem, "the log in %s is not what was signed: %" PRIu64 " findings", dir, ret->n_evidence);
		return BACKUP_FAILED;
	}
	if (ret->n_unknown > 0) {
		buf_printf(problem, "of the log in %s, %" PRIu64 " things could not be read", dir, ret->n_unknown);
		return BACKUP_INCONCLUSIVE;
	}
	return BACKUP_OK;
}

static enum backup_outcome verify_here(const char *dir, const char *vkey, struct verify_summary *ret,
    struct merkle_hash *ret_root, struct buf *problem)
{
	struct verify_options *o = calloc(1, sizeof(*o));
	struct verify_source source;
	enum backup_outcome outcome = BACKUP_INCONCLUSIVE;
	char path[PATH_MAX];
	int rc = o == NULL ? ERR_NOMEM : backup_join(path, dir, "log.vkey");

	if (rc == 0)
		rc = policy_keys(o->keys, VERIFY_KEYS_MAX, &o->n_log_keys, NOTE_ED25519, vkey != NULL ? vkey : path);
	if (rc != 0) {
		buf_printf(problem, "%s is no verifier key of a log: %s", vkey != NULL ? vkey : path, err_text(rc));
		free(o);
		return outcome;
	}
	rc = verify_data_open(&source, dir);
	if (rc == ERR_VERSION || rc == ERR_CORRUPT)
		outcome = BACKUP_FAILED; /* it was read, and is no log */
	if (rc != 0)
		buf_printf(problem, "the log in %s cannot be opened: %s", dir, err_text(rc));
	else
		outcome = verify_source(&source, dir, o, ret, ret_root, problem);
	if (rc == 0)
		verify_data_close(&source);
	free(o);
	return outcome;
}

/* What the child tells, whole in one pipe buffer. */
struct result {
	enum backup_outcome outcome;
	struct verify_summary summary;
	struct merkle_hash root;
	char problem[1024];
};
_Static_assert(sizeof(struct result) <= 4096, "is written to a pipe in one piece");

static void child(int fd, const char *dir, const char *vkey)
{
	struct result r = {0};
	struct buf problem = BUF_INIT(8192);

	r.outcome = verify_here(dir, vkey, &r.summary, &r.root, &problem);
	snprintf(r.problem, sizeof(r.problem), "%s", problem.len > 0 ? problem.ptr : "");
	_exit(io_calls->write(fd, &r, sizeof(r)) == (ssize_t)sizeof(r) ? 0 : 1);
}

/*
 * In a process of its own: the store's library trusts its pages, so a damaged copy may end whoever reads
 * it. That is an answer too.
 */
enum backup_outcome backup_verify_log(struct invocation *in, const char *dir, const char *vkey,
    struct verify_summary *ret, struct merkle_hash *ret_root, struct buf *problem)
{
	struct result r = {.outcome = BACKUP_INCONCLUSIVE};
	int fds[2], status = 0;
	ssize_t n;
	pid_t pid;

	(void)in;
	fflush(NULL);
	if (pipe(fds) != 0 || (pid = fork()) < 0) {
		buf_printf(problem, "cannot start a process: %s", err_text(err_from_errno(errno)));
		return BACKUP_INCONCLUSIVE;
	}
	if (pid == 0)
		child(fds[1], dir, vkey);
	io_calls->close(fds[1]);
	do
		n = io_calls->read(fds[0], &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	io_calls->close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(r)) {
		bool died = WIFSIGNALED(status) && (WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGABRT);

		buf_printf(problem, died ? "the store in %s/log is so damaged that reading it ends the reader" :
		    "the log in %s could not be verified: the verifier was ended", dir);
		return died ? BACKUP_FAILED : BACKUP_INCONCLUSIVE;
	}
	*ret = r.summary;
	*ret_root = r.root;
	buf_append_str(problem, r.problem);
	return r.outcome;
}

static enum backup_outcome verify_objects(const char *dir, const struct backup_manifest *m, struct buf *problem)
{
	struct backup_objects found;
	enum backup_outcome outcome = backup_objects_verify(dir, &found, problem);

	if (outcome == BACKUP_OK && found.n != m->n_objects) {
		buf_printf(problem, "%s has %" PRIu64 " objects, it was made with %" PRIu64, dir, found.n, m->n_objects);
		outcome = BACKUP_FAILED;
	}
	return outcome;
}

enum backup_outcome backup_verify(struct invocation *in, const char *dir, const char *vkey,
    struct backup_manifest *ret, struct buf *problem)
{
	struct verify_summary summary;
	struct merkle_hash root;
	enum backup_outcome outcome;
	int rc = backup_manifest_read(dir, ret);

	if (rc == ERR_NOT_FOUND && file_exists(dir)) {
		buf_printf(problem, "%s is not a complete backup: it has no " BACKUP_MANIFEST " file", dir);
		return BACKUP_FAILED;
	}
	if (rc != 0) {
		buf_printf(problem, "%s/" BACKUP_MANIFEST " cannot be read: %s", dir, err_text(rc));
		return rc == ERR_CORRUPT ? BACKUP_FAILED : BACKUP_INCONCLUSIVE;
	}
	outcome = backup_verify_log(in, dir, vkey, &summary, &root, problem);
	if (outcome == BACKUP_OK && (summary.records != ret->records || !merkle_hash_eq(&root, &ret->root) ||
	    strcmp(summary.origin, ret->origin) != 0)) {
		buf_printf(problem, "the log in %s is good, but not the one that was backed up: it has %" PRIu64
		    " events, the backup had %" PRIu64, dir, summary.records, ret->records);
		outcome = BACKUP_FAILED;
	}
	return outcome == BACKUP_OK && ret->has_objects ? verify_objects(dir, ret, problem) : outcome;
}
