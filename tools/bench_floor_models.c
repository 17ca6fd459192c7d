/* See bench_floor_models.h. */
#include "bench_floor_models.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "bench_webhook.h"

#define BIT(kind) (1u << WEBHOOK_##kind)
#define ALL_KINDS ((1u << WEBHOOK_EVENTS_PER_MEETING) - 1)
/* Who is told of: as creator or operator. */
#define HOST_KINDS (BIT(CREATED) | BIT(STARTED) | BIT(HOST_JOINED) | BIT(HOST_LEFT) | BIT(ENDED))
#define GUEST_KINDS (BIT(GUEST_JOINED) | BIT(GUEST_LEFT))

#define START_MS INT64_C(1796000000000)
#define LATEST_MAX (WEBHOOK_TEXT_MAX + 20)
#define LOW_48 ((UINT64_C(1) << 48) - 1)
#define CREATED_FROM "{\"createMode\":0,\"createFrom\":1}"

/* ---- values ---- */

static int64_t ms_of(uint64_t number)
{
	return START_MS + (int64_t)(number / WEBHOOKS_PER_MS);
}

/* In the place of a hash: lies anywhere among the others. */
static uint64_t scatter(uint64_t n)
{
	n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
	return n ^ n >> 31;
}

struct names {
	char id[26], platform_id[24], stream[48];
};

static void name_meeting(struct names *ret, uint64_t meeting)
{
	uint64_t hash = scatter(meeting + 1);

	snprintf(ret->id, sizeof(ret->id), "c%016" PRIx64 "%08" PRIx32, hash, (uint32_t)(hash * 31));
	snprintf(ret->platform_id, sizeof(ret->platform_id), "%020" PRIu64, UINT64_C(12662689481715018240) + meeting);
	snprintf(ret->stream, sizeof(ret->stream), "meeting/TENCENT/%s", ret->platform_id);
}

/* A subject's id begins with the time it was first heard of. */
static void name_person(char ret[33], unsigned person)
{
	snprintf(ret, 33, "01a225013fd2%04x%016" PRIx64, person, scatter(person + 1));
}

static void bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

static void bind_latest(sqlite3_stmt *stmt, int i, char buf[LATEST_MAX], int64_t at_ms, const char *value)
{
	snprintf(buf, LATEST_MAX, "%016" PRId64 "%.*s", at_ms, WEBHOOK_TEXT_MAX - 1, value);
	bind_text(stmt, i, buf);
}

static void bind_time_if(sqlite3_stmt *stmt, int i, bool told, int64_t at_ms)
{
	if (told)
		sqlite3_bind_int64(stmt, i, at_ms);
	else
		sqlite3_bind_null(stmt, i);
}

static int run(sqlite3_stmt *stmt)
{
	int code = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	return code == SQLITE_DONE ? 0 : ERR_IO;
}

/* Whether it made a row of a table with rowids, and did not change one. */
static int run_and_see(const struct floor_upserts *u, sqlite3_stmt *stmt, bool *ret_new)
{
	int rc;

	sqlite3_set_last_insert_rowid(u->db, 0);
	rc = run(stmt);
	*ret_new = sqlite3_last_insert_rowid(u->db) != 0;
	return rc;
}

/* The next ones that are of one meeting: how many, and a bit for each kind of them. */
static size_t of_one_meeting(const uint64_t *numbers, size_t n, unsigned *ret_kinds)
{
	uint64_t meeting = numbers[0] / WEBHOOK_EVENTS_PER_MEETING;
	size_t i = 0;

	*ret_kinds = 0;
	for (; i < n && numbers[i] / WEBHOOK_EVENTS_PER_MEETING == meeting; i++)
		*ret_kinds |= 1u << (numbers[i] % WEBHOOK_EVENTS_PER_MEETING);
	return i;
}

/* ---- meetings ---- */

enum { MEETING, MEETING_PERSON, MEETING_SEARCH, MEETING_FILE };

static int make_search(const struct floor_upserts *u, uint64_t meeting, unsigned which, const char *text)
{
	sqlite3_stmt *stmt = u->stmts[MEETING_SEARCH];

	/* Ascending within a transaction: otherwise FTS5 writes what it has with each. */
	sqlite3_bind_int64(stmt, 1, (int64_t)meeting * 4 + which);
	sqlite3_bind_int64(stmt, 2, (int64_t)meeting + 1);
	bind_text(stmt, 3, text);
	return run(stmt);
}

