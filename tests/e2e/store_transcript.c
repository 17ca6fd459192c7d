/*
 * Appends a transcript to the log of a stopped data directory, as the adapters of meeting platforms do:
 * `store_transcript DIR MEETING_ID FILE_ID LANGUAGE`, with a paragraph a line on stdin: who (the platform's id, may be
 * empty), name, milliseconds and text, with tabs between them. Prints its position.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/transcript.h"
#include "base/err.h"
#include "crypto/crypto.h"

#define LINE_MAX_BYTES 65536
#define PARAGRAPHS_MAX 20000

static struct eventlog *log_of_names; /* for who looks subjects up */

static int find_subject(void *arg, const uint8_t ref[SEAL_REF_LEN], struct id *ret_id)
{
	(void)arg;
	return eventlog_find_subject(log_of_names, ref, ret_id);
}

static int open_stores(struct app *app, const char *dir)
{
	static char keys[PATH_MAX], root_key[PATH_MAX];
	struct eventlog_options of_log = {.dir = dir, .clock = &clock_system, .reserve_off = true,
	    .type_number = event_type_number};
	struct keyring_options of_keyring = {.dir = keys, .root_key_path = root_key, .clock = &clock_system, .rng = &rng_system};
	struct sealer_options of_sealer = {.origin = app->origin, .rng = &rng_system, .lookup = find_subject};
	int rc = log_origin(app->origin, dir, NULL, &rng_system);

	snprintf(keys, sizeof(keys), "%s/keys", dir);
	snprintf(root_key, sizeof(root_key), "%s/root.key", dir);
	app->clock = &clock_system;
	app->rng = &rng_system;
	if (rc == 0)
		rc = eventlog_open(&app->log, &of_log);
	log_of_names = app->log;
	if (rc == 0)
		rc = keyring_open(&app->keyring, &of_keyring);
	of_sealer.keyring = app->keyring;
	return rc == 0 ? sealer_create(&app->sealer, &of_sealer) : rc;
}

static int speaker_of(struct transcript *t, struct slice who, struct slice name)
{
	struct transcript_speaker *s;

	for (size_t i = 0; i < t->n_speakers; i++)
		if (slice_eq(t->speakers[i].identity, who) && slice_eq(t->speakers[i].name, name))
			return (int)i;
	s = &t->speakers[t->n_speakers];
	*s = (struct transcript_speaker){.name = name, .kind = who.len > 0 ? SLICE("tencent.uuid") : SLICE(""), .identity = who};
	return (int)t->n_speakers++;
}

static void add_line(struct transcript *t, struct slice line, struct arena *a)
{
	struct transcript_paragraph *p = &t->paragraphs[t->n];
	struct slice who, name, at, text;

	slice_cut(line, '\t', &who, &line);
	slice_cut(line, '\t', &name, &line);
	slice_cut(line, '\t', &at, &text);
	*p = (struct transcript_paragraph){.pid = (int64_t)t->n++, .start_ms = atoll(at.ptr), .speaker = speaker_of(t, who, name),
	    .sentences = arena_calloc(a, 1, sizeof(struct transcript_sentence)), .n_sentences = 1};
	p->end_ms = p->start_ms + 1000;
	p->sentences[0] = (struct transcript_sentence){.start_ms = p->start_ms, .end_ms = p->end_ms, .text = text};
}

static void read_lines(struct transcript *t, struct arena *a)
{
	static char line[LINE_MAX_BYTES];

	t->speakers = arena_calloc(a, TRANSCRIPT_SPEAKERS_MAX, sizeof(*t->speakers));
	t->paragraphs = arena_calloc(a, PARAGRAPHS_MAX, sizeof(*t->paragraphs));
	while (fgets(line, sizeof(line), stdin) != NULL && t->n < PARAGRAPHS_MAX) {
		line[strcspn(line, "\n")] = '\0';
		add_line(t, arena_dup(a, slice_str(line)), a);
	}
}

int main(int argc, char **argv)
{
	static struct app app;
	struct arena a = ARENA_INIT((size_t)256 << 20);
	struct transcript t = {.speakers_known = true};
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc;

	if (argc != 5)
		return 2;
	struct transcript_of of = {.platform = SLICE("TENCENT_MEETING"), .meeting_id = slice_str(argv[2]),
	    .record_file_id = slice_str(argv[3]), .source = SLICE("test")};

	t.language = slice_str(argv[4]);
	rc = crypto_init();
	if (rc == 0)
		rc = open_stores(&app, argv[1]);
	read_lines(&t, &a);
	if (rc == 0)
		rc = transcript_draft(&app, &of, &t, &a, &draft);
	if (rc == 0)
		rc = eventlog_append_wait(app.log, &append);
	if (rc == 0)
		printf("%" PRIu64 "\n", append.position);
	else
		fprintf(stderr, "store_transcript: %s\n", err_name(rc));
	sealer_destroy(app.sealer);
	keyring_close(app.keyring);
	eventlog_close(app.log);
	arena_finish(&a);
	return rc == 0 ? 0 : 1;
}
