/* What can be seen without opening the store: settings, files, disk, clock, certificate, the running service. */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "doctor.h"
#include "net/http_client.h"
#include "tencent_wire.h"

#define GIB (1024.0 * 1024 * 1024)

enum { DESCRIPTORS_WANTED = 4096, CERTIFICATE_WARNING_S = 14 * 24 * 3600,
	SERVICE_ANSWER_MS = 2000 };

/* 2026-01-01: no build of this program ran before. */
#define WALL_MS_MIN INT64_C(1767225600000)

void doctor_note(struct doctor *d, const char *what, enum finding_result result, const char *found,
    const char *mend)
{
	if (d->n < FINDINGS_MAX)
		d->findings[d->n++] = (struct finding){what, result, found, mend};
}

static void check_settings(struct doctor *d)
{
	const struct config_loaded *c = d->config;

	if (c->problems.total > 0)
		doctor_note(d, "settings", FINDING_BAD,
		    arena_printf(d->arena, "%zu problems, the first: %s: %s", c->problems.total,
		        c->problems.items[0].path, c->problems.items[0].message),
		    "lulab config check tells all of them");
	else if (c->remarks.total > 0)
		doctor_note(d, "settings", FINDING_NOTE,
		    arena_printf(d->arena, "good, with %zu remarks", c->remarks.total), "lulab config check");
	else
		doctor_note(d, "settings", FINDING_OK, "good", NULL);
}

static void check_data_dir(struct doctor *d)
{
	struct stat st;

	if (stat(d->data_dir, &st) != 0) {
		bool absent = errno == ENOENT;

		doctor_note(d, "data directory", absent ? FINDING_NOTE : FINDING_BAD,
		    arena_printf(d->arena, "%s: %s", d->data_dir, absent ? "not there yet" : err_text(err_from_errno(errno))),
		    absent ? "lulab serve makes it; if it should be there, give --data" : "look at the directories above it");
		return;
	}
	if (!S_ISDIR(st.st_mode))
		doctor_note(d, "data directory", FINDING_BAD,
		    arena_printf(d->arena, "%s is no directory", d->data_dir), "give another with --data");
	else if (access(d->data_dir, R_OK | W_OK | X_OK) != 0)
		doctor_note(d, "data directory", FINDING_BAD,
		    arena_printf(d->arena, "%s belongs to user %u and cannot be written by user %u", d->data_dir,
		        st.st_uid, geteuid()),
		    arena_printf(d->arena, "run as that user, or: chown -R %u %s", geteuid(), d->data_dir));
	else if ((st.st_mode & 0077) != 0)
		doctor_note(d, "data directory", FINDING_WARNING,
		    arena_printf(d->arena, "%s has mode %04o: other users can look into it", d->data_dir,
		        st.st_mode & 07777),
		    arena_printf(d->arena, "chmod 700 %s", d->data_dir));
	else
		doctor_note(d, "data directory", FINDING_OK, d->data_dir, NULL);
}

/* A file only the service may read. */
static void check_private_file(struct doctor *d, const char *what, const char *path, const char *when_absent,
    const char *when_seen)
{
	struct stat st;

	if (path == NULL)
		return;
	if (stat(path, &st) != 0)
		doctor_note(d, what, FINDING_NOTE, arena_printf(d->arena, "%s is not there", path), when_absent);
	else if ((st.st_mode & 0077) != 0)
		doctor_note(d, what, FINDING_BAD,
		    arena_printf(d->arena, "%s has mode %04o: other users can read it", path, st.st_mode & 07777),
		    arena_printf(d->arena, "chmod 600 %s%s", path, when_seen));
	else if (access(path, R_OK) != 0)
		doctor_note(d, what, FINDING_BAD, arena_printf(d->arena, "%s cannot be read", path),
		    "run as the user the service runs as");
	else
		doctor_note(d, what, FINDING_OK, path, NULL);
}

static void check_files(struct doctor *d)
{
	struct slice root = d->config->values.root_key_file;
	const char *made = "lulab serve makes it at its first start", *root_path, *keys_dir;

	if (!file_exists(d->data_dir))
		return;
	check_private_file(d, "admin token", arena_printf(d->arena, "%s/admin.token", d->data_dir), made,
	    "; if others use this machine, remove it instead: the next start makes a new one");
	root_path = root.len > 0 ? arena_printf(d->arena, "%.*s", SLICE_ARG(root))
				 : arena_printf(d->arena, "%s/root.key", d->data_dir);
	keys_dir = arena_printf(d->arena, "%s/keys", d->data_dir);
	/* Never advise a new root key: the old one alone opens what was sealed. */
	if (root_path != NULL && keys_dir != NULL && !file_exists(root_path) && file_exists(keys_dir))
		doctor_note(d, "root key", FINDING_BAD,
		    arena_printf(d->arena, "%s is not there, and it alone opens %s", root_path, keys_dir),
		    "put it back from its backup: lulab serve does not start without it");
	else
		check_private_file(d, "root key", root_path, made,
		    "; keep it, for nothing else opens what was sealed with it");
}

