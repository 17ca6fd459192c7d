/*
 * lulab log export: the log as plain files that need neither our server nor our
 * store (integrity.md section 8).
 *
 * Everything up to the newest checkpoint is written: blobs and records first,
 * then hashes, then the notes under other names, and `checkpoint` when all that is
 * on the disk. Only then the notes get their names: one that covers more than
 * `checkpoint` would say that records are missing. So an export that was
 * interrupted is one that still says what it said before; the next run names what
 * an interrupted one left unnamed. How far the tiles are certain is kept in
 * `resume` and, once the export is complete, in `checkpoint`; the next run goes on
 * from there.
 *
 * Full tiles never change. A partial one is replaced by a longer one, and
 * removed once `checkpoint` no longer needs it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/io.h"
#include "base/json.h"
#include "domain/note.h"
#include "domain/policy.h"
#include "log_commands.h"
#include "progress.h"

#define BUNDLE_MAX (MERKLE_TILE_WIDTH * (2 + ENTRY_LEN_MAX))
#define BLOBS_PER_EVENT_MAX 1024
#define SYNC_EVERY 4096 /* tiles; what an interrupted run may have to do again */
#define READ_AT_ONCE_US INT64_C(1000000) /* of a read transaction; 5 s are allowed */

struct export {
	struct eventlog *log;
	const char *dir;
	uint64_t size;           /* of the checkpoint this run is for */
	struct buf checkpoint;
	uint64_t old_size;       /* of the one that was there; 0 = none */
	uint64_t first_tile;     /* tiles before are there for certain */
	struct buf bundle;
	uint64_t n_records, n_blobs, n_notes, n_bytes;
	char last_dir[PATH_MAX]; /* of the last file: it need not be made again */
	struct progress progress;
};

/* ---- files -------------------------------------------------------------------------- */

static int path_of(char ret[PATH_MAX], const struct export *e, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", e->dir, name) < PATH_MAX - 8 ? 0 : ERR_TOO_BIG;
}

static int make_parents(struct export *e, const char *path)
{
	char dir[PATH_MAX];
	size_t len = (size_t)(strrchr(path, '/') - path);

	memcpy(dir, path, len);
	dir[len] = '\0';
	if (strcmp(dir, e->last_dir) == 0)
		return 0;
	for (char *at = dir + strlen(e->dir); at != NULL; at = strchr(at + 1, '/')) {
		if (*at == '/')
			*at = '\0';
		if (mkdir(dir, 0755) != 0 && errno != EEXIST)
			return err_from_errno(errno);
		if (at < dir + len)
			*at = '/';
	}
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return err_from_errno(errno);
	memcpy(e->last_dir, dir, len + 1);
	return 0;
}

/* Whole or not at all under its name; synced later, with all others. */
static int put_file(struct export *e, const char *name, struct slice bytes)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	int fd, rc;

	rc = path_of(path, e, name);
	if (rc == 0)
		rc = make_parents(e, path);
	if (rc != 0)
		return rc;
	snprintf(temporary, sizeof(temporary), "%.*s.tmp", PATH_MAX - 8, path);
	fd = io_calls->open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_from_errno(errno);
	for (struct slice rest = bytes; rc == 0 && rest.len > 0;) {
		ssize_t n = io_calls->write(fd, rest.ptr, rest.len);

		if (n < 0 && errno != EINTR)
			rc = err_from_errno(errno);
		if (n > 0)
			rest = slice_of(rest.ptr + n, rest.len - (size_t)n);
	}
	if (io_calls->close(fd) != 0 && rc == 0)
		rc = err_from_errno(errno);
	if (rc == 0 && io_calls->rename(temporary, path) != 0)
		rc = err_from_errno(errno);
	if (rc != 0)
		io_calls->unlink(temporary);
	e->n_bytes += bytes.len;
	return rc;
}

static int rename_file(const struct export *e, const char *from, const char *to)
{
	char from_path[PATH_MAX], to_path[PATH_MAX];
	int rc;

	rc = path_of(from_path, e, from);
	if (rc == 0)
		rc = path_of(to_path, e, to);
	if (rc == 0 && io_calls->rename(from_path, to_path) != 0)
		rc = err_from_errno(errno);
	return rc;
}

