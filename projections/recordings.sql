-- Recordings: a row for each file the vendor told of, and one for each recording under way.
--
-- A session is read off its marks (started, paused, resumed, stopped) anew whenever one is added. Which file
-- came of which session nobody tells; a session is listed until its meeting has a file that came later.
-- The texts made from a file (transcript, minutes, summary) name only the file and may come before it. What was
-- fetched and is kept here, files and transcripts, hangs on the recording's id, which is made of the file's; a transcript's
-- words are not in here, but in its event.

-- table
create table recordings (
	id text primary key,
	record_file_id text,
	platform text not null,
	meeting text not null default '',
	meeting_id text not null default '',
	sub_meeting_id text not null default '',
	recorder text,
	rank integer not null,
	title_latest text not null default '',
	started_at integer,
	ended_at integer,
	size_bytes integer,
	told_at integer,
	deleted_at integer,
	created_at integer not null,
	updated_at integer not null,
	status text as (case rank when 0 then 'RECORDING' when 1 then 'PROCESSING' when 2 then 'FAILED'
		else 'COMPLETED' end) virtual,
	is_deleted integer as (deleted_at is not null) virtual
) strict;
create index recordings_created on recordings (created_at, id);
create index recordings_meeting on recordings (meeting, told_at);
create index recordings_file on recordings (record_file_id);

create table recording_texts (
	record_file_id text not null,
	kind text not null,
	lang text not null,
	at integer not null,
	failed integer not null,
	primary key (record_file_id, kind, lang, failed)
) strict, without rowid;

create table stored_files (
	id text primary key,
	recording text not null,
	file_type text not null,
	object_id text not null,
	size_bytes integer not null,
	sha256 text not null,
	content_type text,
	format text,
	duration_ms integer,
	width integer,
	height integer,
	thumbnail_object_id text,
	place integer not null,
	created_at integer not null
) strict, without rowid;
create index stored_files_of on stored_files (recording, created_at);

create table transcripts (
	id text primary key,
	recording text not null,
	source text not null,
	language text,
	speakers_known integer not null,
	paragraphs integer not null,
	sentences integer not null,
	words integer not null,
	characters integer not null,
	speakers integer not null,
	place integer not null,
	created_at integer not null
) strict, without rowid;
create index transcripts_of on transcripts (recording, speakers_known, place);

/* Of transcripts that are being made: where in the log the parts are that there are. */
create table transcript_parts (
	job text not null,
	part integer not null,
	place integer not null,
	primary key (job, part)
) strict, without rowid;

create table session_marks (
	meeting text not null,
	at integer not null,
	mark text not null,
	platform text not null,
	meeting_id text not null,
	operator text,
	primary key (meeting, at, mark)
) strict, without rowid;

/* A recording as people see it. */
create view recording_rows as
select r.id, r.record_file_id as "externalId", 'PLATFORM_AUTO' as "source", r.status,
	nullif(r.meeting, '') as "meetingId", r.platform, nullif(r.meeting_id, '') as "platformMeetingId",
	nullif(substr(r.title_latest, 17), '') as "title", r.recorder as "recorderUserId",
	r.started_at as "startAt:time", r.ended_at as "endAt:time", coalesce((select max(f.duration_ms) from stored_files as f where f.recording = r.id),
		r.ended_at - r.started_at) / 1000 as "durationSeconds:int",
	r.size_bytes as "sizeBytes:int",
	(select json_group_array(json_object('id', f.id, 'fileType', f.file_type, 'fileObjectId', f.object_id,
		'sizeBytes', f.size_bytes, 'checksumSha256', f.sha256, 'contentType', f.content_type, 'format', f.format,
		'durationMs', f.duration_ms, 'resolution', f.width || 'x' || f.height,
		'thumbnailObjectId', f.thumbnail_object_id))
		from stored_files as f where f.recording = r.id) as "files:json",
	(select json_group_array(json_object('id', t.id, 'source', t.source, 'language', t.language,
		'speakersKnown', json(iif(t.speakers_known, 'true', 'false')), 'speakers', t.speakers,
		'paragraphs', t.paragraphs, 'words', t.words, 'characters', t.characters))
		from transcripts as t where t.recording = r.id) as "transcripts:json",
	(select json_group_array(json_object('kind', t.kind, 'lang', nullif(t.lang, ''), 'failed', json(iif(t.failed, 'true', 'false'))))
		from recording_texts as t where t.record_file_id = r.record_file_id) as "texts:json",
	'{}' as "metadata:json", r.created_at as "createdAt:time", r.updated_at as "updatedAt:time",
	r.deleted_at as "deletedAt:time"
from recordings as r;

