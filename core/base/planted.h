/*
 * Bugs planted on purpose, for one use: to show that a test which judges the
 * service would notice. A check that has never failed proves nothing.
 *
 *     if (PLANTED(ack_before_commit))
 *             answer(log, &t->appends, 0, false);
 *
 * In the program and everything else that is built this is `false` and leaves
 * no code. Only `lulab_planted` (tests/meson.build), the same program with the
 * files that hold a PLANTED compiled once more, has the bugs in it, and shows
 * the one named in the environment:
 *
 *     PLANTED_BUG=ack_before_commit build/tests/lulab_planted serve ...
 *
 * A new one: a line below, the PLANTED where it bites, its file in
 * `planted_files` of tests/meson.build, and a test that it is caught
 * (tests/scripts/test_rules.py looks that none of these was forgotten).
 */
#ifndef LULAB_BASE_PLANTED_H
#define LULAB_BASE_PLANTED_H

#include <stdbool.h>

#define PLANTED_BUGS(X) \
	X(ack_before_commit, "appends are answered before their commit") \
	X(attempt_late, "an effect is tried before the log knows that it is") \
	X(bundle_overread, "the last record of a bundle may be a byte short") \
	X(cursor_any_order, "a forged cursor may name an order that does not exist") \
	X(cookie_prefix, "a cookie is believed whose name only begins as it should") \
	X(entry_spaces, "an entry of the log may have white space in it") \
	X(backup_forgets_objects, "one object that the log names is not in a backup") \
	X(backup_in_place, "a backup is made under its final name") \
	X(epoch_first, "the key of the epoch before is destroyed before its keys are wrapped anew") \
	X(erase_in_memory, "keys that are erased are tombstones in memory only") \
	X(forget_at_start, "the index that a start makes has no duplicate keys") \
	X(forget_tail, "duplicates are not recognised until their first is in the index") \
	X(head_body, "an answer to HEAD has a body") \
	X(frame_overread, "the last field of a frame may be a byte short") \
	X(form_nul, "a name or value of a query may have a NUL in it") \
	X(http_bare_lf, "a line of a head may end without CR, whatever llhttp says") \
	X(http_lenient, "a second Content-Length passes, and what llhttp refuses") \
	X(gone_is_kept, "a read model's file whose tables are no longer what was made is not set aside") \
	X(ignore_commit, "a commit that failed counts as one that did not") \
	X(json_overread, "the JSON scanner looks at one byte behind a text") \
	X(jwt_any_alg, "a token is believed whatever algorithm its header names") \
	X(keep_rights, "whoever was let in once is let in, whatever was revoked since") \
	X(last_unsorted, "the last member of a sorted object stays where it stood") \
	X(leak_refused, "a connection that ends without a request is not freed") \
	X(leak_request, "what a request was kept in is not given back") \
	X(leaky_compare, "secrets are compared until the first difference") \
	X(nometasync, "the log's commits are synced without what says that they are there") \
	X(late_500, "a webhook that is late is refused with 500, and after 3 ms already") \
	X(nosync, "the log's commits are not synced") \
	X(number_zeros, "numbers in notes and proofs may have zeros in front") \
	X(pages_unseen, "a damaged file of the log is opened without a look at its pages, and unguarded") \
	X(restore_in_place, "a backup is restored where the log will lie, and verified by nobody") \
	X(rows_apart, "rows of a read model are committed before the position they stand at") \
	X(seconds_only, "times of the vendor are taken for seconds, whatever their size") \
	X(signature_first, "a checkpoint is given away before the signer has it on record") \
	X(slow_forever, "a body may take as long as it likes") \
	X(skip_event, "read models pass over one event in a hundred") \
	X(skip_position, "now and then a position of the log is left out") \
	X(sse_crlf, "CR and LF of a stream of events end a line each") \
	X(time_falls, "events are stamped with what the clock says, even when it went back") \
	X(unchecked_memory, "a new connection is used without a look whether there was memory for it") \
	X(unsynced_file, "a file is put in its place before its bytes are on disk") \
	X(unsynced_names, "directories are not synced") \
	X(value_told, "what is wrong with a setting is told together with its value") \
	X(verify_blob, "the verifier does not look into blobs") \
	X(verify_form, "the verifier does not look at the form of records") \
	X(verify_leaf, "the verifier does not hold records against tile/0") \
	X(verify_old, "the verifier does not hold the records against an older checkpoint") \
	X(verify_root, "the verifier does not hold the records against the checkpoints kept") \
	X(verify_signature, "the verifier believes signatures that do not verify") \
	X(verify_tile, "the verifier does not look at the higher tiles") \
	X(verify_time, "the verifier lets time go back") \
	X(witness_race, "a witness compares and stores its record without a lock") \
	X(witness_unstored, "a witness signs and keeps the record in memory only")

enum planted_bug {
	PLANTED_none,
#define PLANTED_ENUM(name, what) PLANTED_##name,
	PLANTED_BUGS(PLANTED_ENUM)
#undef PLANTED_ENUM
};

#ifdef LULAB_PLANTED
extern enum planted_bug planted_bug; /* tests/lib/planted.c; set before main() */
#define PLANTED(name) (planted_bug == PLANTED_##name)
#else
#define PLANTED(name) ((void)PLANTED_##name, false) /* a name that is none does not compile here either */
#endif

#endif