/* All files so far are on the disk when this returns 0. */
static int sync_all(const struct export *e)
{
	int fd, rc = 0;

	fd = io_calls->open(e->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(errno);
	if (syncfs(fd) != 0)
		rc = err_from_errno(errno);
	io_calls->close(fd);
	return rc;
}

static int mark(const struct export *e, uint64_t n_tiles)
{
	char path[PATH_MAX], text[32];
	int rc;

	rc = sync_all(e);
	if (rc == 0)
		rc = path_of(path, e, "resume");
	snprintf(text, sizeof(text), "%" PRIu64 "\n", n_tiles);
	return rc != 0 ? rc : file_replace(path, slice_str(text), 0644);
}

/* ---- where to go on ------------------------------------------------------------------- */

/* The export that is there must be of the same log and not be ahead of it. */
static int read_old(struct export *e, const char **ret_problem)
{
	struct tile_reader tiles = eventlog_tiles(e->log);
	struct buf file = BUF_INIT(NOTE_BYTES_MAX);
	struct checkpoint old, new;
	struct merkle_hash root;
	struct note note;
	char path[PATH_MAX];
	uint64_t n_tiles;
	int rc;

	rc = path_of(path, e, "checkpoint");
	if (rc == 0)
		rc = file_read(&file, path);
	if (rc == 0) {
		*ret_problem = "its checkpoint is not one of this log";
		if (note_parse(&note, buf_slice(&file)) != 0 || checkpoint_parse(&old, note.text) != 0)
			rc = ERR_CONFLICT;
		if (rc == 0 && (note_parse(&note, buf_slice(&e->checkpoint)) != 0 || checkpoint_parse(&new, note.text) != 0))
			rc = ERR_CORRUPT;
		if (rc == 0 && (!slice_eq(old.origin, new.origin) || old.size > e->size))
			rc = ERR_CONFLICT;
		if (rc == 0)
			rc = merkle_root(&root, old.size, &tiles);
		if (rc == 0 && !merkle_hash_eq(&root, &old.root))
			rc = ERR_CONFLICT;
		if (rc == 0) {
			e->old_size = old.size;
			e->first_tile = old.size / MERKLE_TILE_WIDTH;
		}
	}
	buf_clear(&file);
	if (rc == 0 || rc == ERR_NOT_FOUND)
		rc = path_of(path, e, "resume");
	if (rc == 0 && file_read(&file, path) == 0 && slice_to_u64(slice_trim(buf_slice(&file)), &n_tiles) == 0 &&
	    n_tiles > e->first_tile && n_tiles <= e->size / MERKLE_TILE_WIDTH)
		e->first_tile = n_tiles;
	buf_finish(&file);
	return rc;
}

/* ---- records and blobs ------------------------------------------------------------------- */

static int put_blobs(struct export *e, struct log_read *read, uint64_t position)
{
	struct slice bytes;
	int rc;

	for (uint32_t n = 0; n < BLOBS_PER_EVENT_MAX; n++) {
		char hex[2 * SHA256_LEN + 1], name[96];
		uint8_t hash[SHA256_LEN];

		rc = eventlog_blob(read, position, n, &bytes);
		if (rc == ERR_NOT_FOUND)
			return 0;
		if (rc != 0)
			return rc;
		sha256(hash, &bytes, 1);
		hex_encode(hex, hash, sizeof(hash));
		snprintf(name, sizeof(name), "blob/%.2s/%s", hex, hex);
		/* Not trusted to be whole when it is of an interrupted run: written again. */
		rc = put_file(e, name, bytes);
		if (rc != 0)
			return rc;
		e->n_blobs++;
	}
	return ERR_CORRUPT;
}

static int gather(struct export *e, struct log_read *read, uint64_t first, unsigned width)
{
	buf_clear(&e->bundle);
	for (unsigned i = 0; i < width; i++) {
		struct log_record record;
		int rc;

		rc = eventlog_read_one(read, first + i, &record);
		if (rc != 0)
			return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
		buf_append_char(&e->bundle, (char)(record.entry.len >> 8));
		buf_append_char(&e->bundle, (char)record.entry.len);
		buf_append(&e->bundle, record.entry);
		/* Most records have no blob; those that have one name it. */
		if (memmem(record.entry.ptr, record.entry.len, "\"$blob\"", 7) != NULL) {
			rc = put_blobs(e, read, first + i);
			if (rc != 0)
				return rc;
		}
	}
	return e->bundle.rc;
}

static int put_entries(struct export *e)
{
	uint64_t n_tiles = e->size / MERKLE_TILE_WIDTH + (e->size % MERKLE_TILE_WIDTH != 0);
	struct log_read read = {0};
	int64_t since_us = 0;
	int rc = 0;

	for (uint64_t tile = e->first_tile; rc == 0 && tile < n_tiles; tile++) {
		unsigned width = merkle_tile_width(e->size, 0, tile);
		char name[MERKLE_PATH_MAX];
		int64_t now_us = clock_monotonic_us(&clock_system);

		if (read.txn == NULL || now_us - since_us > READ_AT_ONCE_US) {
			log_read_stop(&read);
			read = (struct log_read){0};
			rc = log_read_start(&read, e->log);
			since_us = now_us;
		}
		if (rc == 0)
			rc = gather(e, &read, tile * MERKLE_TILE_WIDTH, width);
		merkle_tile_path(name, MERKLE_LEVEL_ENTRIES, tile, width);
		if (rc == 0)
			rc = put_file(e, name, buf_slice(&e->bundle));
		e->n_records += width;
		progress_set(&e->progress, tile * MERKLE_TILE_WIDTH + width);
		if (rc == 0 && (tile + 1) % SYNC_EVERY == 0 && width == MERKLE_TILE_WIDTH)
			rc = mark(e, tile + 1);
		if (rc == 0 && command_interrupted())
			rc = ERR_CANCELLED;
	}
	log_read_stop(&read);
	return rc;
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static int put_hashes(struct export *e)
{
	struct tile_reader tiles = eventlog_tiles(e->log);
	/* Hash tiles are few and small: from the last complete export on, all of them. */
	uint64_t first = e->old_size / MERKLE_TILE_WIDTH;
	int rc = 0;

	for (unsigned level = 0; rc == 0 && level < MERKLE_LEVELS; level++, first /= MERKLE_TILE_WIDTH) {
		for (uint64_t tile = first; rc == 0; tile++) {
			unsigned width = merkle_tile_width(e->size, level, tile);
			struct merkle_hash hashes[MERKLE_TILE_WIDTH];
			char name[MERKLE_PATH_MAX];

			if (width == 0)
				break;
			rc = tiles.read(tiles.arg, level, tile, 0, width, hashes);
			merkle_tile_path(name, (int)level, tile, width);
			if (rc == 0)
				rc = put_file(e, name, slice_of(hashes, width * sizeof(hashes[0])));
			if (rc == 0 && command_interrupted())
				rc = ERR_CANCELLED;
		}
	}
	return rc;
}

/* ---- notes ------------------------------------------------------------------------------------- */

/* The partial tiles that a checkpoint of size `former` needs and the one of size `of` does not. */
static void drop_partial(const struct export *e, uint64_t former, uint64_t of)
{
	for (int level = MERKLE_LEVEL_ENTRIES; level < MERKLE_LEVELS; level++) {
		unsigned tree_level = level < 0 ? 0 : (unsigned)level;
		struct merkle_place place = merkle_place(former, tree_level);
		char name[MERKLE_PATH_MAX], path[PATH_MAX];

		if (place.at == 0 || merkle_tile_width(of, tree_level, place.number) == place.at)
			continue;
		merkle_tile_path(name, level, place.number, place.at);
		if (path_of(path, e, name) != 0 || io_calls->unlink(path) != 0)
			continue;
		*strrchr(path, '/') = '\0';
		rmdir(path); /* unless the longer one lies there */
	}
}

/*
 * Of all notes up to `size` that lie there as N.new; they are on the disk, as the checkpoint of size `of` is that
 * needs them. A run that was for one of these and was interrupted may have left partial tiles, too.
 */
static int name_notes(const struct export *e, uint64_t size, uint64_t of)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int rc;

	rc = path_of(path, e, "checkpoints");
	if (rc != 0)
		return rc;
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? 0 : err_from_errno(errno);
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		char from[48 + sizeof(entry->d_name)], to[48];
		struct slice name, rest;
		uint64_t n;

		slice_cut(slice_str(entry->d_name), '.', &name, &rest);
		if (!slice_eq(rest, SLICE("new")) || slice_to_u64(name, &n) != 0 || n > size)
			continue;
		snprintf(from, sizeof(from), "checkpoints/%s", entry->d_name);
		snprintf(to, sizeof(to), "checkpoints/%" PRIu64, n);
		drop_partial(e, n, of);
		rc = rename_file(e, from, to);
	}
	closedir(dir);
	return rc;
}

