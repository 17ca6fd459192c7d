/* What Tencent Meeting answers, read into structs: see wire_json.h for what is forgiven. */
#include "tencent_rest_wire.h"

#include "base/codec.h"
#include "tencent_wire.h"
#include "wire_json.h"

static int64_t time_at(struct json_value v, const char *name, struct arena *a)
{
	int64_t any = wire_int(v, name, 0, a);

	return any <= 0 || any > INT64_MAX / 1000 ? 0 : tencent_ms_of(any);
}

/* Base64 of UTF-8, says the page; what is not that is the text itself. */
static int plain_of(struct slice text, struct arena *a, struct slice *ret)
{
	struct buf plain = BUF_INIT(text.len + 4);
	int rc = base64_decode(&plain, text, BASE64_LENIENT);

	if (rc == ERR_NOMEM || plain.rc == ERR_NOMEM) {
		buf_finish(&plain);
		return ERR_NOMEM;
	}
	if (rc == 0 && plain.len > 0 && utf8_valid(buf_slice(&plain)))
		return wire_keep(a, &plain, ret);
	buf_finish(&plain);
	*ret = text;
	return 0;
}

/* The objects of an array member: how many, and a reader at the first. None when it is no array. */
static size_t enter(struct json_value v, const char *name, struct json_reader *r)
{
	struct json_value array;

	if (!wire_member(v, name, JSON_ARRAY, &array))
		return 0;
	json_enter(r, array);
	return wire_count(array);
}

/* --- meetings --------------------------------------------------------------------------------- */

/* Objects {userid} now, plain texts once. */
static int hosts_of(struct json_value info, struct arena *a, struct tencent_meeting_detail *ret)
{
	struct json_value array, item;
	struct json_reader r;
	size_t n = 0;

	if (!wire_member(info, "hosts", JSON_ARRAY, &array))
		return 0;
	json_enter(&r, array);
	while (json_next(&r, NULL, &item))
		n++;
	ret->hosts = arena_calloc(a, n + 1, sizeof(*ret->hosts));
	if (ret->hosts == NULL)
		return ERR_NOMEM;
	json_enter(&r, array);
	while (json_next(&r, NULL, &item)) {
		struct slice id = SLICE("");

		if (item.type == JSON_OBJECT)
			id = wire_text(item, "userid", a);
		else if (item.type == JSON_STRING && json_string(item, a, &id) != 0)
			return ERR_NOMEM;
		if (id.len > 0)
			ret->hosts[ret->n_hosts++] = id;
	}
	return 0;
}

static int subs_of(struct json_value info, struct arena *a, struct tencent_meeting_detail *ret)
{
	struct json_reader r;
	struct json_value item;
	size_t n = enter(info, "sub_meetings", &r);

	if (n == 0)
		return 0;
	ret->subs = arena_calloc(a, n, sizeof(*ret->subs));
	if (ret->subs == NULL)
		return ERR_NOMEM;
	while (wire_next(&r, &item))
		ret->subs[ret->n_subs++] = (struct tencent_sub_meeting){wire_text(item, "sub_meeting_id", a),
		    wire_text(item, "status", a), time_at(item, "start_time", a), time_at(item, "end_time", a)};
	return 0;
}

int tencent_meeting_parse(struct slice body, struct arena *a, struct tencent_meeting_detail *ret)
{
	struct tencent_meeting_detail m = {0};
	struct json_value root, list, info;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "meeting_info_list", JSON_ARRAY, &list))
		return ERR_MALFORMED;
	json_enter(&r, list);
	if (!wire_next(&r, &info))
		return ERR_NOT_FOUND;
	m.meeting_id = wire_text(info, "meeting_id", a);
	if (m.meeting_id.len == 0)
		return ERR_MALFORMED;
	m.meeting_code = wire_text(info, "meeting_code", a);
	m.subject = wire_text(info, "subject", a);
	m.status = wire_text(info, "status", a);
	m.join_url = wire_text(info, "join_url", a);
	m.location = wire_text(info, "location", a);
	m.current_sub_meeting_id = wire_text(info, "current_sub_meeting_id", a);
	m.meeting_type = wire_int(info, "meeting_type", 0, a);
	m.start_ms = time_at(info, "start_time", a);
	m.end_ms = time_at(info, "end_time", a);
	m.remain_subs = wire_int(info, "remain_sub_meetings", 0, a);
	rc = hosts_of(info, a, &m);
	if (rc == 0)
		rc = subs_of(info, a, &m);
	if (rc == 0)
		*ret = m;
	return rc;
}

