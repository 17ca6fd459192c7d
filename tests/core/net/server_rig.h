/*
 * A server over loopback for tests, with a route for each thing that a handler
 * may do (server_rig.c), one loop unless a test says otherwise, and time that
 * stands still until it is moved. The client's side is http_rig.h.
 *
 *     GET  /hello /few /lines /huge     "hello", 100 lines, 5,000, 24 MiB at once
 *     GET  /later                       from a later turn of the loop
 *     GET  /hold                        when somebody asks for /release
 *     GET  /meetings/{id} /who/{id}     what the server found out about the request
 *     GET  /problem /tagged /hostile    problem+json, an entity tag, a header with a line break
 *     POST /echo /small, PUT /echo      the body; /small takes 16 bytes
 *     *    /private                     with "Authorization: Bearer read" or "write"
 *     POST /hook /hook/hold, GET /livez essential: as /echo, as /hold, as /hello
 */
#ifndef LULAB_TESTS_SERVER_RIG_H
#define LULAB_TESTS_SERVER_RIG_H

#include "core/net/http_rig.h"

#define HOST "Host: a\r\n"
#define RIG_HUGE_LEN ((size_t)24 << 20) /* more than any pair of socket buffers holds */

struct rig {
	struct http_server *server;
	unsigned port;
	struct clock_manual clock;     /* the server's; stands at Mon, 23 Nov 2026 23:39:15 GMT at first */
	_Atomic bool overloaded;       /* what the server is told when it asks */
	_Atomic unsigned n_outcomes;   /* answers it told of */
	_Atomic unsigned n_closed;     /* times that a request of /hold was told its client is gone */
};
extern struct rig rig;

/* The usual options, for a test that wants some to differ; also sets the rig back. */
struct http_options rig_options(void);
void rig_start(const struct http_options *options);
void rig_start_usual(void);
void rig_stop(void);
struct http_stats rig_stats(void);

/*
 * The (only) loop has dealt with all that was sent to it before: what it reads
 * is counted before it is acted upon, so the counts alone do not tell.
 */
void rig_let_loop_catch_up(void);
void rig_move_clock_ms(int64_t ms);

http_handler rig_hello;

#endif
