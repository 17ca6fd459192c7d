/* Recordings, over all meetings. */
#include "app/api.h"
#include "app/api_list.h"

static void list_recordings(struct http_request *rq)
{
	api_list(rq, "recordings", NULL, 0);
}

static void get_recording(struct http_request *rq)
{
	api_one(rq, "recording_by_id", http_request_param(rq, "id"),
	    "There is no recording with this id; GET /api/v1/recordings lists those there are.", false);
}

static const struct api_list_doc recordings_doc = {"recordings", NULL};

const struct route api_recordings_routes[] = {
	{HTTP_GET, "/api/v1/recordings", list_recordings, "recordings:read", .answer = "RecordingList",
	    .tag = "recordings", .summary = "Recordings, filtered and sorted", .extra = &recordings_doc},
	{HTTP_GET, "/api/v1/recordings/{id}", get_recording, "recordings:read", .answer = "Recording",
	    .tag = "recordings", .summary = "One recording"},
	{0},
};
