/*
 * Appends one event to the log of a stopped data directory without asking its schema: what a faulty build
 * could have written. `append_event DIR TYPE STREAM DATA`; prints its position.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/id.h"
#include "base/rng.h"
#include "crypto/crypto.h"
#include "domain/envelope.h"
#include "domain/event.h"
#include "store/eventlog.h"

int main(int argc, char **argv)
{
	struct buf entry = BUF_INIT(ENTRY_LEN_MAX), problem = BUF_INIT(1024);
	struct event_draft draft = {.expect = EXPECT_ANY};
	struct append append = {.events = &draft, .n_events = 1};
	struct eventlog *log = NULL;
	char id[ID_TEXT_LEN + 1], schema[EVENT_TYPE_LEN_MAX + 3];
	struct id made;
	int rc;

	if (argc != 5)
		return 2;
	rc = crypto_init();
	made = id_random(&rng_system);
	id_format(id, &made);
	snprintf(schema, sizeof(schema), "%s/1", argv[2]);
	struct envelope e = {.id = slice_str(id), .source = SLICE("/test"), .type = slice_str(argv[2]),
	    .subject = slice_str(argv[3]), .actor = SLICE("test"), .dataschema = slice_str(schema),
	    .data = slice_str(argv[4]), .time_us = clock_wall_us(&clock_system)};
	struct eventlog_options options = {.dir = argv[1], .clock = &clock_system, .reserve_off = true,
	    .type_number = event_type_number, .problem = &problem};

	if (rc == 0)
		rc = envelope_encode(&e, &entry, &draft.time_at, &draft.sequence_at);
	draft.type = event_type_number(e.type);
	draft.stream = e.subject;
	draft.entry = entry.ptr;
	draft.entry_len = (uint32_t)entry.len;
	if (rc == 0)
		rc = eventlog_open(&log, &options);
	if (rc == 0)
		rc = eventlog_append_wait(log, &append);
	eventlog_close(log);
	if (rc == 0)
		printf("%" PRIu64 "\n", append.position);
	else
		fprintf(stderr, "append_event: %s %s\n", err_name(rc), problem.ptr == NULL ? "" : problem.ptr);
	buf_finish(&entry);
	buf_finish(&problem);
	return rc == 0 ? 0 : 1;
}
