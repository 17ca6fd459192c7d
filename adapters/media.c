/* See media.h. */
#include "media.h"

#include <math.h>
#include <stdio.h>

#include "base/child.h"
#include "base/err.h"
#include "wire_json.h"

#define PROBE_OUT_MAX ((size_t)1 << 20)
#define PATH_ARGUMENT_MAX 4096
#define THUMBNAIL_AT_MS_MAX 30000
#define SOUND_BYTES_MIN 1024 /* fewer hold no speech: there is none behind the end of a file */

/* What conference systems record; no playlists, no lists of files. */
#define FORMATS "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mp3,wav,ogg,flac,aac,mpegts"

static const struct child_limits probe_limits = {.time_ms = 30000, .memory_bytes = (size_t)1 << 30};
static const struct child_limits sound_limits = {.time_ms = 300000, .memory_bytes = (size_t)2 << 30};
static const struct child_limits picture_limits = {.time_ms = 60000, .memory_bytes = (size_t)2 << 30};

/* ---- reading what ffprobe says --------------------------------------------------------- */

/* "12.345" */
static int64_t seconds_ms(struct json_value v, const char *name, struct arena *a)
{
	struct slice text = wire_text(v, name, a);
	struct json_value number = {.type = JSON_NUMBER, .text = text};
	double s;

	if (text.len == 0 || text.len > 32 || json_scan(text, NULL, NULL) != 0 || json_double(number, &s) != 0)
		return 0;
	return s > 0 && s < 1e9 ? (int64_t)llround(s * 1000) : 0;
}

static struct slice format_name(struct json_value format, const struct media_info *info, struct arena *a)
{
	struct slice names = wire_text(format, "format_name", a), first, rest;

	if (slice_starts_with(names, SLICE("mov,mp4,m4a")))
		return info->video_codec.len > 0 ? SLICE("mp4") : SLICE("m4a");
	slice_cut(names, ',', &first, &rest);
	return first;
}

int media_parse(struct slice json, struct arena *a, struct media_info *ret)
{
	struct media_info info = {.video_codec = SLICE(""), .audio_codec = SLICE("")};
	struct json_value root, format, streams, stream;
	struct json_reader r;
	int rc = wire_json_root(json, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "format", JSON_OBJECT, &format) || !wire_member(root, "streams", JSON_ARRAY, &streams))
		return ERR_MALFORMED;
	json_enter(&r, streams);
	while (wire_next(&r, &stream)) {
		struct slice type = wire_text(stream, "codec_type", a);

		if (slice_is(type, "video") && info.video_codec.len == 0) {
			info.video_codec = wire_text(stream, "codec_name", a);
			info.width = wire_int(stream, "width", 0, a);
			info.height = wire_int(stream, "height", 0, a);
		} else if (slice_is(type, "audio") && info.audio_codec.len == 0) {
			info.audio_codec = wire_text(stream, "codec_name", a);
		}
	}
	info.duration_ms = seconds_ms(format, "duration", a);
	info.format = format_name(format, &info, a);
	if (info.width <= 0 || info.height <= 0)
		info.width = info.height = 0;
	*ret = info;
	return 0;
}

/* ---- running them ------------------------------------------------------------------------ */

/* With its protocol in front, no name is taken for another one, or for an option. */
static bool file_argument(const char *path, char ret[PATH_ARGUMENT_MAX])
{
	int n = snprintf(ret, PATH_ARGUMENT_MAX, "file:%s", path);

	return n > 0 && n < PATH_ARGUMENT_MAX;
}

static void seconds(int64_t ms, char ret[32])
{
	snprintf(ret, 32, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

int media_probe(const char *path, const _Atomic bool *stopping, struct arena *a, struct media_info *ret)
{
	char file[PATH_ARGUMENT_MAX];
	const char *argv[] = {"ffprobe", "-v", "error", "-protocol_whitelist", "file", "-format_whitelist", FORMATS,
	    "-print_format", "json", "-show_format", "-show_streams", "-i", file, NULL};
	struct buf out = BUF_INIT(PROBE_OUT_MAX);
	struct slice kept;
	int rc = file_argument(path, file) ? child_run(argv, &probe_limits, stopping, &out) : ERR_INVALID;

	if (rc == 0) {
		kept = arena_dup(a, buf_slice(&out));
		rc = kept.ptr == NULL ? ERR_NOMEM : media_parse(kept, a, ret);
	}
	buf_finish(&out);
	return rc;
}

int media_thumbnail(const char *path, const struct media_info *info, const _Atomic bool *stopping, struct buf *ret_jpeg)
{
	int64_t at_ms = info->duration_ms / 10 < THUMBNAIL_AT_MS_MAX ? info->duration_ms / 10 : THUMBNAIL_AT_MS_MAX;
	char file[PATH_ARGUMENT_MAX], at[32];
	const char *argv[] = {"ffmpeg", "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS,
	    "-threads", "1", "-ss", at, "-i", file, "-an", "-frames:v", "1", "-vf", "scale=w=480:h=-2", "-threads", "1", "-c:v",
	    "mjpeg", "-f", "image2pipe", "pipe:1", NULL};
	int rc;

	seconds(at_ms, at);
	if (!file_argument(path, file))
		return ERR_INVALID;
	rc = child_run(argv, &picture_limits, stopping, ret_jpeg);
	return rc == 0 && ret_jpeg->len == 0 ? ERR_END : rc;
}

int media_sound(const char *path, int64_t from_ms, int64_t len_ms, const _Atomic bool *stopping, struct buf *out)
{
	char file[PATH_ARGUMENT_MAX], from[32], len[32];
	const char *argv[] = {"ffmpeg", "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS,
	    "-threads", "1", "-ss", from, "-t", len, "-i", file, "-map", "0:a:0", "-map_metadata", "-1", "-ac", "1", "-ar", "16000",
	    "-threads", "1", "-c:a", "libmp3lame", "-b:a", "64k", "-id3v2_version", "0", "-write_xing", "0", "-f", "mp3", "pipe:1", NULL};
	size_t before = out->len;
	int rc;

	seconds(from_ms, from);
	seconds(len_ms, len);
	if (!file_argument(path, file))
		return ERR_INVALID;
	rc = child_run(argv, &sound_limits, stopping, out);
	return rc == 0 && out->len - before < SOUND_BYTES_MIN ? ERR_END : rc;
}

bool media_programs_there(void)
{
	return child_exists("ffmpeg") && child_exists("ffprobe");
}
