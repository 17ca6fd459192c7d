/*
 * What is in a media file, and a picture out of it, by the machine's ffprobe and
 * ffmpeg. The file came from outside, so the programs that read it get it by name alone, know no protocol
 * but files and no container that names other files, and run under limits of time and memory. Blocking; any thread.
 */
#ifndef LULAB_ADAPTERS_MEDIA_H
#define LULAB_ADAPTERS_MEDIA_H

#include "base/arena.h"
#include "base/buf.h"

struct media_info {
	struct slice format;                   /* "mp4" */
	struct slice video_codec, audio_codec; /* "h264", "aac"; empty: there is none */
	int64_t duration_ms;                   /* 0: it does not say */
	int64_t width, height;                 /* 0: there is no picture */
};

/*
 * Texts in the arena. ERR_NOT_FOUND: there is no ffprobe on this machine. ERR_INVALID, ERR_MALFORMED: no media file that is known.
 * Others as child_run(). stopping may be NULL.
 */
int media_probe(const char *path, const _Atomic bool *stopping, struct arena *a, struct media_info *ret);

#define MEDIA_THUMBNAIL_MAX ((size_t)2 << 20)
/* A JPEG of the picture at a tenth of its length, 480 pixels wide. As above; ERR_END: it shows nothing there. */
int media_thumbnail(const char *path, const struct media_info *info, const _Atomic bool *stopping, struct buf *ret_jpeg);

/*
 * len_ms of its sound from from_ms on, as speech is sent to be written down: MP3, one channel, 16 kHz, about 8 kB a second. Appended
 * to out. ERR_NOT_FOUND: there is no ffmpeg; ERR_END: there is no sound at that place. Others as above.
 */
int media_sound(const char *path, int64_t from_ms, int64_t len_ms, const _Atomic bool *stopping, struct buf *out);
/* Are ffmpeg and ffprobe there? */
bool media_programs_there(void);

/* ffprobe's JSON; for who has it already. ERR_MALFORMED, ERR_NOMEM. */
int media_parse(struct slice json, struct arena *a, struct media_info *ret);

#endif
