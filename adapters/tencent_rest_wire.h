/*
 * Tencent Meeting's REST interface on the wire: requests signed, answers read.
 * Pure functions, any thread. What is given is borrowed; what is returned lies in the arena or
 * borrows from the answer's text, which must outlive it.
 *
 *     header string  X-TC-Key=<SecretId>&X-TC-Nonce=<nonce>&X-TC-Timestamp=<s>
 *     signature      base64(hex(HMAC-SHA256(SecretKey, METHOD \n header string \n URI \n body)))
 *
 * An answer's members may be absent or of another type than the page says: then
 * they read as empty or 0, and only what the answer is for must be there. Times
 * are milliseconds since 1970 whatever unit they came in, unless said otherwise.
 *
 * Sources: vendor-protocols 1.1 to 1.4, 8.1.
 */
#ifndef LULAB_ADAPTERS_TENCENT_REST_WIRE_H
#define LULAB_ADAPTERS_TENCENT_REST_WIRE_H

#include "answer_class.h"
#include "base/json.h"
#include "signing.h"

#define TENCENT_REST_HOST "api.meeting.qq.com"

/* ---- signing --------------------------------------------------------------------------- */

struct tencent_rest_keys {
	struct slice app_id;
	struct slice sdk_id; /* empty: not assigned, and the header stays away */
	struct slice secret_id, secret_key;
};

#define TENCENT_REST_SIGNATURE_LEN 88
#define TENCENT_REST_HEADERS 8

struct tencent_rest_signed {
	struct slice string_to_sign;
	char signature[TENCENT_REST_SIGNATURE_LEN + 1];
	struct wire_pair headers[TENCENT_REST_HEADERS];
	size_t n_headers;
};

/*
 * uri: path and query exactly as sent. nonce: another one for every attempt,
 * from 1. ERR_INVALID: keys missing or with a line break, a URI that does not begin with "/" or is not
 * printable ASCII, a nonce of 0. ERR_NOMEM.
 */
int tencent_rest_sign(const struct tencent_rest_keys *keys, const char *method, struct slice uri, struct slice body,
    uint64_t nonce, int64_t unix_s, struct arena *a, struct tencent_rest_signed *ret);

/* ---- what is asked for -------------------------------------------------------------------- */

enum tencent_operator_type { TENCENT_USERID = 1, TENCENT_OPEN_ID = 2, TENCENT_ROOMS_ID = 3, TENCENT_MS_OPEN_ID = 4 };

/* In whose name. */
struct tencent_operator {
	struct slice id;
	enum tencent_operator_type type;
};

/*
 * Each makes the URI of a GET, percent-encoded; what is empty or 0 is left out.
 * ERR_INVALID: an id that must be there is empty, or is "." or ".."; a figure past what the vendor takes. ERR_NOMEM.
 */
int tencent_uri_meeting(struct slice meeting_id, const struct tencent_operator *op, struct arena *a, struct slice *ret);

#define TENCENT_PARTICIPANTS_PAGE 100
/* Only its creator may ask. sub_meeting_id must be there for a recurring meeting. */
int tencent_uri_participants(struct slice meeting_id, struct slice sub_meeting_id, const struct tencent_operator *op,
    int64_t pos, unsigned size, struct arena *a, struct slice *ret);

#define TENCENT_RECORDS_PAGE 20
#define TENCENT_RECORDS_SPAN_S (31 * 86400)
struct tencent_records_query {
	bool corp;              /* of the whole account: 10 a minute */
	struct tencent_operator op;
	int64_t start_s, end_s; /* since 1970; at most TENCENT_RECORDS_SPAN_S apart */
	struct slice meeting_id; /* empty = any; not with corp */
	unsigned page;          /* from 1 */
	unsigned page_size;     /* at most TENCENT_RECORDS_PAGE */
};
int tencent_uri_records(const struct tencent_records_query *q, struct arena *a, struct slice *ret);

int tencent_uri_address(struct slice record_file_id, const struct tencent_operator *op, struct arena *a,
    struct slice *ret);
/* From paragraph pid on, at most limit of them (0 = all). meeting_id empty for uploads. */
int tencent_uri_transcript(struct slice record_file_id, struct slice meeting_id, const struct tencent_operator *op,
    int64_t pid, unsigned limit, struct arena *a, struct slice *ret);
int tencent_uri_summary(struct slice record_file_id, const struct tencent_operator *op, struct arena *a, struct slice *ret);
/* minute_type 1 chapter, 2 topic, 3 speaker, 0 = the vendor's choice; as Markdown. */
int tencent_uri_minutes(struct slice record_file_id, const struct tencent_operator *op, unsigned minute_type,
    struct arena *a, struct slice *ret);
int tencent_uri_topics(struct slice record_file_id, const struct tencent_operator *op, struct arena *a, struct slice *ret);
int tencent_uri_user(struct slice userid, const struct tencent_operator *op, struct arena *a, struct slice *ret);
int tencent_uri_users(unsigned page, unsigned page_size, const struct tencent_operator *op, struct arena *a,
    struct slice *ret);

/* ---- what is answered ----------------------------------------------------------------------- */

struct tencent_rest_error {
	enum answer_class is;
	int64_t code;         /* the vendor's; 0 = none was told */
	struct slice message; /* the vendor's, for logs in no language of ours */
};

/*
 * Whether an answer is one. error_info is a failure whatever the status. generated: what was
 * asked for is made after the meeting (summary, minutes, topics, transcripts, addresses), so a code nobody knows
 * means that it is not there yet. ERR_NOMEM only.
 */
