/* See bench_server.h. */
#include "bench_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "bench_webhook.h"
#include "bench_work.h"

#define CATCH_UP_US 120000000
#define READY_US 30000000
#define STOP_US 20000000
#define POLL_MS 10
#define LOG_LEN_MAX ((size_t)1 << 24)
#define LAST_WORDS_LEN 2000

/* A port nobody has; somebody may take it before the child does, who then says so. */
static unsigned free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned port = 0;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&address, &len) == 0)
		port = ntohs(address.sin_port);
	if (fd >= 0)
		close(fd);
	return port;
}

/* In the child, between fork and exec: only what is safe there. Whoever kills us with SIGKILL ends the child, too. */
static _Noreturn void become_server(pid_t parent, const char *dir, const char *log, char *const argv[], char *const envp[])
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC), out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	/* Its working directory holds no .env of the caller's. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && chdir(dir) == 0 && in >= 0 && out >= 0 &&
	    dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
		execve("/proc/self/exe", argv, envp);
	_exit(127);
}

/* By the thread that stays to the end: what ends the child is the end of the thread that made it. */
static int spawn(struct bench_server *s)
{
	static char token[] = "TENCENT_MEETING_TOKEN=" WEBHOOK_TOKEN;
	static char key[] = "TENCENT_MEETING_ENCODING_AES_KEY=" WEBHOOK_AES_KEY;
	static char limit[] = "LULAB_RATE_LIMIT=0", limit_meetings[] = "LULAB_RATE_LIMIT_MEETINGS=0";
	static char level[] = "LULAB_LOG_LEVEL=warn", program[] = "lulab", serve[] = "serve";
	static char data_option[] = "--data", listen_option[] = "--listen";
	char listen_on[32], log[BENCH_PATH_MAX + 16];
	char *argv[] = {program, serve, data_option, s->data, listen_option, listen_on, NULL};
	static char proxies[] = "LULAB_TRUSTED_PROXIES=127.0.0.1";
	char *envp[] = {token, key, limit, limit_meetings, level, s->behind_proxy ? proxies : NULL, NULL};
	const pid_t parent = getpid();
	pid_t pid;

	snprintf(listen_on, sizeof(listen_on), "127.0.0.1:%u", s->port);
	snprintf(log, sizeof(log), "%s/serve.log", s->data);
	pid = fork();
	if (pid == 0)
		become_server(parent, s->data, log, argv, envp);
	if (pid < 0)
		return err_from_errno(errno);
	s->pid = pid;
	return 0;
}

/* What the child said last, for whoever has to find out why it ended. */
static void print_last_words(const struct bench_server *s)
{
	struct buf text = BUF_INIT(LOG_LEN_MAX);
	char log[BENCH_PATH_MAX + 16];
	size_t skip;

	snprintf(log, sizeof(log), "%s/serve.log", s->data);
	file_read(&text, log);
	skip = text.len > LAST_WORDS_LEN ? text.len - LAST_WORDS_LEN : 0;
	if (text.len > skip)
		fprintf(stderr, "%.*s", (int)(text.len - skip), text.ptr + skip);
	buf_finish(&text);
}

static int read_token(struct bench_server *s)
{
	struct buf text = BUF_INIT(sizeof(s->token) - 1);
	char path[BENCH_PATH_MAX + 16];
	struct slice token;
	int rc;

	snprintf(path, sizeof(path), "%s/admin.token", s->data);
	rc = file_read(&text, path);
	if (rc == 0) {
		token = slice_trim(buf_slice(&text));
		snprintf(s->token, sizeof(s->token), "%.*s", SLICE_ARG(token));
	}
	buf_wipe(&text);
	return rc;
}

static bool has_ended(struct bench_server *s, int *ret_status)
{
	if (waitpid(s->pid, ret_status, WNOHANG) != s->pid)
		return false;
	s->pid = 0;
	return true;
}

static int wait_ready(struct bench_server *s, const struct bench *b, int64_t start_us)
{
	while (bench_now_us(b) < start_us + READY_US) {
		struct http_result result = {0};
		int status;

		if (command_interrupted())
			return ERR_CANCELLED;
		if (has_ended(s, &status)) {
			print_last_words(s);
			return ERR_UNAVAILABLE;
		}
		status = bench_server_get(s, "/readyz", &result);
		http_result_finish(&result);
		if (status == 200)
			return read_token(s);
		poll(NULL, 0, POLL_MS);
	}
	print_last_words(s);
	return ERR_TIMEOUT;
}

int bench_server_start(struct bench_server *s, const struct bench *b, const char *name, int64_t *ret_ready_us)
{
	int64_t start_us;
	int rc;

	*s = (struct bench_server){.behind_proxy = s->behind_proxy};
	bench_path(b, s->data, name);
	rc = dir_create(s->data, 0700);
	if (rc == 0)
		rc = http_client_create(&s->client);
	s->port = free_port();
	if (rc == 0 && s->port == 0)
		rc = ERR_NETWORK;
	start_us = bench_now_us(b);
	if (rc == 0)
		rc = spawn(s);
	if (rc == 0)
		rc = wait_ready(s, b, start_us);
	if (rc != 0) {
		bench_server_stop(s);
		return rc;
	}
	if (ret_ready_us != NULL)
		*ret_ready_us = bench_now_us(b) - start_us;
	return 0;
}

