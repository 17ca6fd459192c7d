/*
 * /metrics: the names of functional-spec 16.1, and our own as lulab_*. Numbers
 * only; whoever may reach the port may read them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "app/api.h"
#include "app/app_http.h"
#include "app/tally.h"
#include "base/err.h"

#define METRICS_MAX (4 * 1024 * 1024)

static void gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	metric_head(out, name, "gauge", help);
	metric_u64(out, name, NULL, value);
}

static void counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
	metric_head(out, name, "counter", help);
	metric_u64(out, name, NULL, value);
}

/* Counts that are not cumulative, the last one past all bounds; scale turns their unit into the metric's. */
static void plain_histogram(struct buf *out, const char *name, const char *labels, const uint64_t *counts,
    const uint32_t *bounds, unsigned n_counts, double sum, double scale)
{
	struct buf full = BUF_INIT(256);
	uint64_t n = 0;

	for (unsigned i = 0; i < n_counts; i++) {
		n += counts[i];
		buf_printf(out, "%s_bucket{%s%sle=\"", name, labels == NULL ? "" : labels, labels == NULL ? "" : ",");
		if (i + 1 < n_counts)
			buf_printf(out, "%g", (double)bounds[i] * scale);
		else
			buf_append_str(out, "+Inf");
		buf_printf(out, "\"} %" PRIu64 "\n", n);
	}
	buf_printf(&full, "%s_sum", name);
	metric_double(out, full.ptr, labels, sum * scale);
	buf_clear(&full);
	buf_printf(&full, "%s_count", name);
	metric_u64(out, full.ptr, labels, n);
	buf_finish(&full);
}

static void log_histogram(struct buf *out, const char *name, const char *help, const struct log_histogram *h,
    const uint32_t *bounds, double scale)
{
	metric_head(out, name, "histogram", help);
	plain_histogram(out, name, NULL, h->counts, bounds, LOG_BUCKETS, (double)h->sum, scale);
}

static void write_log(struct buf *out, struct app *app)
{
	struct eventlog_stats s;

	eventlog_stats(app->log, &s);
	gauge(out, "lulab_log_events", "Events in the log.", s.size);
	counter(out, "lulab_log_appended_total", "Events appended since the start.", s.appended);
	counter(out, "lulab_log_appended_bytes_total", "Bytes of entries and blobs appended.", s.bytes);
	counter(out, "lulab_log_duplicates_total", "Appends that were known already.", s.duplicates);
	metric_head(out, "lulab_log_refused_total", "counter", "Appends refused, by reason.");
	metric_u64(out, "lulab_log_refused_total", "reason=\"busy\"", s.refused_busy);
	metric_u64(out, "lulab_log_refused_total", "reason=\"disk\"", s.refused_disk);
	metric_u64(out, "lulab_log_refused_total", "reason=\"invalid\"", s.refused_invalid);
	metric_u64(out, "lulab_log_refused_total", "reason=\"conflict\"", s.conflicts);
	metric_u64(out, "lulab_log_refused_total", "reason=\"taken\"", s.taken);
	log_histogram(out, "lulab_log_commit_duration_seconds", "Time of a commit, sync included.", &s.commit_us,
	    log_bounds_us, 1e-6);
	log_histogram(out, "lulab_log_commit_events", "Events in a commit.", &s.commit_events, log_bounds_events, 1);
	gauge(out, "lulab_log_index_lag_events", "Events the index has not taken up yet.",
	    s.size > s.index_position ? s.size - s.index_position : 0);
	gauge(out, "lulab_log_used_bytes", "Bytes the log uses on disk.", s.map_used_bytes);
	gauge(out, "lulab_log_index_used_bytes", "Bytes the indexes use on disk.", s.index_used_bytes);
	gauge(out, "lulab_log_tail_bytes", "Memory of what is not indexed yet.", s.tail_bytes);
	gauge(out, "lulab_log_signed_events", "Events the newest checkpoint covers.", signer_size(app->signer));
	gauge(out, "lulab_log_read_only", "1 when the log takes no events.", s.read_only || s.disk_low ? 1 : 0);
	gauge(out, "lulab_disk_free_bytes", "Free bytes where the log is.", s.disk_free_bytes);
	gauge(out, "lulab_disk_total_bytes", "Size of the disk where the log is.", s.disk_total_bytes);
}

