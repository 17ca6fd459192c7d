/* See bench_ceiling.h. */
#include "bench_ceiling.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <llhttp.h>
#include <lmdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/err.h"
#include "base/io.h"
#include "base/list.h"
#include "bench_floor.h"
#include "bench_webhook.h"

#define LOOPS_MAX 16
#define READ_LEN 65536
#define BODY_MAX ((size_t)1 << 20)
#define MAP_LEN ((size_t)64 << 30)
#define BACKLOG 1024

struct loop;

/* One connection; `link` hangs it on the queue of the writer, then on the list of what it has done. */
struct conn {
	uv_tcp_t tcp;
	struct loop *loop;
	llhttp_t parser;
	struct buf body;
	struct slice *field; /* which of the three headers is being read */
	struct slice timestamp, nonce, signature;
	char fields[3][64];
	bool waiting, gone; /* at the writer; the client has left meanwhile */
	int status;
	struct arena arena;
	struct slice plain;
	struct floor_record record;
	uint64_t number; /* of the bench's webhooks, for its rows */
	uv_write_t write;
	struct list link;
};

struct loop {
	struct ceiling *ceiling;
	pthread_t thread;
	uv_loop_t uv;
	uv_tcp_t listener;
	uv_async_t async; /* something is done */
	uv_async_t end;   /* ceiling_stop() wants the thread back, and nobody sends anything after that */
	pthread_mutex_t lock; /* guards done */
	struct list done;
	char read_bytes[READ_LEN];
	bool started;
};

struct ceiling {
	struct ceiling_options options;
	unsigned port;
	struct loop loops[LOOPS_MAX];
	struct buf answers[3]; /* 200, 400, echo */

	pthread_t writer;
	bool writer_started;
	pthread_mutex_t lock; /* guards queue and writer_stopping */
	bool writer_stopping;
	pthread_cond_t wake;
	struct list queue;
	MDB_env *env;
	MDB_dbi dbi;
	struct floor *floor; /* or NULL */
	struct floor_rows *rows; /* or NULL */
	atomic_ullong n_records, n_commits;
};

/* ---- the writer ---- */

static void tell_rows(struct ceiling *c, struct list *batch)
{
	for (struct list *l = batch->next; l != batch; l = l->next)
		floor_rows_tell(c->rows, container_of(l, struct conn, link)->number);
	floor_rows_committed(c->rows);
}

static int put_all(struct ceiling *c, struct list *batch)
{
	MDB_txn *txn;
	uint64_t n = 0;
	int rc = mdb_txn_begin(c->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	for (struct list *l = batch->next; rc == 0 && l != batch; l = l->next) {
		struct conn *conn = container_of(l, struct conn, link);
		uint64_t position = c->n_records + n++;
		MDB_val key = {sizeof(position), &position};
		MDB_val value = {conn->plain.len, (void *)(uintptr_t)conn->plain.ptr};

		rc = c->floor != NULL ? floor_put(c->floor, txn, position, &conn->record)
				      : mdb_put(txn, c->dbi, &key, &value, MDB_APPEND);
	}
	if (rc == 0 && c->floor != NULL)
		rc = floor_flush(c->floor, txn);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	rc = mdb_txn_commit(txn);
	c->n_records += n;
	c->n_commits++;
	if (c->floor != NULL)
		floor_committed(c->floor);
	if (rc == 0 && c->rows != NULL)
		tell_rows(c, batch);
	return rc;
}

static void give_back(struct ceiling *c, struct list *batch, int status)
{
	bool told[LOOPS_MAX] = {false};

	while (!list_empty(batch)) {
		struct conn *conn = container_of(batch->next, struct conn, link);
		struct loop *loop = conn->loop;

		list_remove(&conn->link);
		conn->status = status;
		pthread_mutex_lock(&loop->lock);
		list_append(&loop->done, &conn->link);
		pthread_mutex_unlock(&loop->lock);
		told[loop - c->loops] = true;
	}
	for (unsigned i = 0; i < c->options.loops; i++) {
		if (told[i])
			uv_async_send(&c->loops[i].async);
	}
}

static void *write_batches(void *arg)
{
	struct ceiling *c = arg;
	struct list batch;

	list_init(&batch);
	for (;;) {
		pthread_mutex_lock(&c->lock);
		while (list_empty(&c->queue) && !c->writer_stopping)
			pthread_cond_wait(&c->wake, &c->lock);
		list_splice(&batch, &c->queue);
		pthread_mutex_unlock(&c->lock);
		if (list_empty(&batch))
			return NULL;
		give_back(c, &batch, put_all(c, &batch) == 0 ? 200 : 503);
	}
}

/* ---- connections ---- */

static void on_closed(uv_handle_t *handle)
{
	struct conn *conn = container_of((uv_tcp_t *)handle, struct conn, tcp);

	buf_finish(&conn->body);
	arena_finish(&conn->arena);
	free(conn);
}

/* A connection that the writer holds is closed when it comes back. */
static void drop(struct conn *conn)
{
	conn->gone = true;
	if (!conn->waiting && !uv_is_closing((uv_handle_t *)&conn->tcp))
		uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
	if (status != 0)
		drop(container_of(write, struct conn, write));
}

static void answer(struct conn *conn, const struct buf *text)
{
	uv_buf_t bytes = uv_buf_init(text->ptr, (unsigned)text->len);
	int n;

	arena_reset(&conn->arena);
	buf_clear(&conn->body);
	n = uv_try_write((uv_stream_t *)&conn->tcp, &bytes, 1);
	if (n == (int)bytes.len)
		return;
	if (n > 0) {
		bytes.base += n;
		bytes.len -= (size_t)n;
	} else if (n != UV_EAGAIN) {
		drop(conn);
		return;
	}
	if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &bytes, 1, on_written) != 0)
		drop(conn);
}