static int make_meeting_person(const struct floor_upserts *u, const struct names *names, uint64_t number, unsigned which,
    unsigned person, bool joined)
{
	uint64_t meeting = number / WEBHOOK_EVENTS_PER_MEETING;
	char id[33], name[WEBHOOK_TEXT_MAX], latest[LATEST_MAX];
	sqlite3_stmt *stmt = u->stmts[MEETING_PERSON];
	bool is_new;
	int rc;

	name_person(id, person);
	webhook_name(name, person);
	bind_text(stmt, 1, names->id);
	bind_text(stmt, 2, id);
	bind_latest(stmt, 3, latest, ms_of(number), name);
	sqlite3_bind_int(stmt, 4, joined);
	rc = run_and_see(u, stmt, &is_new);
	return rc == 0 && is_new ? make_search(u, meeting, which, name) : rc;
}

static int make_meeting(const struct floor_upserts *u, uint64_t number, unsigned kinds)
{
	uint64_t meeting = number / WEBHOOK_EVENTS_PER_MEETING;
	unsigned host = webhook_host(number), guest = webhook_guest(number);
	char title[WEBHOOK_TEXT_MAX], name[WEBHOOK_TEXT_MAX], creator[33], latest[8][LATEST_MAX];
	int64_t at_ms = ms_of(number);
	sqlite3_stmt *stmt = u->stmts[MEETING];
	struct names names;
	bool is_new;
	int rc;

	name_meeting(&names, meeting);
	name_person(creator, host);
	webhook_title(title, host);
	webhook_name(name, host);
	sqlite3_bind_int64(stmt, 1, (int64_t)meeting + 1);
	bind_text(stmt, 2, names.id);
	bind_text(stmt, 3, names.platform_id);
	bind_text(stmt, 4, names.stream);
	bind_latest(stmt, 5, latest[0], at_ms, title);
	bind_latest(stmt, 6, latest[1], at_ms, "100200300");
	bind_latest(stmt, 7, latest[2], at_ms, "0");
	bind_latest(stmt, 8, latest[3], at_ms, creator);
	bind_latest(stmt, 9, latest[4], at_ms, name);
	bind_latest(stmt, 10, latest[5], at_ms, "1760000400000");
	bind_latest(stmt, 11, latest[6], at_ms, "1760004000000");
	bind_latest(stmt, 12, latest[7], at_ms, CREATED_FROM);
	bind_time_if(stmt, 13, (kinds & BIT(STARTED)) != 0, at_ms);
	bind_time_if(stmt, 14, (kinds & BIT(ENDED)) != 0, at_ms);
	sqlite3_bind_int(stmt, 15, __builtin_popcount(kinds & (BIT(HOST_JOINED) | BIT(GUEST_JOINED))));
	sqlite3_bind_int(stmt, 16, (kinds & BIT(RECORDED)) != 0 ? 3 : 0);
	sqlite3_bind_int(stmt, 17, (kinds & BIT(RECORDED)) != 0 ? 1 : 0);
	sqlite3_bind_int64(stmt, 18, at_ms);
	rc = run_and_see(u, stmt, &is_new);
	if (rc == 0 && is_new)
		rc = make_search(u, meeting, 0, title);
	if (rc == 0 && (kinds & HOST_KINDS) != 0)
		rc = make_meeting_person(u, &names, number, 1, host, (kinds & (BIT(HOST_JOINED) | BIT(HOST_LEFT))) != 0);
	if (rc == 0 && (kinds & GUEST_KINDS) != 0)
		rc = make_meeting_person(u, &names, number, 2, guest, true);
	return rc;
}

static int make_meetings(const struct floor_upserts *u, const uint64_t *numbers, size_t n)
{
	sqlite3_stmt *file = u->stmts[MEETING_FILE];
	struct names names = {0};
	unsigned kinds;
	int rc = 0;

	for (size_t i = 0, taken; rc == 0 && i < n; i += taken) {
		taken = of_one_meeting(numbers + i, n - i, &kinds);
		rc = make_meeting(u, numbers[i + taken - 1], kinds);
		if ((kinds & BIT(RECORDED)) != 0)
			name_meeting(&names, numbers[i] / WEBHOOK_EVENTS_PER_MEETING);
	}
	/* All recordings of the bench are of one file. */
	if (rc != 0 || names.id[0] == '\0')
		return rc;
	bind_text(file, 1, names.id);
	return run(file);
}

