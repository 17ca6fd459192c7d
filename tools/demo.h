/*
 * What the parts of `lulab demo` share: cmd_demo.c plays and follows the events, demo_people.c has the accounts of those
 * who come, demo_mail.c reads what the mail server of the simulator got, demo_story.c has the sentences.
 */
#ifndef LULAB_TOOLS_DEMO_H
#define LULAB_TOOLS_DEMO_H

#include <stdatomic.h>

#include "service.h"

#define DEMO_ANSWER_MAX ((size_t)8 << 20)
#define DEMO_URL_MAX 4096
#define DEMO_BODY_MAX 8192
#define DEMO_PEOPLE 3
#define DEMO_LOOK_MS 300

struct demo {
	struct invocation *in;
	struct service service;      /* the player's */
	struct http_client *stream;  /* the main thread's */
	struct service linker;       /* likewise: as `service`, with a client of its own */
	struct buf control;          /* URL of the simulator's control port */
	uint64_t from;               /* events before are of another day */
	size_t mails_before;         /* of the mail server: likewise */
	enum exit_status status;     /* of the player */
	_Atomic bool peopled;        /* the accounts are there, and their ids below */
	char accounts[DEMO_PEOPLE][SERVICE_USER_LEN];
	_Atomic unsigned met;        /* so many of them came in, and are known to be these people */
	_Atomic uint64_t seen;       /* the position after the last event that was told */
	_Atomic bool over;           /* the stream has nothing more to tell */
	struct buf pending;          /* of the stream: what is no whole line yet */
	struct buf type;             /* of the event that is being read */
	bool colour;
};

void demo_rest(unsigned ms);
/* rc: of the call; 0: it answered no. */
enum exit_status demo_no_simulator(struct demo *d, int rc);
/* Milliseconds, by the clock that is never set, until which it waits for what was asked for. */
int64_t demo_patience_ends_ms(const struct demo *d);
bool demo_is_past_ms(int64_t until_ms);

/* ---- demo_people.c ------------------------------------------------------------------------------ */

/* The player's: each has an account by now. The first got it by a code that came by mail, so the address is known to be theirs. */
enum exit_status demo_people_come(struct demo *d);
/* The main thread's: somebody came in, as participant.joined tells; the account is linked to who it was. */
void demo_people_meet(struct demo *d, struct json_value joined);

/* ---- demo_mail.c -------------------------------------------------------------------------------- */

/* How many mails the simulator's server has by now, in d->mails_before. */
enum exit_status demo_mail_begin(struct demo *d, struct http_client *client);
/* The six digits in the newest mail to this address, of those since the demo began. */
bool demo_mail_code(struct demo *d, struct http_client *client, const char *address, char ret_code[7]);
/* Prints who got which since the demo began, and the last one whole. */
void demo_mail_tell(struct demo *d, struct http_client *client);

#endif