static void on_done(uv_async_t *async)
{
	struct loop *loop = container_of(async, struct loop, async);
	struct list done;

	list_init(&done);
	pthread_mutex_lock(&loop->lock);
	list_splice(&done, &loop->done);
	pthread_mutex_unlock(&loop->lock);
	while (!list_empty(&done)) {
		struct conn *conn = container_of(done.next, struct conn, link);

		list_remove(&conn->link);
		conn->waiting = false;
		if (conn->gone)
			drop(conn);
		else
			answer(conn, &loop->ceiling->answers[conn->status == 200 ? 0 : 1]);
	}
}

/*
 * A loop that ended on a flag instead could have closed its handles, woken by
 * what was done before, when ceiling_stop() sends: libuv aborts on that.
 */
static void on_end(uv_async_t *end)
{
	uv_stop(end->loop);
}

/* The work on one webhook, all of it. */
static bool understand(struct conn *conn)
{
	const struct tencent_keys *keys = conn->loop->ceiling->options.keys;
	struct tencent_signed s = {conn->timestamp, conn->nonce, conn->signature, {0}};
	struct tencent_envelope envelope;
	const char *reason;

	return tencent_body_data(buf_slice(&conn->body), &conn->arena, &s.data) == 0 &&
	    tencent_verify(keys, &s) && tencent_decrypt(keys, s.data, &conn->arena, &conn->plain) == 0 &&
	    tencent_parse(conn->plain, &conn->arena, &envelope, &reason) == 0 &&
	    (conn->loop->ceiling->rows == NULL || webhook_number(envelope.trace_id, &conn->number) == 0) &&
	    (conn->loop->ceiling->floor == NULL ||
		floor_make(buf_slice(&conn->body), conn->plain, &conn->arena, &conn->record) == 0);
}

static int on_message(llhttp_t *parser)
{
	struct conn *conn = parser->data;
	struct ceiling *c = conn->loop->ceiling;

	if (c->options.keys == NULL) {
		answer(conn, &c->answers[2]);
		return 0;
	}
	if (!understand(conn)) {
		answer(conn, &c->answers[1]);
		return 0;
	}
	pthread_mutex_lock(&c->lock);
	conn->waiting = !c->writer_stopping;
	if (conn->waiting)
		list_append(&c->queue, &conn->link);
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	if (!conn->waiting)
		answer(conn, &c->answers[1]);
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct conn *conn = parser->data;

	return buf_append(&conn->body, slice_of(at, len)) == 0 ? 0 : -1;
}