static void write_verification(struct buf *out, struct app *app)
{
	struct log_check_status s;

	log_check_status(app->log_check, &s);
	metric_head(out, "lulab_verify_runs_total", "counter", "Verifications of the whole log that ended, by outcome.");
	metric_u64(out, "lulab_verify_runs_total", "outcome=\"good\"", s.runs[LOG_GOOD]);
	metric_u64(out, "lulab_verify_runs_total", "outcome=\"unclear\"", s.runs[LOG_UNCLEAR]);
	metric_u64(out, "lulab_verify_runs_total", "outcome=\"bad\"", s.runs[LOG_BAD]);
	gauge(out, "lulab_verify_damaged", "1 when damage was found in the log.", s.verdict == LOG_BAD);
	if (s.has_bad)
		gauge(out, "lulab_verify_first_bad_position", "The first event that is not as it was signed.", s.first_bad);
	gauge(out, "lulab_verify_last_good_timestamp_seconds", "When the log was last found to be as it was signed; 0 = not yet.",
	    (uint64_t)(s.good_us / 1000000));
	metric_head(out, "lulab_verify_duration_seconds", "gauge", "How long the last verification took.");
	metric_double(out, "lulab_verify_duration_seconds", NULL, s.seconds);
	gauge(out, "lulab_verify_events", "Events read by the verification at work.", s.running ? s.done : 0);
}

static void write_queues(struct buf *out, struct app *app)
{
	struct eventlog_stats s;
	struct query_pool_stats q;

	eventlog_stats(app->log, &s);
	query_pool_stats(app->queries, &q);
	metric_head(out, "queue_length", "gauge", "What waits, by queue.");
	metric_u64(out, "queue_length", "queue_name=\"append\"", s.queue_appends);
	metric_u64(out, "queue_length", "queue_name=\"query\"", q.waiting);
	metric_head(out, "lulab_append_queue_oldest_seconds", "gauge", "How long the oldest append waits.");
	metric_double(out, "lulab_append_queue_oldest_seconds", NULL, (double)s.queue_oldest_ms / 1000);
}

static void write_queries(struct buf *out, struct app *app)
{
	struct query_pool_stats q;

	query_pool_stats(app->queries, &q);
	metric_head(out, "db_queries_total", "counter", "Questions to the read models.");
	for (unsigned i = 0; i < q.n_models; i++) {
		const struct query_stats *s = &q.models[i];
		const struct {
			const char *name;
			uint64_t n;
		} outcomes[] = {{"answered", s->answered}, {"failed", s->failed}, {"refused", s->refused_busy},
		    {"timed_out", s->timed_out}};

		for (size_t k = 0; k < sizeof(outcomes) / sizeof(outcomes[0]); k++) {
			char labels[PROJECTION_NAME_MAX + 96];

			snprintf(labels, sizeof(labels), "operation=\"select\",table=\"%s\",outcome=\"%s\"", s->model->name,
			    outcomes[k].name);
			metric_u64(out, "db_queries_total", labels, outcomes[k].n);
		}
	}
	metric_head(out, "db_query_duration_seconds", "histogram", "Time spent answering a question to a read model.");
	for (unsigned i = 0; i < q.n_models; i++) {
		const struct query_stats *s = &q.models[i];
		char labels[PROJECTION_NAME_MAX + 32];

		snprintf(labels, sizeof(labels), "table=\"%s\"", s->model->name);
		plain_histogram(out, "db_query_duration_seconds", labels, s->took, query_bounds_us, QUERY_BUCKETS,
		    (double)s->took_us, 1e-6);
	}
}

static void write_models(struct buf *out, struct app *app)
{
	static const struct {
		const char *name, *type, *help;
	} families[] = {
		{"lulab_projection_position", "gauge", "Events folded into a read model."},
		{"lulab_projection_lag_events", "gauge", "Events a read model has not folded yet."},
		{"lulab_projection_live", "gauge", "1 when a read model follows the log."},
		{"lulab_projection_applied_total", "counter", "Events folded since the start."},
		{"lulab_projection_rebuilds_total", "counter", "Files made anew since the start."},
	};
	struct projection_status s;

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		metric_head(out, families[f].name, families[f].type, families[f].help);
		for (unsigned i = 0; projector_status(app->projector, i, &s); i++) {
			const uint64_t values[] = {s.position, s.lag, s.state == PROJECTION_LIVE, s.applied, s.rebuilds};
			char labels[PROJECTION_NAME_MAX + 32];

			snprintf(labels, sizeof(labels), "read_model=\"%s\"", s.model->name);
			metric_u64(out, families[f].name, labels, values[f]);
		}
	}
}

static void write_delays(struct buf *out, struct app *app)
{
	static const char name[] = "lulab_projection_delay_seconds";
	struct projection_status s;

	metric_head(out, name, "histogram", "From the moment an event was recorded until a live read model had it.");
	for (unsigned i = 0; projector_status(app->projector, i, &s); i++) {
		char labels[PROJECTION_NAME_MAX + 32];

		snprintf(labels, sizeof(labels), "read_model=\"%s\"", s.model->name);
		plain_histogram(out, name, labels, s.delays, delay_bounds_us, DELAY_BUCKETS, (double)s.delay_us, 1e-6);
	}
}

