/*
 * Whom to believe, as a text file (integrity.md section 7):
 *
 *     # a comment
 *     log example.org/events+d23885f3+AdBKsj...
 *     witness witness.example.net/w1+daa85b2a+BKCap... https://witness.example.net
 *     witness auditor.example/w+5e1c7a10+BGcw...
 *     quorum 1
 *
 * A log line is a verifier key of the log; during a change of keys there are
 * two. A witness may have the URL it is reached at. The quorum is how many of the
 * witnesses must have signed a checkpoint; 0 when no line says.
 *
 * The same file tells a service where to send its checkpoints, an auditor what to
 * ask of them, and (log lines only, of any number of logs) a witness whom it serves.
 */
#ifndef LULAB_DOMAIN_POLICY_H
#define LULAB_DOMAIN_POLICY_H

#include "domain/note.h"

#define POLICY_LOGS_MAX 32
#define POLICY_WITNESSES_MAX 16
#define POLICY_URL_MAX 512
#define POLICY_FILE_MAX 65536

struct policy_witness {
	struct note_key key;
	char url[POLICY_URL_MAX + 1]; /* "" when it has none */
};

struct policy {
	struct note_key logs[POLICY_LOGS_MAX];
	unsigned n_logs;
	struct policy_witness witnesses[POLICY_WITNESSES_MAX];
	unsigned n_witnesses;
	unsigned quorum;
};

/*
 * 0, or ERR_CONFIG with a sentence in *problem that names the line: an unknown word, a
 * key that is none or of the wrong kind, one given twice, a quorum that cannot be reached.
 */
int policy_parse(struct policy *ret, struct slice text, struct buf *problem);
/* The file of that path; errors of reading it too get their sentence. */
int policy_read(struct policy *ret, const char *path, struct buf *problem);

/*
 * A verifier key as it is, or those in a file of that name, one a line: added to the *io_n there are already,
 * n_max at most. ERR_MALFORMED, ERR_BAD_KEY, ERR_UNSUPPORTED (another type than asked for), ERR_TOO_BIG, or the file's.
 */
int policy_keys(struct note_key *ret, unsigned n_max, unsigned *io_n, enum note_key_type type, const char *text);

#endif
