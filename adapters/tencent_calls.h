/*
 * Calls of Tencent Meeting's REST interface, for effects: signed, sent, judged
 * and read to the last page. Each says whether it got what it asked for; if
 * not, the effect's outcome is set and its run ends there. On a lane's thread; everything lies in call->arena.
 */
#ifndef LULAB_ADAPTERS_TENCENT_CALLS_H
#define LULAB_ADAPTERS_TENCENT_CALLS_H

#include "store/effect.h"
#include "tencent_rest_wire.h"

/* Where and as whom. Constant while serving. */
struct tencent_rest {
	struct tencent_rest_keys keys;
	const char *base_url;     /* "https://api.meeting.qq.com", without a slash at the end */
	struct slice operator_id; /* USER_ID of the settings: in whose name when the event names nobody; may be empty */
};

/*
 * In whose name it is asked: the meeting's creator, else who did it, else the settings. False, and the outcome set, when
 * there is nobody.
 */
struct event_person;
bool tencent_operator_of(struct effect_call *call, const struct tencent_rest *rest, const struct event_person *creator,
    const struct event_person *doer, struct tencent_operator *ret);

/* What there is one of an id: of a file's the first four, of a meeting's, of a userid's. */
enum tencent_thing { TENCENT_ADDRESSES, TENCENT_SUMMARY, TENCENT_MINUTES, TENCENT_TOPICS, TENCENT_MEETING, TENCENT_USER };
union tencent_answer {
	struct tencent_addresses addresses;
	struct slice summary;
	struct {
		struct slice minute, todo; /* either may be empty, not both */
	} minutes;
	struct tencent_topics topics;
	struct tencent_meeting_detail meeting;
	struct tencent_user user;
};
/* ret is of that thing. What a model makes after the meeting and has not made yet is waited for. */
bool tencent_get(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    enum tencent_thing thing, struct slice id, union tencent_answer *ret);

/* All pages as one. */
bool tencent_get_transcript(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    struct slice record_file_id, struct slice meeting_id, struct tencent_transcript *ret);
struct tencent_participant_list {
	struct tencent_participant *items;
	size_t n;
	unsigned pages;
};
bool tencent_get_participants(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    struct slice meeting_id, struct slice sub_meeting_id, struct tencent_participant_list *ret);
struct tencent_record_list {
	struct tencent_record *items;
	size_t n;
};
/* One page of the whole account's, TENCENT_RECORDS_PAGE of them: the vendor answers ten such calls a minute. */
bool tencent_get_all_records(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    int64_t start_s, int64_t end_s, unsigned page, struct tencent_records *ret);
/* Those of one meeting within a span of at most TENCENT_RECORDS_SPAN_S. */
bool tencent_get_records(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    struct slice meeting_id, int64_t start_s, int64_t end_s, struct tencent_record_list *ret);

#endif
