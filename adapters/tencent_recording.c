/*
 * The file of a recording, from the vendor to our object storage:
 *
 *     addresses --> fetched and put, with resume --> looked into --> a picture of it --> recording.stored
 *
 * The vendor's addresses work for some hours; when one does no longer, another is asked for, and the fetching goes
 * on where it was. What is named by the recording alone is put once, whichever event asks for it.
 */
#include "tencent_out.h"

#include <stdio.h>

#include "app/fact.h"
#include "base/err.h"
#include "base/log.h"
#include "media.h"
#include "spool.h"
#include "store/query.h"

#define ADDRESSES_MAX 3                      /* asked for in one attempt */

struct keeping {
	struct effect_call *call;
	const struct tencent_out *t;
	struct tencent_told told;
	struct tencent_operator op;
	struct slice file;      /* the vendor's id */
	struct slice recording; /* ours */
	bool video;
	struct object_call objects;
	struct object_stored stored, picture;
	bool has_picture;
	struct media_info info;
};

/* ---- once is enough ----------------------------------------------------------------------- */

/* Told of by another delivery, and kept since. Where the read model is behind it is fetched once more, and the log leaves it out. */
static bool is_kept(const struct keeping *k)
{
	struct query q = {.def = query_find("recording_is_stored"), .n_params = 1, .single = true,
	    .params = {{.name = "id", .text = k->recording}}};
	int rc = query_run(k->t->app->queries, &q);

	query_finish(&q);
	return rc == 0;
}

/* ---- the bytes ---------------------------------------------------------------------------- */

/* The video, else the sound alone. False, and the outcome set, when there is neither. */
static bool choose(struct keeping *k, const struct tencent_addresses *addresses, struct tencent_document *ret)
{
	struct effect_call *call = k->call;

	k->video = addresses->video.address.len > 0;
	*ret = k->video ? addresses->video : addresses->audio;
	if (ret->address.len > 0)
		return true;
	call->outcome = EFFECT_NOT_YET;
	call->class = "not_ready";
	call->message = "Tencent Meeting tells no address of the file yet.";
	return false;
}

/* What keys and content types are made of: the vendor's word, when it is one of those there are. */
static const char *extension(const struct keeping *k, struct slice told)
{
	static const char *const known[] = {"mp4", "m4a", "mp3", "mov", "webm", "mkv", "wav", "aac"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq_nocase(told, slice_str(known[i])))
			return known[i];
	return k->video ? "mp4" : "m4a";
}

static struct slice content_type(struct arena *a, bool video, const char *extension)
{
	if (strcmp(extension, "m4a") == 0)
		return SLICE("audio/mp4");
	if (strcmp(extension, "mp3") == 0)
		return SLICE("audio/mpeg");
	return slice_str(arena_printf(a, "%s/%s", video ? "video" : "audio", extension));
}

static uint64_t size_told(const struct keeping *k)
{
	const struct event_recording_file *file = tencent_file_told(&k->told, k->file);

	return k->video && file != NULL && file->has_total_size && file->total_size > 0 ? (uint64_t)file->total_size : 0;
}

static int put(struct keeping *k, const struct tencent_document *document)
{
	struct arena *a = k->call->arena;
	const char *ext = extension(k, document->file_type);
	struct object_put put = {.content_type = content_type(a, k->video, ext),
	    .key = slice_str(arena_printf(a, "recordings/%.*s/%s.%s", SLICE_ARG(k->recording), k->video ? "video" : "audio", ext)),
	    .upload = arena_printf(a, "%.*s-%s", SLICE_ARG(k->recording), k->video ? "video" : "audio")};
	struct object_source source = {.url = arena_dup(a, document->address).ptr, .size = size_told(k)};

	if (put.key.ptr == NULL || put.upload == NULL || source.url == NULL)
		return ERR_NOMEM;
	return object_put_from_url(&k->objects, &put, &source, &k->stored);
}

/* False: the outcome is set. */
static bool fetch(struct keeping *k)
{
	union tencent_answer answer;
	struct tencent_document document;
	int rc = ERR_NOT_FOUND;

	for (unsigned i = 0; rc == ERR_NOT_FOUND && i < ADDRESSES_MAX; i++) {
		if (!tencent_get(k->call, &k->t->rest, &k->op, TENCENT_ADDRESSES, k->file, &answer) ||
		    !choose(k, &answer.addresses, &document)) {
			tencent_give_up_waiting(k->call);
			return false;
		}
		rc = put(k, &document);
		if (rc == ERR_NOT_FOUND && !k->objects.of_source)
			break;
	}
	if (rc != 0)
		object_outcome(k->call, &k->objects, rc);
	return rc == 0;
}

/* ---- what is in it ----------------------------------------------------------------------------- */

