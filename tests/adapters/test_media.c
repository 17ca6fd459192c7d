/* media.c: what ffprobe says is read; where it is installed, a real clip and files that are none. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapters/media.h"
#include "base/err.h"
#include "base/io.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

static struct arena arena;

static void set_up(void)
{
	arena = (struct arena)ARENA_INIT(1 << 20);
}

static void tear_down(void)
{
	arena_finish(&arena);
}

START_TEST(what_it_says_is_read)
{
	struct media_info info;
	struct slice json = SLICE("{\"streams\":[{\"codec_type\":\"audio\",\"codec_name\":\"aac\"},{\"codec_type\":\"video\","
	                          "\"codec_name\":\"h264\",\"width\":1280,\"height\":720},{\"codec_type\":\"video\",\"codec_name\":"
	                          "\"mjpeg\",\"width\":1,\"height\":1}],\"format\":{\"format_name\":\"mov,mp4,m4a,3gp,3g2,mj2\","
	                          "\"duration\":\"4.021333\"}}");

	ck_assert_int_eq(media_parse(json, &arena, &info), 0);
	ck_assert_slice_eq(info.format, SLICE("mp4"));
	ck_assert_slice_eq(info.video_codec, SLICE("h264"));
	ck_assert_slice_eq(info.audio_codec, SLICE("aac"));
	ck_assert_int_eq(info.duration_ms, 4021);
	ck_assert_int_eq(info.width, 1280);
	ck_assert_int_eq(info.height, 720);
}
END_TEST

START_TEST(what_it_does_not_say_is_left_open)
{
	struct media_info info;

	ck_assert_int_eq(media_parse(SLICE("{\"streams\":[],\"format\":{\"duration\":\"N/A\"}}"), &arena, &info), 0);
	ck_assert_int_eq(info.duration_ms, 0);
	ck_assert_uint_eq(info.format.len, 0);
	ck_assert_int_eq(media_parse(SLICE("{\"streams\":[{\"codec_type\":\"video\",\"width\":-1,\"height\":5}],\"format\":"
	                                   "{\"duration\":\"1e300\"}}"), &arena, &info), 0);
	ck_assert_int_eq(info.duration_ms, 0);
	ck_assert_int_eq(info.height, 0);
	ck_assert_int_eq(media_parse(SLICE("{}"), &arena, &info), ERR_MALFORMED);
	ck_assert_int_eq(media_parse(SLICE("no"), &arena, &info), ERR_MALFORMED);
}
END_TEST

/* The simulator's; NULL where there is no ffprobe. */
static const char *clip(void)
{
	const char *path = getenv("MEETING_CLIP");

	return path != NULL && (access("/usr/bin/ffprobe", X_OK) == 0 || access("/usr/local/bin/ffprobe", X_OK) == 0) ? path : NULL;
}

START_TEST(a_real_clip)
{
	struct buf jpeg = BUF_INIT(MEDIA_THUMBNAIL_MAX);
	struct media_info info;

	if (clip() == NULL)
		return;
	ck_assert_int_eq(media_probe(clip(), NULL, &arena, &info), 0);
	ck_assert_slice_eq(info.format, SLICE("mp4"));
	ck_assert(info.duration_ms > 0 && info.width > 0 && info.height > 0);
	ck_assert_int_eq(media_thumbnail(clip(), &info, NULL, &jpeg), 0);
	ck_assert(jpeg.len > 100 && memcmp(jpeg.ptr, "\xff\xd8\xff", 3) == 0);
	buf_finish(&jpeg);
}
END_TEST

START_TEST(sound_is_cut_out_and_ends_with_the_file)
{
	struct buf all = BUF_INIT(1 << 20), half = BUF_INIT(1 << 20), small = BUF_INIT(2048);
	struct media_info info;

	if (clip() == NULL)
		return;
	ck_assert(media_programs_there());
	ck_assert_int_eq(media_probe(clip(), NULL, &arena, &info), 0);
	ck_assert_int_eq(media_sound(clip(), 0, info.duration_ms, NULL, &all), 0);
	ck_assert(all.len > 1024 && (uint8_t)all.ptr[0] == 0xff && ((uint8_t)all.ptr[1] & 0xf6) == 0xf2);
	ck_assert_int_eq(media_sound(clip(), info.duration_ms / 2, 600000, NULL, &half), 0);
	ck_assert_uint_lt(half.len, all.len);
	ck_assert_int_eq(media_sound(clip(), info.duration_ms + 60000, 600000, NULL, &half), ERR_END);
	ck_assert_int_eq(media_sound(clip(), 0, info.duration_ms, NULL, &small), ERR_TOO_BIG);
	ck_assert_int_eq(media_sound("/nonexistent", 0, 1000, NULL, &half), ERR_INVALID);
	buf_finish(&all);
	buf_finish(&half);
	buf_finish(&small);
}
END_TEST

/* A list of files is no media file, whatever it names; nor is text, or nothing. */
START_TEST(what_is_none_is_refused)
{
	const char *const texts[] = {"ffconcat version 1.0\nfile /etc/passwd\n", "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", "",
	    "\x00\x00\x00\x18\x66typmp42"};
	char dir[TEMP_DIR_LEN], path[TEMP_DIR_LEN + 32];
	struct media_info info;

	if (clip() == NULL)
		return;
	temp_dir_make(dir, "media");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/x.mp4", dir);
		f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		fwrite(texts[i], 1, i == 3 ? 12 : strlen(texts[i]), f);
		fclose(f);
		ck_assert_int_ne(media_probe(path, NULL, &arena, &info), 0);
	}
	temp_dir_remove(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("media");
	TCase *t = tcase_create("media");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, what_it_says_is_read);
	tcase_add_test(t, what_it_does_not_say_is_left_open);
	tcase_add_test(t, a_real_clip);
	tcase_add_test(t, sound_is_cut_out_and_ends_with_the_file);
	tcase_add_test(t, what_is_none_is_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