/* From the last export's newest on, which may have got cosignatures since. */
static int put_notes(struct export *e)
{
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t from = e->old_size, size;
	int rc = 0;

	while (rc == 0) {
		char name[48];

		buf_clear(&note);
		rc = eventlog_next_note(e->log, from, &size, &note);
		if (rc == ERR_NOT_FOUND || (rc == 0 && size > e->size)) {
			rc = 0;
			break;
		}
		snprintf(name, sizeof(name), "checkpoints/%" PRIu64 ".new", size);
		if (rc == 0)
			rc = put_file(e, name, buf_slice(&note));
		e->n_notes++;
		from = size + 1;
	}
	buf_finish(&note);
	return rc;
}

static int put_keys(struct export *e, const char *data_dir)
{
	struct buf key = BUF_INIT(1024);
	char path[PATH_MAX];
	int rc = 0;

	if (snprintf(path, sizeof(path), "%s/log.vkey", data_dir) < (int)sizeof(path) && file_read(&key, path) == 0)
		rc = put_file(e, "keys", buf_slice(&key));
	buf_finish(&key);
	return rc;
}

static int put_checkpoint(struct export *e)
{
	char path[PATH_MAX];
	int rc;

	rc = sync_all(e);
	if (rc == 0)
		rc = path_of(path, e, "checkpoint");
	if (rc == 0)
		rc = file_replace(path, buf_slice(&e->checkpoint), 0644);
	return rc;
}