create trigger session_mark_added after insert on session_marks begin
	delete from recordings where meeting = new.meeting and record_file_id is null;
	insert into recordings (id, platform, meeting, meeting_id, recorder, rank, started_at, ended_at, created_at, updated_at)
		select row_id('session', new.meeting, at), platform, new.meeting, meeting_id, operator,
			iif(stopped_at is null, 0, 1), at, stopped_at, at, coalesce(stopped_at, at)
		from (select *, (select min(m.at) from session_marks as m
				where m.meeting = new.meeting and m.mark = 'recording.stopped' and m.at >= s.at
				and m.at < s.until) as stopped_at
			from (select *, lead(at, 1, 9223372036854775807) over (order by at) as until
				from session_marks where meeting = new.meeting and mark = 'recording.started') as s);
end;

-- on recording.started, recording.paused, recording.resumed, recording.stopped
insert or ignore into session_marks (meeting, at, mark, platform, meeting_id, operator)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:operate_at_ms, :time), :type,
	:platform, :meeting_id, :operator_subject);

-- on recording.completed, recording.failed
insert into recordings (id, record_file_id, platform, meeting, meeting_id, sub_meeting_id, recorder, rank, title_latest,
	started_at, ended_at, size_bytes, told_at, created_at, updated_at)
select row_id('file', :platform, file.value ->> 'record_file_id'), file.value ->> 'record_file_id', :platform,
	row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), :meeting_id, coalesce(:sub_meeting_id, ''),
	:operator_subject,
	iif(:type = 'recording.completed', 3, 2), latest(at, :title),
	coalesce(file.value ->> 'start_at_ms', :start_at_ms), coalesce(file.value ->> 'end_at_ms', :end_at_ms),
	file.value ->> 'total_size', at, at, at
from json_each(:recording_files) as file, (select coalesce(:operate_at_ms, :time) as at) where true
on conflict (id) do update set
	meeting = max(meeting, excluded.meeting),
	meeting_id = max(meeting_id, excluded.meeting_id),
	sub_meeting_id = max(sub_meeting_id, excluded.sub_meeting_id),
	recorder = max(coalesce(recorder, excluded.recorder), coalesce(excluded.recorder, recorder)),
	rank = max(rank, excluded.rank),
	title_latest = max(title_latest, excluded.title_latest),
	started_at = min(coalesce(started_at, excluded.started_at), coalesce(excluded.started_at, started_at)),
	ended_at = max(coalesce(ended_at, excluded.ended_at), coalesce(excluded.ended_at, ended_at)),
	size_bytes = max(coalesce(size_bytes, excluded.size_bytes), coalesce(excluded.size_bytes, size_bytes)),
	told_at = max(coalesce(told_at, excluded.told_at), excluded.told_at),
	created_at = min(created_at, excluded.created_at),
	updated_at = max(updated_at, excluded.updated_at);

-- on recording.deleted
insert into recordings (id, record_file_id, platform, meeting, meeting_id, rank, title_latest, deleted_at,
	created_at, updated_at)