int bench_server_stop(struct bench_server *s)
{
	int64_t start_us = clock_monotonic_us(&clock_system);
	int status = 0, rc = 0;

	http_client_destroy(s->client);
	s->client = NULL;
	if (s->pid <= 0)
		return 0;
	kill(s->pid, SIGTERM);
	while (!has_ended(s, &status)) {
		if (rc == 0 && clock_monotonic_us(&clock_system) > start_us + STOP_US) {
			kill(s->pid, SIGKILL);
			rc = ERR_TIMEOUT;
		}
		poll(NULL, 0, POLL_MS);
	}
	if (rc == 0 && status != 0) {
		print_last_words(s);
		rc = ERR_UNAVAILABLE;
	}
	return rc;
}

int bench_server_ask(struct bench_server *s, const char *path, const char *header, struct http_result *ret)
{
	char url[512], bearer[160];
	const char *headers[] = {bearer, header, NULL};
	int rc;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", s->port, path);
	snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s", s->token[0] == '\0' ? "none" : s->token);
	rc = http_client_call(s->client, &(struct http_call){.url = url, .headers = headers,
		.flags = CLIENT_LOOPBACK_ONLY}, ret);
	return rc != 0 ? rc : ret->status;
}

int bench_server_get(struct bench_server *s, const char *path, struct http_result *ret)
{
	return bench_server_ask(s, path, NULL, ret);
}

/* One line of the text format: name{labels} value. */
static bool sample_of(struct slice line, struct slice name, double *ret_value)
{
	struct slice head, value;
	char text[64];

	if (!slice_starts_with(line, name) || line.len == name.len)
		return false;
	if (line.ptr[name.len] != ' ' && line.ptr[name.len] != '{')
		return false;
	value = line;
	while (slice_cut(value, ' ', &head, &value))
		;
	/* slice_cut leaves what has no space before it in head. */
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(head));
	*ret_value = strtod(text, NULL);
	return true;
}

bool bench_server_metric(struct bench_server *s, const char *name, double *ret_value)
{
	struct http_result result = {0};
	struct slice rest, line;
	bool found = false, more = true;

	*ret_value = 0;
	if (bench_server_get(s, "/metrics", &result) == 200) {
		for (rest = buf_slice(&result.body); more && rest.len > 0;) {
			double value;

			more = slice_cut(rest, '\n', &line, &rest);
			if (sample_of(line, slice_str(name), &value)) {
				*ret_value += value;
				found = true;
			}
		}
	}
	http_result_finish(&result);
	return found;
}

int bench_server_catch_up(struct bench_server *s, const struct bench *b, int64_t *ret_took_us)
{
	int64_t start_us = bench_now_us(b);
	double lag = 1;

	while (bench_server_metric(s, BENCH_METRIC_LAG, &lag) && lag > 0) {
		if (command_interrupted())
			return ERR_CANCELLED;
		if (bench_now_us(b) > start_us + CATCH_UP_US)
			return ERR_TIMEOUT;
		poll(NULL, 0, 20);
	}
	if (ret_took_us != NULL)
		*ret_took_us = bench_now_us(b) - start_us;
	return 0;
}

int64_t bench_server_cpu_us(const struct bench_server *s)
{
	struct buf text = BUF_INIT(4096);
	struct slice rest, field;
	uint64_t user = 0, system = 0;
	char path[64];
	const char *after_name;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)s->pid);
	file_read(&text, path);
	/* Fields 14 and 15; the second is a name in parentheses that may hold spaces. */
	after_name = text.len == 0 ? NULL : strrchr(text.ptr, ')');
	rest = slice_str(after_name == NULL ? "" : after_name + 1);
	for (int i = 2; i <= 15 && slice_cut(rest, ' ', &field, &rest); i++) {
		if (i == 14)
			slice_to_u64(field, &user);
		else if (i == 15)
			slice_to_u64(field, &system);
	}
	buf_finish(&text);
	return (int64_t)((user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

uint64_t bench_server_memory(const struct bench_server *s)
{
	struct buf text = BUF_INIT(65536);
	struct slice rest, line, digits;
	char path[64];
	uint64_t kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)s->pid);
	file_read(&text, path);
	for (rest = buf_slice(&text); slice_cut(rest, '\n', &line, &rest);) {
		if (!slice_starts_with(line, SLICE("RssAnon:")))
			continue;
		digits = slice_trim(slice_of(line.ptr + 8, line.len - 8));
		slice_cut(digits, ' ', &digits, &line);
		slice_to_u64(digits, &kib);
		break;
	}
	buf_finish(&text);
	return kib * 1024;
}