static int participant_of(struct json_value item, struct arena *a, struct tencent_participant *p)
{
	p->userid = wire_text(item, "userid", a);
	p->open_id = wire_text(item, "open_id", a);
	p->ms_open_id = wire_text(item, "ms_open_id", a);
	p->uuid = wire_text(item, "uuid", a);
	p->phone_hash = wire_text(item, "phone", a);
	p->join_ms = time_at(item, "join_time", a);
	p->left_ms = time_at(item, "left_time", a);
	p->instanceid = wire_int(item, "instanceid", 0, a);
	p->user_role = wire_int(item, "user_role", 0, a);
	p->join_type = wire_int(item, "join_type", 0, a);
	p->is_enterprise_user = wire_bool(item, "is_enterprise_user", a);
	return plain_of(wire_text(item, "user_name", a), a, &p->user_name);
}

int tencent_participants_parse(struct slice body, int64_t pos, struct arena *a, struct tencent_participants *ret)
{
	struct tencent_participants p = {0};
	struct json_value root, array, item;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	/* A meeting nobody came to may have no list; what is no list is something else. */
	if (json_member(root, "participants", &array) && array.type != JSON_ARRAY && array.type != JSON_NULL)
		return ERR_MALFORMED;
	p.meeting_id = wire_text(root, "meeting_id", a);
	if (p.meeting_id.len == 0)
		return ERR_MALFORMED;
	p.meeting_code = wire_text(root, "meeting_code", a);
	p.subject = wire_text(root, "subject", a);
	p.total = wire_int(root, "total_count", 0, a);
	p.more = wire_bool(root, "has_remaining", a);
	p.next_pos = wire_int(root, "next_pos", 0, a);
	if (p.more && p.next_pos <= pos)
		return ERR_MALFORMED;
	p.items = arena_calloc(a, enter(root, "participants", &r) + 1, sizeof(*p.items));
	if (p.items == NULL)
		return ERR_NOMEM;
	if (enter(root, "participants", &r) > 0)
		while (rc == 0 && wire_next(&r, &item))
			rc = participant_of(item, a, &p.items[p.n++]);
	if (rc == 0)
		*ret = p;
	return rc;
}

/* --- recordings ----------------------------------------------------------------------------------- */

static int files_of(struct json_value item, struct arena *a, struct tencent_record *ret)
{
	struct json_reader r;
	struct json_value file;
	size_t n = enter(item, "record_files", &r);

	if (n == 0)
		return 0;
	ret->files = arena_calloc(a, n, sizeof(*ret->files));
	if (ret->files == NULL)
		return ERR_NOMEM;
	while (wire_next(&r, &file)) {
		struct slice id = wire_text(file, "record_file_id", a);
		int64_t size = wire_int(file, "record_size", 0, a);

		if (id.len > 0)
			ret->files[ret->n_files++] = (struct tencent_record_file){id, time_at(file, "record_start_time", a),
			    time_at(file, "record_end_time", a), size < 0 ? 0 : size};
	}
	return 0;
}