/* ---- attendance ---- */

enum { KNOWN_MEETING, MARK, STAY, PERSON, END };

static int make_mark(const struct floor_upserts *u, uint64_t meeting, const char *person, uint64_t number, bool leaves)
{
	sqlite3_stmt *stmt = u->stmts[MARK];

	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)meeting);
	bind_text(stmt, 2, person);
	sqlite3_bind_int64(stmt, 3, ms_of(number));
	sqlite3_bind_int(stmt, 4, leaves);
	return run(stmt);
}

/* One person's stay, of which these webhooks tell the beginning, the end, or both. */
static int make_stay(const struct floor_upserts *u, uint64_t meeting, uint64_t first, unsigned person, unsigned kinds,
    enum webhook_kind joined, enum webhook_kind left)
{
	bool comes = (kinds & 1u << joined) != 0, goes = (kinds & 1u << left) != 0;
	char id[33], name[WEBHOOK_TEXT_MAX], latest[LATEST_MAX];
	sqlite3_stmt *stay = u->stmts[STAY], *known = u->stmts[PERSON];
	int rc = 0;

	if (!comes && !goes)
		return 0;
	name_person(id, person);
	webhook_name(name, person);
	if (comes)
		rc = make_mark(u, meeting, id, first + joined, false);
	if (rc == 0 && goes)
		rc = make_mark(u, meeting, id, first + left, true);
	if (rc != 0)
		return rc;
	sqlite3_bind_int64(stay, 1, (sqlite3_int64)meeting);
	bind_text(stay, 2, id);
	sqlite3_bind_int64(stay, 3, ms_of(first + joined));
	bind_time_if(stay, 4, goes, ms_of(first + left));
	sqlite3_bind_int64(known, 1, (sqlite3_int64)meeting);
	bind_text(known, 2, id);
	bind_latest(known, 3, latest, ms_of(first + joined), name);
	rc = run(stay);
	return rc == 0 ? run(known) : rc;
}

/* The meetings of the bench come in the order of their numbers. */
static int make_number(const struct floor_upserts *u, uint64_t meeting)
{
	struct names names;

	name_meeting(&names, meeting);
	sqlite3_bind_int64(u->stmts[KNOWN_MEETING], 1, (sqlite3_int64)meeting);
	bind_text(u->stmts[KNOWN_MEETING], 2, names.id);
	return run(u->stmts[KNOWN_MEETING]);
}

static int make_attendance(const struct floor_upserts *u, const uint64_t *numbers, size_t n)
{
	unsigned kinds;
	int rc = 0;

	for (size_t i = 0, taken; rc == 0 && i < n; i += taken) {
		uint64_t meeting = numbers[i] / WEBHOOK_EVENTS_PER_MEETING, first = meeting * WEBHOOK_EVENTS_PER_MEETING;

		taken = of_one_meeting(numbers + i, n - i, &kinds);
		rc = make_number(u, meeting);
		if (rc == 0)
			rc = make_stay(u, meeting, first, webhook_host(first), kinds, WEBHOOK_HOST_JOINED, WEBHOOK_HOST_LEFT);
		if (rc == 0)
			rc = make_stay(u, meeting, first, webhook_guest(first), kinds, WEBHOOK_GUEST_JOINED, WEBHOOK_GUEST_LEFT);
		if (rc == 0 && (kinds & BIT(ENDED)) != 0) {
			sqlite3_bind_int64(u->stmts[END], 1, (sqlite3_int64)meeting);
			sqlite3_bind_int64(u->stmts[END], 2, ms_of(first + WEBHOOK_ENDED));
			rc = run(u->stmts[END]);
		}
	}
	return rc;
}

/* ---- webhooks ---- */