static void check_disk(struct doctor *d)
{
	const char *dir = file_exists(d->data_dir) ? d->data_dir : ".";
	double free_bytes, total, reserve = (double)d->config->values.disk_reserve;
	struct statvfs vfs;
	const char *found;

	if (statvfs(dir, &vfs) != 0) {
		doctor_note(d, "disk", FINDING_BAD, err_text(err_from_errno(errno)), "look at the file system");
		return;
	}
	free_bytes = (double)vfs.f_bavail * (double)vfs.f_frsize;
	total = (double)vfs.f_blocks * (double)vfs.f_frsize;
	if (reserve <= 0)
		reserve = total / 20 > GIB ? total / 20 : GIB;
	found = arena_printf(d->arena, "%.1f of %.1f GiB free, %.1f GiB are the reserve", free_bytes / GIB,
	    total / GIB, reserve / GIB);
	if (free_bytes < reserve)
		doctor_note(d, "disk", FINDING_BAD, found,
		    "new events are refused: free some space, or lower LULAB_DISK_RESERVE");
	else if (free_bytes < 2 * reserve)
		doctor_note(d, "disk", FINDING_WARNING, found, "free some space soon");
	else
		doctor_note(d, "disk", FINDING_OK, found, NULL);
}

static void check_clock(struct doctor *d)
{
	struct timex state = {0};

	if (clock_wall_ms(d->clock) < WALL_MS_MIN)
		doctor_note(d, "clock", FINDING_BAD, "it is before the year 2026",
		    "set the clock; webhooks look as if they came from the future");
	else if (adjtimex(&state) == TIME_ERROR)
		doctor_note(d, "clock", FINDING_WARNING, "nothing keeps it right",
		    "switch time synchronisation on: timedatectl set-ntp true (in a container: on its host)");
	else
		doctor_note(d, "clock", FINDING_OK, "kept right by the network", NULL);
}

static void check_tencent(struct doctor *d)
{
	const struct config *c = &d->config->values;
	struct tencent_keys keys = {0};

	if (c->tencent_meeting_token.len == 0)
		doctor_note(d, "Tencent Meeting", FINDING_WARNING,
		    "TENCENT_MEETING_TOKEN is not set: its webhook answers 503",
		    "set it, and TENCENT_MEETING_ENCODING_AES_KEY, to what the application's page in the "
		    "Tencent Meeting console shows");
	else if (c->tencent_meeting_encoding_aes_key.len == 0)
		doctor_note(d, "Tencent Meeting", FINDING_WARNING,
		    "TENCENT_MEETING_ENCODING_AES_KEY is not set: events are expected unencrypted",
		    "switch encryption on in the console and set the key");
	else if (tencent_keys_add_aes(&keys, c->tencent_meeting_encoding_aes_key) != 0)
		doctor_note(d, "Tencent Meeting", FINDING_BAD, "TENCENT_MEETING_ENCODING_AES_KEY is no key",
		    "it is the 43 letters and digits of EncodingAESKey, nothing around them");
	else
		doctor_note(d, "Tencent Meeting", FINDING_OK, "token and key are set", NULL);
	tencent_keys_finish(&keys);
}

/* Who does not use it need not hear of it. */
static void check_feishu(struct doctor *d)
{
	const struct config *c = &d->config->values;
	bool webhook = c->lark_event_encrypt_key.len > 0 || c->lark_event_verification_token.len > 0;
	bool app = c->lark_app_id.len > 0 && c->lark_app_secret.len > 0;

	if (!webhook && c->lark_app_id.len == 0 && c->lark_app_secret.len == 0)
		return;
	if (!app && (c->lark_app_id.len > 0 || c->lark_app_secret.len > 0))
		doctor_note(d, "Feishu", FINDING_WARNING, "only one of LARK_APP_ID and LARK_APP_SECRET is set: it is not connected",
		    "set both to what the application's page shows under Credentials");
	else if (webhook && c->lark_event_encrypt_key.len == 0)
		doctor_note(d, "Feishu", FINDING_WARNING,
		    "LARK_EVENT_ENCRYPT_KEY is not set: webhooks come unencrypted, and a token is all that proves who speaks",
		    "set an Encrypt Key on the application's page, under Encryption Strategy, and here");
	else if (webhook && c->lark_event_verification_token.len == 0)
		doctor_note(d, "Feishu", FINDING_WARNING, "LARK_EVENT_VERIFICATION_TOKEN is not set: webhooks are not compared with it",
		    "set it to what the application's page shows under Encryption Strategy");
	else
		doctor_note(d, "Feishu", FINDING_OK, arena_printf(d->arena, "%s, %s", webhook ? "webhook" : "no webhook",
		    app && !slice_is(c->lark_connection, "off") ? "long connection" : "no long connection"), NULL);
}