/* `checkpoint` is the new one: what only the former needed goes, and the notes get their names. */
static int finish(const struct export *e)
{
	char path[PATH_MAX];

	drop_partial(e, e->old_size, e->size);
	if (path_of(path, e, "resume") == 0)
		io_calls->unlink(path);
	return name_notes(e, e->size, e->size);
}

/* ---- which checkpoint ------------------------------------------------------------------------------ */

/* Sizes of all notes, ascending; malloc'ed. */
static int list_notes(struct eventlog *log, uint64_t **ret_sizes, size_t *ret_n)
{
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t *sizes = NULL, size, from = 0;
	size_t n = 0, room = 0;
	int rc;

	while ((rc = eventlog_next_note(log, from, &size, &note)) == 0) {
		if (n == room) {
			uint64_t *more = realloc(sizes, (room = room == 0 ? 1024 : 2 * room) * sizeof(*sizes));

			if (more == NULL) {
				rc = ERR_NOMEM;
				break;
			}
			sizes = more;
		}
		sizes[n++] = size;
		from = size + 1;
		buf_clear(&note);
	}
	buf_finish(&note);
	*ret_sizes = sizes;
	*ret_n = n;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static bool has_quorum(const struct policy *policy, struct slice bytes)
{
	struct note *note = malloc(sizeof(*note));
	unsigned n = 0;

	if (note != NULL && note_parse(note, bytes) == 0)
		for (unsigned i = 0; i < policy->n_witnesses; i++)
			n += note_verify(note, &policy->witnesses[i].key, 1, NULL) == 0;
	free(note);
	return n >= policy->quorum;
}

/* The newest that enough witnesses have signed: the very newest is on its way to them. ERR_NOT_FOUND. */
static int newest_with_quorum(struct export *e, const struct policy *policy)
{
	uint64_t *sizes = NULL;
	size_t n = 0;
	int rc = list_notes(e->log, &sizes, &n);

	while (rc == 0 && n > 0) {
		buf_clear(&e->checkpoint);
		rc = eventlog_next_note(e->log, sizes[--n], &e->size, &e->checkpoint);
		if (rc == 0 && has_quorum(policy, buf_slice(&e->checkpoint)))
			break;
		e->size = 0;
	}
	free(sizes);
	return rc == 0 && e->size == 0 ? ERR_NOT_FOUND : rc;
}

static int choose_checkpoint(struct export *e, const struct policy *policy, const char **ret_problem)
{
	int rc;

	if (policy != NULL && policy->quorum > 0) {
		*ret_problem = "no checkpoint has the signatures that the policy asks for yet";
		return newest_with_quorum(e, policy);
	}
	*ret_problem = "no checkpoint was signed yet; a running server does within a second of the first event";
	rc = eventlog_last_note(e->log, &e->size, &e->checkpoint);
	return rc;
}

/* ---- the command ---------------------------------------------------------------------------------- */

static int do_export(struct export *e, const char *data_dir, const struct policy *policy, const char **ret_problem)
{
	int rc;

	rc = choose_checkpoint(e, policy, ret_problem);
	if (rc != 0)
		return rc;
	*ret_problem = NULL;
	rc = dir_create(e->dir, 0755);
	if (rc == 0)
		rc = read_old(e, ret_problem);
	if (rc != 0)
		return rc;
	/* What the last run had no time for. The note of just `old_size` is written again: nothing tells that it is whole. */
	rc = e->old_size == 0 ? 0 : name_notes(e, e->old_size - 1, e->old_size);
	if (rc != 0)
		return rc;
	progress_start(&e->progress, stderr, &clock_system, "exporting", "events", e->size);
	rc = put_entries(e);
	if (rc == 0)
		rc = put_hashes(e);
	progress_finish(&e->progress);
	if (rc == 0)
		rc = put_notes(e);
	if (rc == 0)
		rc = put_keys(e, data_dir);
	if (rc == 0)
		rc = put_checkpoint(e);
	if (rc == 0)
		rc = finish(e);
	return rc;
}

static int report(struct invocation *in, const struct export *e)
{
	struct buf out = BUF_INIT(4096);
	struct json_writer w = JSON_WRITER(&out);
	uint64_t log_size = eventlog_size(e->log), uncovered = log_size > e->size ? log_size - e->size : 0;
	int rc;

	if (!option_is_set(in, "json")) {
		printf("exported %" PRIu64 " events (%" PRIu64 " new, %" PRIu64 " blobs, %" PRIu64 " checkpoints) to %s\n", e->size,
		    e->size - e->old_size, e->n_blobs, e->n_notes, e->dir);
		if (uncovered > 0)
			fprintf(stderr,
			    "%" PRIu64 " newer ones are not under a checkpoint yet: the service signs within a second; export again "
			    "to add them\n",
			    uncovered);
		return STATUS_OK;
	}
	json_begin_object(&w);
	json_name(&w, "size");
	json_put_u64(&w, e->size);
	json_name(&w, "new");
	json_put_u64(&w, e->size - e->old_size);
	json_name(&w, "blobs");
	json_put_u64(&w, e->n_blobs);
	json_name(&w, "checkpoints");
	json_put_u64(&w, e->n_notes);
	json_name(&w, "bytes");
	json_put_u64(&w, e->n_bytes);
	json_name(&w, "uncovered"); /* newer than the checkpoint, not exported */
	json_put_u64(&w, uncovered);
	json_end_object(&w);
	rc = buf_append_char(&out, '\n');
	if (rc == 0 && fwrite(out.ptr, 1, out.len, stdout) != out.len)
		rc = ERR_IO;
	buf_finish(&out);
	return rc == 0 ? STATUS_OK : command_fail_err(in, rc, "cannot write the summary");
}

/* One log into one directory; only of the log itself, not of those before, a summary is told. */
static int export_one(struct invocation *in, const char *data_dir, const char *dir, const struct policy *policy,
    bool is_before)
{
	struct export *e = calloc(1, sizeof(*e));
	const char *problem = NULL;
	int rc, status;

	if (e == NULL)
		return command_fail(in, STATUS_FAILED, "out of memory");
	e->dir = dir;
	e->checkpoint = (struct buf)BUF_INIT(NOTE_BYTES_MAX);
	e->bundle = (struct buf)BUF_INIT(BUNDLE_MAX);
	if (!log_tool_open_dir(&e->log, in, data_dir, &status)) {
		free(e);
		return status;
	}
	rc = do_export(e, data_dir, policy, &problem);
	if (rc == 0 && is_before)
		status = STATUS_OK;
	else if (rc == 0)
		status = report(in, e);
	else if (rc == ERR_CANCELLED)
		status = command_fail(in, STATUS_INTERRUPTED, "interrupted; run it again to go on");
	else if (rc == ERR_NOT_FOUND && problem != NULL)
		status = command_fail(in, STATUS_UNAVAILABLE, "%s", problem);
	else if (rc == ERR_CONFLICT && problem != NULL)
		status = command_fail(in, STATUS_CONFLICT, "%s holds another export: %s", e->dir, problem);
	else
		status = command_fail_err(in, rc, "cannot export to %s", e->dir);
	eventlog_close(e->log);
	buf_finish(&e->checkpoint);
	buf_finish(&e->bundle);
	free(e);
	return status;
}

/* A log that succeeds others is exported with them: a verifier goes from one to the one before. */
static int run_export(struct invocation *in)
{
	const char *data_dir = option_data_dir(in), *dir = in->arguments[0];
	char from[PATH_MAX], to[PATH_MAX];
	struct buf problem = BUF_INIT(8192);
	struct policy *policy = NULL;
	int status = STATUS_OK;

	if (option_is_set(in, "policy")) {
		policy = malloc(sizeof(*policy));
		if (policy == NULL || policy_read(policy, option_text(in, "policy"), &problem) != 0)
			status = command_fail_usage(in, "--policy: %s", problem.len > 0 ? problem.ptr : "out of memory");
		buf_finish(&problem);
	}

	for (unsigned n = 1; status == STATUS_OK; n++) {
		if (snprintf(from, sizeof(from), "%s/previous/%u", data_dir, n) >= (int)sizeof(from) ||
		    snprintf(to, sizeof(to), "%s/previous/%u", dir, n) >= (int)sizeof(to))
			status = command_fail(in, STATUS_FAILED, "the path %s is too long", dir);
		else if (!file_exists(from))
			break;
		else
			status = export_one(in, from, to, NULL, true); /* its witnesses sign it no more */
	}
	if (status == STATUS_OK)
		status = export_one(in, data_dir, dir, policy, false);
	free(policy);
	return status;
}

static const struct option options[] = {
    OPTION_DATA,
    {.name = "policy", .kind = OPTION_FILE, .value = "FILE",
	.summary = "up to the newest checkpoint that as many witnesses signed as this policy asks for"},
    {.name = "json", .kind = OPTION_FLAG, .summary = "print the summary as JSON"},
    {0},
};

static const struct example examples[] = {
    {"lulab log export ./export", "write the log as plain files, while the server runs"},
    {"lulab log verify --export ./export --key data/log.vkey", "and check them as an auditor would"},
    {0},
};

const struct command log_export = {
    .name = "export",
    .summary = "Write the log as plain files for an auditor",
    .description =
	"Records, blobs, hash tiles and checkpoints in the layout of C2SP tiled logs. Run it again to carry the same "
	"directory forward: only what is new is written. It can be interrupted at any time and goes on where it was.",
    .arguments = "DIR",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = options,
    .examples = examples,
    .run = run_export,
};