static int make_inbox(const struct floor_upserts *u, const uint64_t *numbers, size_t n)
{
	sqlite3_stmt *stmt = u->stmts[0];
	char id[26], trace_id[33];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		uint64_t hash = scatter(numbers[i] + 1);

		snprintf(id, sizeof(id), "c%012" PRIx64 "%012" PRIx64, (uint64_t)ms_of(numbers[i]) & LOW_48, hash & LOW_48);
		snprintf(trace_id, sizeof(trace_id), "000661608c83dc2a%016" PRIx64, numbers[i]);
		bind_text(stmt, 1, id);
		bind_text(stmt, 2, webhook_event(numbers[i]));
		bind_text(stmt, 3, trace_id);
		sqlite3_bind_int64(stmt, 4, (int64_t)(u->position + i));
		sqlite3_bind_int64(stmt, 5, ms_of(numbers[i]));
		rc = run(stmt);
	}
	return rc;
}

/* ---- platform_identities ---- */

static int make_identity(const struct floor_upserts *u, unsigned person, uint64_t number)
{
	char id[33], text[3][WEBHOOK_TEXT_MAX], latest[3][LATEST_MAX];
	sqlite3_stmt *stmt = u->stmts[0];

	name_person(id, person);
	snprintf(text[0], sizeof(text[0]), "bench_user_%u", person);
	snprintf(text[1], sizeof(text[1]), "BenchUuid%08uAAAA", person);
	webhook_name(text[2], person);
	bind_text(stmt, 1, id);
	for (int i = 0; i < 3; i++)
		bind_latest(stmt, 2 + i, latest[i], ms_of(number), text[i]);
	sqlite3_bind_int64(stmt, 5, ms_of(number));
	return run(stmt);
}

static int make_identities(const struct floor_upserts *u, const uint64_t *numbers, size_t n)
{
	uint64_t last[WEBHOOK_PEOPLE];
	bool told[WEBHOOK_PEOPLE] = {false};
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		bool by_guest = numbers[i] % WEBHOOK_EVENTS_PER_MEETING == WEBHOOK_GUEST_JOINED;
		unsigned person = by_guest ? webhook_guest(numbers[i]) : webhook_host(numbers[i]);

		told[person] = true;
		last[person] = numbers[i];
	}
	for (unsigned person = 0; rc == 0 && person < WEBHOOK_PEOPLE; person++)
		if (told[person])
			rc = make_identity(u, person, last[person]);
	return rc;
}

/* ---- recordings, lark ---- */

static int make_recordings(const struct floor_upserts *u, const uint64_t *numbers, size_t n)
{
	char title[WEBHOOK_TEXT_MAX], recorder[33], latest[LATEST_MAX];
	sqlite3_stmt *stmt = u->stmts[0];
	uint64_t number = numbers[n - 1]; /* all recordings are of one file: the newest stays */
	struct names names;

	name_meeting(&names, number / WEBHOOK_EVENTS_PER_MEETING);
	name_person(recorder, webhook_host(number));
	webhook_title(title, webhook_host(number));
	bind_text(stmt, 1, names.id);
	bind_text(stmt, 2, names.platform_id);
	bind_text(stmt, 3, recorder);
	bind_latest(stmt, 4, latest, ms_of(number), title);
	sqlite3_bind_int64(stmt, 5, ms_of(number));
	return run(stmt);
}

static int make_lark(const struct floor_upserts *u, const uint64_t *numbers, size_t n)
{
	struct names names;

	name_meeting(&names, numbers[n - 1] / WEBHOOK_EVENTS_PER_MEETING);
	bind_text(u->stmts[0], 1, names.id);
	return run(u->stmts[0]);
}

#define FILE_ROW_ID "cef8d2d662c75d07b82ec6301"