/* Only loopback may go without TLS. */
static bool is_loopback(const char *listen)
{
	return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]", 5) == 0 ||
	    strncmp(listen, "localhost:", 10) == 0;
}

static X509 *read_certificate(const char *path)
{
	FILE *file = fopen(path, "re");
	X509 *certificate = NULL;

	if (file != NULL) {
		certificate = PEM_read_X509(file, NULL, NULL, NULL);
		fclose(file);
	}
	return certificate;
}

static EVP_PKEY *read_key(const char *path)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = NULL;

	if (file != NULL) {
		key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
		fclose(file);
	}
	return key;
}

static void check_pair(struct doctor *d, const char *cert_path, const char *key_path)
{
	X509 *certificate = read_certificate(cert_path);
	EVP_PKEY *key = read_key(key_path);
	int days = 0, seconds = 0;

	if (certificate == NULL)
		doctor_note(d, "TLS", FINDING_BAD, arena_printf(d->arena, "%s holds no certificate", cert_path),
		    "LULAB_TLS_CERT names a readable PEM file, the server's certificate first");
	else if (key == NULL)
		doctor_note(d, "TLS", FINDING_BAD, arena_printf(d->arena, "%s holds no key", key_path),
		    "LULAB_TLS_KEY names a readable PEM file without a password");
	else if (X509_check_private_key(certificate, key) != 1)
		doctor_note(d, "TLS", FINDING_BAD, "key and certificate do not belong together",
		    "LULAB_TLS_CERT and LULAB_TLS_KEY must come from the same request");
	else if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1 || days < 0 || seconds < 0)
		doctor_note(d, "TLS", FINDING_BAD, "the certificate has expired", "renew it, then send SIGHUP");
	else
		doctor_note(d, "TLS", (int64_t)days * 86400 < CERTIFICATE_WARNING_S ? FINDING_WARNING : FINDING_OK,
		    arena_printf(d->arena, "the certificate ends in %d days", days),
		    (int64_t)days * 86400 < CERTIFICATE_WARNING_S ? "renew it, then send SIGHUP" : NULL);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void check_tls(struct doctor *d)
{
	const struct config *c = &d->config->values;
	const char *listen = config_listen(c, d->arena);

	if (c->tls_cert.len > 0 && c->tls_key.len > 0) {
		check_pair(d, arena_printf(d->arena, "%.*s", SLICE_ARG(c->tls_cert)),
		    arena_printf(d->arena, "%.*s", SLICE_ARG(c->tls_key)));
		return;
	}
	if (listen == NULL || is_loopback(listen))
		doctor_note(d, "TLS", FINDING_OK, "plain HTTP, on this machine only", NULL);
	else
		doctor_note(d, "TLS", FINDING_WARNING,
		    arena_printf(d->arena, "%s is served without TLS, and tokens travel in clear", listen),
		    "set LULAB_TLS_CERT and LULAB_TLS_KEY, or listen on 127.0.0.1 behind a proxy that has TLS");
}

static void check_descriptors(struct doctor *d)
{
	struct rlimit limit;
	const char *found;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	found = arena_printf(d->arena, "%llu open files are allowed", (unsigned long long)limit.rlim_cur);
	if (limit.rlim_cur < DESCRIPTORS_WANTED)
		doctor_note(d, "limits", FINDING_NOTE, found,
		    "for thousands of connections: LimitNOFILE=65536 in the unit, or ulimit -n 65536");
	else
		doctor_note(d, "limits", FINDING_OK, found, NULL);
}

static void check_service(struct doctor *d)
{
	const struct config *c = &d->config->values;
	const char *listen = config_listen(c, d->arena);
	struct http_call call = {.timeout_ms = SERVICE_ANSWER_MS, .flags = CLIENT_PLAIN};
	struct http_client *client = NULL;
	struct http_result result = {0};
	int rc;

	if (listen == NULL || c->tls_cert.len > 0 || http_client_create(&client) != 0)
		return; /* its certificate names another host than the address it listens on */
	call.url = arena_printf(d->arena, "http://%s/livez", listen);
	rc = call.url == NULL ? ERR_NOMEM : http_client_call(client, &call, &result);
	if (rc != 0)
		doctor_note(d, "service", FINDING_NOTE, arena_printf(d->arena, "nothing answers at %s", listen),
		    "start it with: lulab serve");
	else if (result.status != 200)
		doctor_note(d, "service", FINDING_WARNING,
		    arena_printf(d->arena, "something at %s answers %d", listen, result.status),
		    "if that is not lulab: choose another port with LULAB_LISTEN");
	else
		doctor_note(d, "service", FINDING_OK, arena_printf(d->arena, "running at %s", listen), NULL);
	http_result_finish(&result);
	http_client_destroy(client);
}

doctor_check *const doctor_checks[] = {
	check_settings,
	check_tencent,
	check_feishu,
	check_data_dir,
	check_files,
	check_disk,
	check_clock,
	check_tls,
	check_descriptors,
	check_service,
	NULL,
};