int tencent_rest_judge(int status, struct slice body, bool generated, struct arena *a, struct tencent_rest_error *ret);
enum answer_class tencent_rest_code_class(int64_t code);

/* All of the following: ERR_MALFORMED (not JSON, or without what it is for), ERR_TOO_BIG, ERR_NOMEM. */

struct tencent_sub_meeting {
	struct slice id, status;
	int64_t start_ms, end_ms;
};
#define TENCENT_RECURRING 1 /* meeting_type */
struct tencent_meeting_detail {
	struct slice meeting_id, meeting_code, subject, status, join_url, current_sub_meeting_id, location;
	int64_t meeting_type;
	int64_t start_ms, end_ms;
	struct slice *hosts; /* user ids */
	size_t n_hosts;
	struct tencent_sub_meeting *subs;
	size_t n_subs;
	int64_t remain_subs; /* further ones that were not told */
};
/* The first of its meeting_info_list. ERR_NOT_FOUND when that is empty. */
int tencent_meeting_parse(struct slice body, struct arena *a, struct tencent_meeting_detail *ret);

/* One join: a person who came twice is there twice. */
struct tencent_participant {
	struct slice userid, open_id, ms_open_id, uuid; /* userid empty for guests */
	struct slice user_name;  /* plain text */
	struct slice phone_hash; /* hex SHA-256(phone + "/" + SecretId): comparable under one SecretId only */
	int64_t join_ms, left_ms; /* left 0 = still there */
	int64_t instanceid, user_role, join_type;
	bool is_enterprise_user;
};
struct tencent_participants {
	struct slice meeting_id, meeting_code, subject;
	struct tencent_participant *items;
	size_t n;
	int64_t total;
	bool more;        /* ask again with pos = next_pos */
	int64_t next_pos;
};
/* pos: as it was asked for; a page that does not lead further is malformed. */
int tencent_participants_parse(struct slice body, int64_t pos, struct arena *a, struct tencent_participants *ret);

struct tencent_record_file {
	struct slice id;
	int64_t start_ms, end_ms, size; /* bytes */
};
enum tencent_record_state { TENCENT_RECORDING = 1, TENCENT_TRANSCODING = 2, TENCENT_RECORDED = 3 };
struct tencent_record {
	struct slice record_id, meeting_id, meeting_code, subject, host_userid;
	int64_t state, record_type; /* enum tencent_record_state; 0 cloud, 2 upload, 3 transcript, 4 video, 5 audio */
	int64_t start_ms;
	struct tencent_record_file *files; /* only when TENCENT_RECORDED */
	size_t n_files;
};
struct tencent_records {
	struct tencent_record *items;
	size_t n;
	int64_t total, page, pages;
	bool more; /* ask for page + 1 */
};
int tencent_records_parse(struct slice body, struct arena *a, struct tencent_records *ret);

struct tencent_document {
	struct slice address, file_type;
};
/* Addresses that work for about 6 hours. Each must be https, or of this machine (a simulator's), or it is left out. */
struct tencent_addresses {
	struct slice record_file_id, meeting_id, record_name;
	struct tencent_document video, audio; /* address empty = there is none */
	struct tencent_document *summaries, *transcripts, *minutes;
	size_t n_summaries, n_transcripts, n_minutes;
};
int tencent_address_parse(struct slice body, struct arena *a, struct tencent_addresses *ret);

/* Times of a transcript count from the start of the file. */
struct tencent_word {
	int64_t wid; /* as told, else which of its sentence it is */
	int64_t start_ms, end_ms;
	struct slice text;
};
struct tencent_sentence {
	struct slice sid;
	int64_t start_ms, end_ms;
	struct slice text; /* its words, joined */
	struct tencent_word *words;
	size_t n_words;
};
struct tencent_paragraph {
	int64_t pid;
	int64_t start_ms, end_ms;
	struct slice userid, open_id, ms_open_id, user_name; /* of the speaker; any may be empty */
	struct tencent_sentence *sentences;
	size_t n_sentences;
};
struct tencent_transcript {
	struct tencent_paragraph *paragraphs;
	size_t n;
	bool speakers_known; /* false: the vendor is still telling speakers apart */
	bool more;           /* ask again from next_pid */
	int64_t next_pid;
};
/* pid: as it was asked for; a page that does not lead further is malformed. */
int tencent_transcript_parse(struct slice body, int64_t pid, struct arena *a, struct tencent_transcript *ret);

/* ret_text: plain. ERR_NOT_FOUND when it is there and empty. */
int tencent_summary_parse(struct slice body, struct arena *a, struct slice *ret_text);
/* Either may be empty, not both (ERR_NOT_FOUND). */
int tencent_minutes_parse(struct slice body, struct arena *a, struct slice *ret_minute, struct slice *ret_todo);

struct tencent_topic_time {
	int64_t start_ms, end_ms; /* from the start of the file */
};
struct tencent_topic {
	struct slice id, name;
	struct tencent_topic_time *times;
	size_t n_times;
};
struct tencent_topics {
	struct tencent_topic *items;
	size_t n;
};
int tencent_topics_parse(struct slice body, struct arena *a, struct tencent_topics *ret);

struct tencent_user {
	struct slice userid, uuid, user_name, email, phone, staff_id, job_title;
	int64_t status; /* 1 normal, 2 closed, 3 not active, 4 disabled */
};
int tencent_user_parse(struct slice body, struct arena *a, struct tencent_user *ret);
struct tencent_users {
	struct tencent_user *items;
	size_t n;
	int64_t total;
};
int tencent_users_parse(struct slice body, struct arena *a, struct tencent_users *ret);

#endif