select row_id('file', :platform, file.value ->> 'record_file_id'), file.value ->> 'record_file_id', :platform,
	iif(:meeting_id is null, '', row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'))),
	coalesce(:meeting_id, ''), 1, latest(at, :title), at, at, at
from json_each(:recording_files) as file, (select coalesce(:operate_at_ms, :time) as at) where true
on conflict (id) do update set
	meeting = max(meeting, excluded.meeting),
	meeting_id = max(meeting_id, excluded.meeting_id),
	rank = max(rank, excluded.rank),
	title_latest = max(title_latest, excluded.title_latest),
	deleted_at = max(coalesce(deleted_at, excluded.deleted_at), excluded.deleted_at),
	created_at = min(created_at, excluded.created_at),
	updated_at = max(updated_at, excluded.updated_at);

-- on transcript.ready, minutes.ready, summary.ready
insert into recordings (id, record_file_id, platform, meeting_id, rank, title_latest, created_at, updated_at)
select row_id('file', :platform, file.value ->> 'record_file_id'), file.value ->> 'record_file_id', :platform,
	:meeting_id, 1, latest(at, :title), at, at
from json_each(:recording_files) as file, (select coalesce(:operate_at_ms, :time) as at) where true
on conflict (id) do update set
	meeting_id = max(meeting_id, excluded.meeting_id),
	title_latest = max(title_latest, excluded.title_latest),
	created_at = min(created_at, excluded.created_at),
	updated_at = max(updated_at, excluded.updated_at);

-- on transcript.ready
insert into recording_texts (record_file_id, kind, lang, at, failed)
select file.value ->> 'record_file_id', 'TRANSCRIPT', coalesce(file.value ->> 'lang', ''),
	coalesce(:operate_at_ms, :time), 0
from json_each(:recording_files) as file where true
on conflict (record_file_id, kind, lang, failed) do update set at = max(at, excluded.at);

-- on minutes.ready, summary.ready
insert into recording_texts (record_file_id, kind, lang, at, failed)
select file.value ->> 'record_file_id', iif(:type = 'minutes.ready', 'MINUTES', 'SUMMARY'),
	coalesce(file.value ->> 'lang', ''), coalesce(:operate_at_ms, :time), coalesce(:result = 2, 0)
from json_each(:recording_files) as file where true
on conflict (record_file_id, kind, lang, failed) do update set at = max(at, excluded.at);

-- on recording.stored
insert into stored_files (id, recording, file_type, object_id, size_bytes, sha256, content_type, format, duration_ms,
	width, height, thumbnail_object_id, place, created_at)
values (:file_id, :recording_id, :file_type, :object_id, :size, :sha256, :content_type, :format, :duration_ms, :width,
	:height, :thumbnail_object_id, :position, :time)
on conflict (id) do update set object_id = excluded.object_id, size_bytes = excluded.size_bytes,
	sha256 = excluded.sha256, content_type = excluded.content_type, format = excluded.format,
	duration_ms = excluded.duration_ms, width = excluded.width, height = excluded.height,
	thumbnail_object_id = excluded.thumbnail_object_id, place = excluded.place;
update recordings set size_bytes = iif(:file_type = 'VIDEO', :size, coalesce(size_bytes, :size)),
	updated_at = max(updated_at, :time) where id = :recording_id;

-- on recording.deleted
/* The objects go with it. */
delete from stored_files where recording in (select row_id('file', :platform, file.value ->> 'record_file_id')
	from json_each(:recording_files) as file);

-- on transcript.stored
insert into transcripts (id, recording, source, language, speakers_known, paragraphs, sentences, words, characters,
	speakers, place, created_at)
values (row_id('transcript', :recording_id, :source, :fingerprint), :recording_id, :source, :language,
	coalesce(:speakers_known, 0), :paragraphs, :sentences, :words, :characters,
	coalesce(json_array_length(:speakers), 0), :position, :time)
on conflict (id) do nothing;
update recordings set updated_at = max(updated_at, :time) where id = :recording_id;
delete from transcript_parts where job = :job_id;

-- on transcript.part_stored
insert into transcript_parts (job, part, place) values (:job_id, :part, :position) on conflict (job, part) do nothing;

-- query recording_to_transcribe
/* Sound alone is the smaller file. */
select r.id, (r.deleted_at is not null) as "deleted:bool",
	(select f.place from stored_files as f where f.recording = r.id and f.file_type in ('AUDIO', 'VIDEO')
		order by f.file_type, f.created_at desc limit 1) as "place:int",
	exists (select 1 from transcripts as t where t.recording = r.id) as "transcribed:bool"
from recordings as r where r.id = :id;

-- query transcript_parts
select part as "part:int", place as "place:int" from transcript_parts where job = :job order by part;

-- query recording_told
/* Somebody told that it is complete, or that it was deleted or failed. */
select r.id from recordings as r where r.id = :id and (r.rank > 1 or r.deleted_at is not null);

-- query recording_occurrence
select sub_meeting_id as "subMeetingId" from recordings where id = :id and rank > 1;

-- query recordings_to_process
select id, record_file_id as "externalId", meeting_id as "platformMeetingId", sub_meeting_id as "subMeetingId"
from recordings
where platform = 'TENCENT_MEETING' and rank = 3 and deleted_at is null
	and (id = :recording or (:recording = '' and meeting = :meeting))
order by told_at desc limit 14;

-- query recording_is_stored
select id from stored_files where recording = :id limit 1;

-- query transcript_of_recording
/* The one to be read: voices told apart, and the newest. Without one only the recording's own columns are there. */
select r.id as "recordingId", t.id, t.source, t.language, t.speakers_known as "speakersKnown:bool",
	t.paragraphs as "paragraphs:int", t.sentences as "sentences:int", t.words as "words:int",
	t.characters as "characters:int", t.place as "place:int", t.created_at as "createdAt:time"
from recordings as r left join transcripts as t on t.recording = r.id
where r.id = :id order by t.speakers_known desc, t.place desc limit 1;

-- query recording_by_id
select * from recording_rows where id = :id;

-- query recordings_of
/* Of several meetings at once: ids is a JSON array. */
select v.* from recordings as r join recording_rows as v on v.id = r.id
where r.meeting in (select value from json_each(:ids)) order by r.created_at, r.id;

-- list recordings
--   filter meetingId = r.meeting, externalId = r.record_file_id
--   filter status = r.status RECORDING|PROCESSING|COMPLETED|FAILED
--   filter platform = r.platform TENCENT_MEETING|ZOOM|TEAMS|DINGTALK|FEISHU|WEBEX|VOOV|OTHER
--   filter deleted = r.is_deleted bool
--   range startDate..endDate = r.created_at
--   sort -createdAt = r.created_at, -updatedAt = r.updated_at
--   key r.id
select v.* from recordings as r join recording_rows as v on v.id = r.id
where r.record_file_id is not null or not exists (select 1 from recordings as f
	where f.meeting = r.meeting and f.told_at >= r.started_at);