/* The load generator's requests come whole, so neither name nor value is ever in two pieces. */
static int on_field(llhttp_t *parser, const char *at, size_t len)
{
	struct conn *conn = parser->data;
	struct slice name = slice_of(at, len);

	conn->field = slice_is(name, "timestamp") ? &conn->timestamp
	    : slice_is(name, "nonce")             ? &conn->nonce
	    : slice_is(name, "signature")         ? &conn->signature
						  : NULL;
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct conn *conn = parser->data;
	char *copy;

	if (conn->field == NULL || len > sizeof(conn->fields[0]))
		return 0;
	copy = conn->fields[conn->field - &conn->timestamp];
	memcpy(copy, at, len);
	*conn->field = slice_of(copy, len);
	return 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_body = on_body,
    .on_message_complete = on_message,
};

static void on_alloc(uv_handle_t *handle, size_t len, uv_buf_t *ret)
{
	struct conn *conn = container_of((uv_tcp_t *)handle, struct conn, tcp);

	(void)len;
	*ret = uv_buf_init(conn->loop->read_bytes, READ_LEN);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct conn *conn = container_of((uv_tcp_t *)stream, struct conn, tcp);

	if (n < 0 || (n > 0 && llhttp_execute(&conn->parser, bytes->base, (size_t)n) != HPE_OK))
		drop(conn);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct loop *loop = container_of((uv_tcp_t *)listener, struct loop, listener);
	struct conn *conn = status == 0 ? calloc(1, sizeof(*conn)) : NULL;

	if (conn == NULL)
		return;
	conn->loop = loop;
	conn->body.max = BODY_MAX;
	conn->arena.max = 4 * BODY_MAX;
	list_init(&conn->link);
	llhttp_init(&conn->parser, HTTP_REQUEST, &settings);
	conn->parser.data = conn;
	uv_tcp_init(&loop->uv, &conn->tcp);
	if (uv_accept(listener, (uv_stream_t *)&conn->tcp) != 0) {
		drop(conn);
		return;
	}
	uv_tcp_nodelay(&conn->tcp, 1);
	uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
}

/* ---- loops ---- */

static void close_handle(uv_handle_t *handle, void *arg)
{
	struct loop *loop = arg;

	if (uv_is_closing(handle))
		return;
	if (handle == (uv_handle_t *)&loop->listener || handle == (uv_handle_t *)&loop->async ||
	    handle == (uv_handle_t *)&loop->end)
		uv_close(handle, NULL);
	else
		drop(container_of((uv_tcp_t *)handle, struct conn, tcp));
}

static void *run_loop(void *arg)
{
	struct loop *loop = arg;

	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_walk(&loop->uv, close_handle, loop);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
	return NULL;
}

/* Each loop has its own listener on the same port; the first one finds it. */
static int listen_on(struct loop *loop)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)loop->ceiling->port)};
	int len = sizeof(address), one = 1, rc;
	uv_os_fd_t fd;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rc = uv_tcp_init_ex(&loop->uv, &loop->listener, AF_INET);
	if (rc == 0)
		rc = uv_fileno((uv_handle_t *)&loop->listener, &fd);
	if (rc == 0)
		rc = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (rc == 0)
		rc = uv_tcp_bind(&loop->listener, (struct sockaddr *)&address, 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&loop->listener, BACKLOG, on_connection);
	if (rc == 0)
		rc = uv_tcp_getsockname(&loop->listener, (struct sockaddr *)&address, &len);
	loop->ceiling->port = ntohs(address.sin_port);
	return rc == 0 ? 0 : ERR_NETWORK;
}

static int start_loop(struct ceiling *c, struct loop *loop)
{
	int rc;

	loop->ceiling = c;
	list_init(&loop->done);
	pthread_mutex_init(&loop->lock, NULL);
	if (uv_loop_init(&loop->uv) != 0)
		return ERR_NOMEM;
	if (uv_async_init(&loop->uv, &loop->async, on_done) != 0 || uv_async_init(&loop->uv, &loop->end, on_end) != 0)
		return ERR_NOMEM;
	rc = listen_on(loop);
	if (rc != 0)
		return rc;
	if (pthread_create(&loop->thread, NULL, run_loop, loop) != 0)
		return ERR_NOMEM;
	loop->started = true;
	return 0;
}