int tencent_records_parse(struct slice body, struct arena *a, struct tencent_records *ret)
{
	struct tencent_records records = {0};
	struct json_value root, list, item;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	records.total = wire_int(root, "total_count", 0, a);
	records.page = wire_int(root, "current_page", 0, a);
	records.pages = wire_int(root, "total_page", 0, a);
	if (!wire_member(root, "record_meetings", JSON_ARRAY, &list)) {
		/* None at all: some versions leave the list away. */
		if (json_member(root, "total_count", &item) && records.total == 0) {
			*ret = records;
			return 0;
		}
		return ERR_MALFORMED;
	}
	records.items = arena_calloc(a, wire_count(list) + 1, sizeof(*records.items));
	if (records.items == NULL)
		return ERR_NOMEM;
	json_enter(&r, list);
	while (rc == 0 && wire_next(&r, &item)) {
		struct tencent_record *one = &records.items[records.n++];

		one->record_id = wire_text(item, "meeting_record_id", a);
		one->meeting_id = wire_text(item, "meeting_id", a);
		one->meeting_code = wire_text(item, "meeting_code", a);
		one->subject = wire_text(item, "subject", a);
		one->host_userid = wire_text(item, "host_user_id", a);
		if (one->host_userid.len == 0)
			one->host_userid = wire_text(item, "userid", a); /* as corp/records calls it */
		one->state = wire_int(item, "state", 0, a);
		one->record_type = wire_int(item, "record_type", 0, a);
		one->start_ms = time_at(item, "media_start_time", a);
		rc = files_of(item, a, one);
	}
	records.more = records.n > 0 && records.page > 0 && records.page < records.pages;
	if (rc == 0)
		*ret = records;
	return rc;
}

/* An address that is fetched must be of the web and of one line. */
static struct slice web_address(struct json_value v, const char *name, struct arena *a)
{
	struct slice text = wire_text(v, name, a);

	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return SLICE("");
	if (slice_starts_with(text, SLICE("https://")) || slice_starts_with(text, SLICE("http://127.0.0.1:")))
		return text;
	return SLICE("");
}

static int documents_of(struct json_value root, const char *name, struct arena *a, struct tencent_document **ret,
    size_t *ret_n)
{
	struct json_reader r;
	struct json_value item;
	size_t n = enter(root, name, &r);

	*ret_n = 0;
	*ret = arena_calloc(a, n + 1, sizeof(**ret));
	if (*ret == NULL)
		return ERR_NOMEM;
	while (n > 0 && wire_next(&r, &item)) {
		struct tencent_document d = {web_address(item, "download_address", a), wire_text(item, "file_type", a)};

		if (d.address.len > 0)
			(*ret)[(*ret_n)++] = d;
	}
	return 0;
}

int tencent_address_parse(struct slice body, struct arena *a, struct tencent_addresses *ret)
{
	struct tencent_addresses d = {0};
	struct json_value root;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	d.record_file_id = wire_text(root, "record_file_id", a);
	d.meeting_id = wire_text(root, "meeting_id", a);
	d.record_name = wire_text(root, "record_name", a);
	if (d.record_file_id.len == 0)
		return ERR_MALFORMED;
	d.video = (struct tencent_document){web_address(root, "download_address", a),
	    wire_text(root, "download_address_file_type", a)};
	d.audio = (struct tencent_document){web_address(root, "audio_address", a), wire_text(root, "audio_address_file_type", a)};
	rc = documents_of(root, "meeting_summary", a, &d.summaries, &d.n_summaries);
	if (rc == 0)
		rc = documents_of(root, "ai_meeting_transcripts", a, &d.transcripts, &d.n_transcripts);
	if (rc == 0)
		rc = documents_of(root, "ai_minutes", a, &d.minutes, &d.n_minutes);
	if (rc == 0)
		*ret = d;
	return rc;
}

/* --- transcripts ----------------------------------------------------------------------------------- */