const struct floor_model floor_models[FLOOR_MODELS] = {
    {
	"meetings", ALL_KINDS,
	{
	    [MEETING] = "insert into meetings (rowid, id, platform, meeting_id, sub_meeting_id, stream, title_latest, "
		"code_latest, type_latest, creator_latest, creator_name_latest, scheduled_start_latest, scheduled_end_latest, "
		"created_from_latest, first_started_at, last_started_at, last_ended_at, participant_count, recording_rank, "
		"processing_rank, created_at, updated_at) values (?1, ?2, 'TENCENT_MEETING', ?3, '__ROOT__', ?4, ?5, ?6, ?7, "
		"?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15, ?16, ?17, ?18, ?18) on conflict do update set "
		"title_latest = excluded.title_latest, code_latest = excluded.code_latest, type_latest = excluded.type_latest, "
		"creator_latest = excluded.creator_latest, creator_name_latest = excluded.creator_name_latest, "
		"scheduled_start_latest = excluded.scheduled_start_latest, scheduled_end_latest = excluded.scheduled_end_latest, "
		"created_from_latest = excluded.created_from_latest, "
		"first_started_at = coalesce(first_started_at, excluded.first_started_at), "
		"last_started_at = coalesce(last_started_at, excluded.last_started_at), "
		"last_ended_at = coalesce(last_ended_at, excluded.last_ended_at), "
		"participant_count = participant_count + excluded.participant_count, "
		"recording_rank = max(recording_rank, excluded.recording_rank), "
		"processing_rank = max(processing_rank, excluded.processing_rank), updated_at = excluded.updated_at",
	    [MEETING_PERSON] = "insert into meeting_people (meeting, person, name_latest, joined) values (?1, ?2, ?3, ?4) "
		"on conflict do update set name_latest = excluded.name_latest, joined = 1 where excluded.joined > joined",
	    [MEETING_SEARCH] = "insert into meetings_search (rowid, row, text) values (?1, ?2, ?3)",
	    [MEETING_FILE] = "insert into recording_files values ('" WEBHOOK_FILE_ID "', ?1, 0) "
		"on conflict do update set meeting = excluded.meeting",
	},
	make_meetings,
    },
    {
	"attendance", BIT(HOST_JOINED) | BIT(HOST_LEFT) | GUEST_KINDS | BIT(ENDED),
	{
	    [KNOWN_MEETING] = "insert or ignore into meetings (number, id) values (?1, ?2)",
	    [MARK] = "insert or ignore into marks (meeting, person, device, room, at, leaves) "
		"values (?1, ?2, '5', 'MEETING', ?3, ?4)",
	    [STAY] = "insert into stays (meeting, person, device, room, at, leaves, left_at) "
		"values (?1, ?2, '5', 'MEETING', ?3, 0, ?4) on conflict do update set left_at = excluded.left_at "
		"where excluded.left_at is not null",
	    [PERSON] = "insert or ignore into people (meeting, person, name_latest) values (?1, ?2, ?3)",
	    [END] = "insert or ignore into meeting_ends (meeting, at) values (?1, ?2)",
	},
	make_attendance,
    },
    {
	"webhooks", ALL_KINDS,
	{"insert into inbox (id, source, verdict, vendor_event, trace_id, position, items, received_at) "
	 "values (?1, 'tencent', 'ACCEPTED', ?2, ?3, ?4, 1, ?5)"},
	make_inbox,
    },
    {
	"platform_identities", BIT(CREATED) | BIT(STARTED) | BIT(HOST_JOINED) | BIT(GUEST_JOINED) | BIT(ENDED),
	{"insert into identities values (?1, 'TENCENT_MEETING', ?2, ?3, ?4, ?5, ?5) on conflict do update set "
	 "user_id_latest = excluded.user_id_latest, union_id_latest = excluded.union_id_latest, "
	 "name_latest = excluded.name_latest, last_seen_at = excluded.last_seen_at"},
	make_identities,
    },
    {
	"recordings", BIT(RECORDED),
	{"insert into recordings (id, record_file_id, platform, meeting, meeting_id, recorder, rank, title_latest, "
	 "started_at, ended_at, told_at, created_at, updated_at) values ('" FILE_ROW_ID "', '" WEBHOOK_FILE_ID "', "
	 "'TENCENT_MEETING', ?1, ?2, ?3, 3, ?4, 1760000400000, 1760004000000, ?5, ?5, ?5) on conflict do update set "
	 "meeting = excluded.meeting, meeting_id = excluded.meeting_id, recorder = excluded.recorder, "
	 "title_latest = excluded.title_latest, told_at = excluded.told_at, updated_at = excluded.updated_at"},
	make_recordings,
    },
    {
	"lark", BIT(RECORDED),
	{"insert into recordings (id, record_file_id, meeting) values ('" FILE_ROW_ID "', '" WEBHOOK_FILE_ID "', ?1) "
	 "on conflict do update set meeting = excluded.meeting"},
	make_lark,
    },
};