static int open_table(struct ceiling *c)
{
	MDB_txn *txn;

	if (mdb_txn_begin(c->env, NULL, 0, &txn) != 0)
		return ERR_IO;
	if (mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &c->dbi) == 0)
		return mdb_txn_commit(txn) == 0 ? 0 : ERR_IO;
	mdb_txn_abort(txn);
	return ERR_IO;
}

static int open_store(struct ceiling *c)
{
	char index[4096];
	int rc = mdb_env_create(&c->env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(c->env, MAP_LEN);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(c->env, FLOOR_TABLES);
	if (rc == 0)
		rc = mdb_env_open(c->env, c->options.dir, 0, 0600);
	if (rc != 0)
		return ERR_IO;
	if (!c->options.demanded)
		return open_table(c);
	if (snprintf(index, sizeof(index), "%s/index", c->options.dir) >= (int)sizeof(index))
		return ERR_TOO_BIG;
	rc = dir_create(index, 0700);
	if (rc == 0)
		rc = floor_open(&c->floor, c->env, index);
	return rc == 0 && c->options.rows ? floor_rows_open(&c->rows, c->options.dir, c->options.clock) : rc;
}

static void make_answer(struct buf *b, const char *status, size_t body_len, const char *body)
{
	b->max = BODY_MAX * 2;
	buf_printf(b, "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
	    status, body == NULL ? body_len : strlen(body));
	if (body != NULL)
		buf_append_str(b, body);
	for (size_t i = 0; body == NULL && i < body_len; i++)
		buf_append_char(b, 'x');
}

int ceiling_start(struct ceiling **ret, const struct ceiling_options *options)
{
	struct ceiling *c = calloc(1, sizeof(*c));
	int rc = 0;

	assert(options->loops >= 1 && options->loops <= LOOPS_MAX);
	if (c == NULL)
		return ERR_NOMEM;
	c->options = *options;
	list_init(&c->queue);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	make_answer(&c->answers[0], "200 OK", 0, TENCENT_ACK);
	make_answer(&c->answers[1], "400 Bad Request", 0, "no");
	c->answers[2].max = BODY_MAX * 2;
	if (options->answer.len > 0)
		rc = buf_append(&c->answers[2], options->answer);
	else
		make_answer(&c->answers[2], "200 OK", options->body_len, NULL);
	if (rc == 0 && options->keys != NULL) {
		rc = open_store(c);
		if (rc == 0 && pthread_create(&c->writer, NULL, write_batches, c) != 0)
			rc = ERR_NOMEM;
		c->writer_started = rc == 0;
	}
	for (unsigned i = 0; rc == 0 && i < options->loops; i++)
		rc = start_loop(c, &c->loops[i]);
	if (rc != 0) {
		ceiling_stop(c);
		return rc;
	}
	*ret = c;
	return 0;
}

unsigned ceiling_port(const struct ceiling *c)
{
	return c->port;
}

void ceiling_counts(struct ceiling *c, uint64_t *ret_records, uint64_t *ret_commits)
{
	*ret_records = c->n_records;
	*ret_commits = c->n_commits;
}

int ceiling_finish_rows(struct ceiling *c, struct floor_rows_result *ret)
{
	return floor_rows_finish(c->rows, ret);
}

void ceiling_stop(struct ceiling *c)
{
	if (c == NULL)
		return;
	/* The writer first: what it holds must be back before the loops close it. */
	pthread_mutex_lock(&c->lock);
	c->writer_stopping = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	if (c->writer_started)
		pthread_join(c->writer, NULL);
	for (unsigned i = 0; i < c->options.loops; i++) {
		if (c->loops[i].started) {
			uv_async_send(&c->loops[i].end);
			pthread_join(c->loops[i].thread, NULL);
		}
	}
	floor_close(c->floor);
	floor_rows_close(c->rows);
	if (c->env != NULL)
		mdb_env_close(c->env);
	for (unsigned i = 0; i < 3; i++)
		buf_finish(&c->answers[i]);
	free(c);
}