static int words_of(struct json_value sentence, struct arena *a, struct tencent_sentence *ret)
{
	struct buf text = BUF_INIT(sentence.text.len);
	struct json_reader r;
	struct json_value word;
	size_t n = enter(sentence, "words", &r);

	ret->words = arena_calloc(a, n + 1, sizeof(*ret->words));
	if (ret->words == NULL)
		return ERR_NOMEM;
	while (n > 0 && wire_next(&r, &word)) {
		struct tencent_word *w = &ret->words[ret->n_words];

		*w = (struct tencent_word){wire_int(word, "wid", (int64_t)ret->n_words, a), wire_int(word, "start_time", 0, a),
		    wire_int(word, "end_time", 0, a), wire_text(word, "text", a)};
		buf_append(&text, w->text);
		ret->n_words++;
	}
	return wire_keep(a, &text, &ret->text);
}

static int sentences_of(struct json_value paragraph, struct arena *a, struct tencent_paragraph *ret)
{
	struct json_reader r;
	struct json_value item;
	size_t n = enter(paragraph, "sentences", &r);
	int rc = 0;

	ret->sentences = arena_calloc(a, n + 1, sizeof(*ret->sentences));
	if (ret->sentences == NULL)
		return ERR_NOMEM;
	while (rc == 0 && n > 0 && wire_next(&r, &item)) {
		struct tencent_sentence *one = &ret->sentences[ret->n_sentences++];

		one->sid = wire_text(item, "sid", a);
		one->start_ms = wire_int(item, "start_time", 0, a);
		one->end_ms = wire_int(item, "end_time", 0, a);
		rc = words_of(item, a, one);
	}
	return rc;
}

static int paragraph_of(struct json_value item, struct arena *a, struct tencent_paragraph *p)
{
	struct json_value speaker;

	p->pid = wire_int(item, "pid", -1, a);
	if (p->pid < 0 || p->pid == INT64_MAX)
		return ERR_MALFORMED;
	p->start_ms = wire_int(item, "start_time", 0, a);
	p->end_ms = wire_int(item, "end_time", 0, a);
	p->userid = p->open_id = p->ms_open_id = p->user_name = SLICE("");
	if (wire_member(item, "speaker_info", JSON_OBJECT, &speaker)) {
		p->userid = wire_text(speaker, "userid", a);
		p->open_id = wire_text(speaker, "openId", a);
		p->ms_open_id = wire_text(speaker, "ms_open_id", a);
		p->user_name = wire_text(speaker, "username", a); /* plain here */
	}
	return sentences_of(item, a, p);
}

int tencent_transcript_parse(struct slice body, int64_t pid, struct arena *a, struct tencent_transcript *ret)
{
	struct tencent_transcript t = {.next_pid = pid};
	struct json_value root, minutes, list, item;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "minutes", JSON_OBJECT, &minutes) || !wire_member(minutes, "paragraphs", JSON_ARRAY, &list))
		return ERR_MALFORMED;
	t.speakers_known = wire_int(minutes, "audio_detect", 0, a) == 1;
	t.more = wire_bool(root, "more", a);
	t.paragraphs = arena_calloc(a, wire_count(list) + 1, sizeof(*t.paragraphs));
	if (t.paragraphs == NULL)
		return ERR_NOMEM;
	json_enter(&r, list);
	while (rc == 0 && wire_next(&r, &item)) {
		rc = paragraph_of(item, a, &t.paragraphs[t.n]);
		if (rc == 0 && t.paragraphs[t.n].pid >= t.next_pid)
			t.next_pid = t.paragraphs[t.n].pid + 1;
		t.n++;
	}
	if (rc == 0 && t.more && t.next_pid <= pid)
		rc = ERR_MALFORMED;
	if (rc == 0)
		*ret = t;
	return rc;
}

/* --- what a model made ------------------------------------------------------------------------------- */

int tencent_summary_parse(struct slice body, struct arena *a, struct slice *ret_text)
{
	struct json_value root, summary;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "ai_summary", JSON_STRING, &summary))
		return ERR_MALFORMED;
	rc = plain_of(wire_text(root, "ai_summary", a), a, ret_text);
	return rc == 0 && ret_text->len == 0 ? ERR_NOT_FOUND : rc;
}