static void write_server(struct buf *out, struct app *app)
{
	struct metrics_http *loops[APP_LOOPS_MAX];
	struct http_stats s;

	for (unsigned i = 0; i < APP_LOOPS_MAX; i++)
		loops[i] = atomic_load(&app->loop_metrics[i]);
	metrics_http_write(out, loops, APP_LOOPS_MAX);
	http_server_stats(app->server, &s);
	gauge(out, "lulab_http_connections", "Open connections.", s.connections_open);
	gauge(out, "lulab_http_requests_in_flight", "Requests being answered.", s.requests_in_flight);
	gauge(out, "lulab_http_streams", "Open streams.", s.streams_open);
	metric_head(out, "lulab_http_refused_total", "counter", "Requests and connections refused by the server.");
	metric_u64(out, "lulab_http_refused_total", "reason=\"rate\"", s.refused_by_rate);
	metric_u64(out, "lulab_http_refused_total", "reason=\"load\"", s.refused_by_load);
	metric_u64(out, "lulab_http_refused_total", "reason=\"malformed\"", s.refused_malformed);
	metric_u64(out, "lulab_http_refused_total", "reason=\"timeout\"", s.timeouts);
	metric_u64(out, "lulab_http_refused_total", "reason=\"connections\"", s.connections_refused);
	counter(out, "lulab_http_received_bytes_total", "Bytes received.", s.bytes_in);
	counter(out, "lulab_http_sent_bytes_total", "Bytes sent.", s.bytes_out);
	metric_head(out, "lulab_loop_lag_seconds", "gauge", "Worst delay of a loop in the last second.");
	metric_double(out, "lulab_loop_lag_seconds", NULL, (double)s.lag_us_max / 1e6);
}

static void write_keys(struct buf *out, struct app *app)
{
	struct keyring_stats s;

	if (keyring_stats(app->keyring, &s) != 0)
		return;
	metric_head(out, "lulab_keys", "gauge", "Keys held, the stock included, by kind.");
	metric_u64(out, "lulab_keys", "kind=\"subject\"", s.subjects);
	metric_u64(out, "lulab_keys", "kind=\"delivery\"", s.deliveries);
	metric_u64(out, "lulab_keys", "kind=\"code\"", s.codes);
	gauge(out, "lulab_keys_erased", "Keys destroyed for ever.", s.tombstones);
}

/* Of every neighbour that sends us webhooks: a family is written in one piece. */
static void write_webhooks(struct buf *out, struct app *app)
{
	struct tally *tallies[APP_ADAPTERS_MAX];
	unsigned n = 0;
	char labels[96];

	for (unsigned i = 0; i < app->n_adapters_started; i++)
		if (app->adapters[i]->tally != NULL)
			tallies[n++] = app->adapters[i]->tally(app->adapter_states[i]);
	if (n == 0)
		return;
	metric_head(out, "lulab_webhook_refused_total", "counter", "Webhooks refused, by reason.");
	for (unsigned i = 0; i < n; i++) {
		for (unsigned reason = 0; reason < tallies[i]->n_reasons; reason++) {
			snprintf(labels, sizeof(labels), "source=\"%s\",reason=\"%s\"", tallies[i]->source, tallies[i]->reasons[reason]);
			metric_u64(out, "lulab_webhook_refused_total", labels, tally_total(tallies[i], reason));
		}
	}
	metric_head(out, "lulab_webhook_duplicates_total", "counter", "Webhooks told again and answered alike.");
	for (unsigned i = 0; i < n; i++) {
		snprintf(labels, sizeof(labels), "source=\"%s\"", tallies[i]->source);
		metric_u64(out, "lulab_webhook_duplicates_total", labels, tally_repeats(tallies[i]));
	}
}

static void metrics(struct http_request *rq)
{
	struct app *app = app_of(rq);
	struct buf body = BUF_INIT(METRICS_MAX);
	uint64_t used, limit;

	write_server(&body, app);
	write_queries(&body, app);
	write_queues(&body, app);
	gauge(&body, "active_users", "Principals that can sign in: the operator, until there are users.", 1);
	write_log(&body, app);
	write_verification(&body, app);
	write_models(&body, app);
	write_delays(&body, app);
	write_keys(&body, app);
	write_webhooks(&body, app);
	metrics_effects(&body, app);
	app_memory(app, &used, &limit);
	gauge(&body, "process_resident_memory_bytes", "Resident memory.", used);
	gauge(&body, "process_start_time_seconds", "When the process started.", (uint64_t)(app->started_us / 1000000));
	for (unsigned i = 0; i < app->n_adapters_started; i++)
		if (app->adapters[i]->metrics != NULL)
			app->adapters[i]->metrics(app->adapter_states[i], &body);
	http_respond(rq, 200, METRICS_CONTENT_TYPE, &body);
}

const struct route metrics_routes[] = {
	{HTTP_GET, "/metrics", metrics, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL | ROUTE_NO_ETAG, .rate = RATE_EXEMPT,
	    .answer = "text", .tag = "service", .summary = "Counters for Prometheus"},
	{0},
};