/* A machine without ffprobe, or a file that it cannot read, costs what it would have told, and nothing else. */
static void look_into(struct keeping *k, const char *path)
{
	struct effect_call *call = k->call;
	struct buf jpeg = BUF_INIT(MEDIA_THUMBNAIL_MAX);
	struct object_put put = {.content_type = SLICE("image/jpeg"),
	    .key = slice_str(arena_printf(call->arena, "recordings/%.*s/thumbnail.jpg", SLICE_ARG(k->recording))),
	    .upload = arena_printf(call->arena, "%.*s-thumbnail", SLICE_ARG(k->recording))};
	int rc = media_probe(path, call->stopping, call->arena, &k->info);

	if (rc != 0) {
		k->info = (struct media_info){0};
		log_warn("tencent", rc == ERR_NOT_FOUND ? "there is no ffprobe on this machine (Debian: ffmpeg): of recordings only the size is known"
		                                        : "a recording could not be looked into", "error", err_name(rc), "object", k->stored.id);
		return;
	}
	if (k->info.width == 0 || put.key.ptr == NULL || put.upload == NULL)
		return;
	rc = media_thumbnail(path, &k->info, call->stopping, &jpeg);
	if (rc == 0)
		rc = object_put_bytes(&k->objects, &put, buf_slice(&jpeg), &k->picture);
	k->has_picture = rc == 0;
	if (rc != 0)
		log_warn("tencent", "no picture could be made of a recording", "error", err_name(rc), "object", k->stored.id);
	buf_finish(&jpeg);
}

static void look(struct keeping *k)
{
	struct spool file;

	if (spool_take(&file, k->t->app->data_dir, &k->objects, k->stored.key, k->stored.size, k->call->id) != 0)
		return;
	look_into(k, file.path);
	spool_drop(&file);
}

/* ---- what is told ----------------------------------------------------------------------------------- */

static int tell_objects(struct keeping *k)
{
	struct object_about about = {.kind = k->video ? "VIDEO" : "AUDIO", .recording_id = k->recording};
	struct object_about of_picture = {.kind = "THUMBNAIL", .recording_id = k->recording};
	int rc = object_stored_tell(k->call, &k->stored, &about);

	return rc == 0 && k->has_picture ? object_stored_tell(k->call, &k->picture, &of_picture) : rc;
}

static int tell(struct keeping *k)
{
	struct effect_call *call = k->call;
	struct event_recording_stored e = {.platform = SLICE(TENCENT_PLATFORM), .recording_id = k->recording,
	    .record_file_id = k->file, .meeting_id = k->told.meeting_id, .file_id = slice_of(k->stored.id, OBJECT_ID_LEN),
	    .object_id = slice_of(k->stored.id, OBJECT_ID_LEN), .file_type = k->video ? SLICE("VIDEO") : SLICE("AUDIO"),
	    .source = SLICE("PLATFORM_AUTO"), .size = (int64_t)k->stored.size, .sha256 = slice_str(k->stored.sha256),
	    .content_type = k->stored.content_type, .duration_ms = k->info.duration_ms, .has_duration_ms = k->info.duration_ms > 0,
	    .width = k->info.width, .has_width = k->info.width > 0, .height = k->info.height, .has_height = k->info.height > 0};
	struct fact f;
	int rc = tell_objects(k);

	if (k->told.sub_meeting_id.len > 0)
		e.sub_meeting_id = k->told.sub_meeting_id;
	if (k->info.format.len > 0)
		e.format = k->info.format;
	if (k->info.video_codec.len > 0)
		e.video_codec = k->info.video_codec;
	if (k->info.audio_codec.len > 0)
		e.audio_codec = k->info.audio_codec;
	if (k->has_picture)
		e.thumbnail_object_id = slice_of(k->picture.id, OBJECT_ID_LEN);
	if (rc != 0)
		return rc;
	fact_begin(&f, k->t->app, TENCENT_OUT_SOURCE, call->cause, call->arena);
	e.has_subjects = e.subjects.has_meeting = true;
	rc = fact_meeting(&f, k->told.meeting_id, &e.subjects.meeting);
	if (rc != 0)
		return rc;
	fact_once(&f, "recording.stored", slice_str(arena_printf(call->arena, "%.*s/%s/%s", SLICE_ARG(k->recording), k->stored.id,
	    k->stored.sha256)));
	return fact_draft(&f, EVENT_RECORDING_STORED, &e, &call->results[call->n_results]);
}

void tencent_fetch_recording(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	struct keeping k = {.call = call, .t = call->state, .told = tencent_told_of(call), .file = tencent_file_of(call)};
	int rc;

	(void)n;
	k.recording = fact_recording_id(call->arena, SLICE(TENCENT_PLATFORM), k.file);
	k.objects = object_call_of(call, k.t->app, call->thread);
	if (k.recording.ptr == NULL) {
		tencent_store_outcome(call, ERR_NOMEM, 0);
		return;
	}
	if (is_kept(&k)) {
		tencent_store_outcome(call, 0, 0);
		return;
	}
	if (!tencent_operator_of(call, &k.t->rest, k.told.creator, k.told.doer, &k.op) || !fetch(&k))
		return;
	look(&k);
	rc = tell(&k);
	tencent_store_outcome(call, rc, call->n_results + 1);
}