/* A backslash and an n where a line should end. */
static int real_lines(struct slice text, struct arena *a, struct slice *ret)
{
	struct buf out = BUF_INIT(text.len + 1);

	for (size_t i = 0; i < text.len; i++) {
		bool pair = text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == 'n';

		buf_append_char(&out, pair ? '\n' : text.ptr[i]);
		i += pair;
	}
	return wire_keep(a, &out, ret);
}

int tencent_minutes_parse(struct slice body, struct arena *a, struct slice *ret_minute, struct slice *ret_todo)
{
	struct json_value root, minutes;
	struct slice minute, todo;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "meeting_minute", JSON_OBJECT, &minutes))
		return ERR_MALFORMED;
	rc = real_lines(wire_text(minutes, "minute", a), a, &minute);
	if (rc == 0)
		rc = real_lines(wire_text(minutes, "todo", a), a, &todo);
	if (rc != 0)
		return rc;
	if (minute.len == 0 && todo.len == 0)
		return ERR_NOT_FOUND;
	*ret_minute = minute;
	*ret_todo = todo;
	return 0;
}

static int topic_of(struct json_value item, struct arena *a, struct tencent_topic *t)
{
	struct json_reader r;
	struct json_value time;
	size_t n = enter(item, "topic_time", &r);

	t->id = wire_text(item, "topic_id", a);
	t->times = arena_calloc(a, n + 1, sizeof(*t->times));
	if (t->times == NULL)
		return ERR_NOMEM;
	while (n > 0 && wire_next(&r, &time))
		t->times[t->n_times++] = (struct tencent_topic_time){wire_int(time, "start_time", 0, a),
		    wire_int(time, "end_time", 0, a)};
	return plain_of(wire_text(item, "topic_name", a), a, &t->name);
}

int tencent_topics_parse(struct slice body, struct arena *a, struct tencent_topics *ret)
{
	struct tencent_topics topics = {0};
	struct json_value root, list, item;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "ai_topic_list", JSON_ARRAY, &list))
		return ERR_MALFORMED;
	topics.items = arena_calloc(a, wire_count(list) + 1, sizeof(*topics.items));
	if (topics.items == NULL)
		return ERR_NOMEM;
	json_enter(&r, list);
	while (rc == 0 && wire_next(&r, &item))
		rc = topic_of(item, a, &topics.items[topics.n++]);
	if (rc == 0)
		*ret = topics;
	return rc;
}

/* --- people -------------------------------------------------------------------------------------------- */

static void user_of(struct json_value v, struct arena *a, struct tencent_user *u)
{
	u->userid = wire_text(v, "userid", a);
	u->uuid = wire_text(v, "uuid", a);
	u->user_name = wire_text(v, "username", a);
	u->email = wire_text(v, "email", a);
	u->phone = wire_text(v, "phone", a);
	u->staff_id = wire_text(v, "staff_id", a);
	u->job_title = wire_text(v, "job_title", a);
	u->status = wire_int(v, "status", 0, a);
}

int tencent_user_parse(struct slice body, struct arena *a, struct tencent_user *ret)
{
	struct tencent_user u;
	struct json_value root;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	user_of(root, a, &u);
	if (u.userid.len == 0)
		return ERR_MALFORMED;
	*ret = u;
	return 0;
}

int tencent_users_parse(struct slice body, struct arena *a, struct tencent_users *ret)
{
	struct tencent_users users = {0};
	struct json_value root, list, item;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "users", JSON_ARRAY, &list))
		return ERR_MALFORMED;
	users.total = wire_int(root, "total_count", 0, a);
	users.items = arena_calloc(a, wire_count(list) + 1, sizeof(*users.items));
	if (users.items == NULL)
		return ERR_NOMEM;
	json_enter(&r, list);
	while (wire_next(&r, &item)) {
		user_of(item, a, &users.items[users.n]);
		users.n += users.items[users.n].userid.len > 0;
	}
	*ret = users;
	return 0;
}
