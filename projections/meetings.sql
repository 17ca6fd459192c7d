-- Meetings, one row for each occurrence: (platform, meeting, sub meeting or '__ROOT__').
--
-- Events come in any order, and a late one may be old. So every value is one of these, and the same
-- events give the same row in whatever order they came:
--   the newest      x_latest = max(x_latest, latest(when it happened, value)); the value is substr(x_latest, 17)
--   the first/last  min() and max() of times
--   the furthest    max() of a rank, for states that only move forward
-- The smart.* events name a recording file but not the occurrence; recording_files brings them together,
-- whichever comes first.

-- table
create table meetings (
	id text primary key,
	platform text not null,
	meeting_id text not null,
	sub_meeting_id text not null,
	stream text not null,
	title_latest text not null,
	code_latest text not null,
	type_latest text not null,
	creator_latest text not null,
	creator_name_latest text not null default '',
	scheduled_start_latest text not null,
	scheduled_end_latest text not null,
	created_from_latest text not null default '',
	end_type_latest text not null default '',
	first_started_at integer,
	last_started_at integer,
	last_ended_at integer,
	cancelled_at integer,
	participant_count integer not null default 0,
	recording_rank integer not null default 0,
	processing_rank integer not null default 0,
	created_at integer not null,
	updated_at integer not null
) strict;
create index meetings_created on meetings (created_at, id);
create index meetings_begins on meetings (coalesce(first_started_at,
	cast(nullif(substr(scheduled_start_latest, 17), '') as integer), created_at), id);
create index meetings_updated on meetings (updated_at, id);
create index meetings_platform on meetings (meeting_id);

/* What can be read off a row. Not generated columns: those are computed with every write, several times over. */
create view meeting_rows as select rowid as row, id, platform, meeting_id, sub_meeting_id, stream,
	case substr(type_latest, 17)
		when '0' then 'ONE_TIME' when '1' then 'RECURRING' when '2' then 'INSTANT' when '4' then 'INSTANT'
		when 'INSTANT' then 'INSTANT' when 'WEBINAR' then 'WEBINAR' else 'SCHEDULED' end as type,
	case
		when last_ended_at >= coalesce(last_started_at, 0) then 'ENDED'
		when last_started_at is not null then 'STARTED'
		when cancelled_at is not null then 'CANCELLED'
		else 'SCHEDULED' end as state,
	first_started_at as start_at,
	case when last_ended_at >= coalesce(last_started_at, 0) then last_ended_at end as end_at,
	participant_count, recording_rank = 3 as has_recording,
	case recording_rank when 0 then 'PENDING' when 1 then 'PROCESSING' when 2 then 'FAILED' else 'COMPLETED' end
		as recording_status,
	case processing_rank when 0 then 'PENDING' when 1 then 'PROCESSING' when 2 then 'FAILED' else 'COMPLETED' end
		as processing_status,
	/* nobody filters or orders by these: the answer takes the value out of them as it is written (latest) */
	title_latest, code_latest, creator_latest,
	/* that name may be another's, older one: whether it goes is decided by who is told as the creator */
	case when substr(creator_latest, 17) in (select subject from erased) then '' else creator_name_latest end
		as creator_name_latest, scheduled_start_latest, scheduled_end_latest,
	case when end_type_latest <> '' then '0000000000000000' || json_set(
			coalesce(nullif(substr(created_from_latest, 17), ''), '{}'),
			'$.endType', cast(substr(end_type_latest, 17) as integer))
		when created_from_latest <> '' then created_from_latest else '0000000000000000{}' end as metadata_latest,
	created_at, updated_at,
	/* what a range of days and the order by start look at: a planned meeting is found by its plan */
	coalesce(first_started_at, cast(nullif(substr(scheduled_start_latest, 17), '') as integer), created_at) as begins_at
from meetings;

create table meeting_people (
	meeting text not null,
	person text not null,
	name_latest text not null,
	joined integer not null,
	primary key (meeting, person)
) strict;

create table recording_files (
	record_file_id text primary key,
	meeting text not null,
	rank integer not null
) strict;

-- people whose erasure was asked for, and those of them since the last commit
create table erased (subject text primary key) strict, without rowid;
create table erased_todo (subject text primary key) strict, without rowid;

-- a row for each title (rowid = 2 x that of the meeting) and each name (2 x that of the person, + 1)
create virtual table meetings_search using fts5(row unindexed, text, tokenize = 'lulab');
-- what may have to change there with this transaction, person '' for the title: FTS5 writes a segment for each
-- statement that touches it
create table search_todo (meeting text not null, person text not null, primary key (meeting, person))
strict, without rowid;

/* What follows from a row: rows are gathered, so these run once for many events. */
create trigger title_came after insert on meetings when new.title_latest <> '' begin
	insert or ignore into search_todo values (new.id, '');
end;
create trigger title_changed after update of title_latest on meetings
when substr(new.title_latest, 17) <> substr(old.title_latest, 17) begin
	insert or ignore into search_todo values (new.id, '');
end;
create trigger person_came after insert on meeting_people begin
	insert or ignore into search_todo values (new.meeting, new.person);
	update meetings set participant_count = participant_count + 1 where id = new.meeting and new.joined;
end;
create trigger person_changed after update on meeting_people
when substr(new.name_latest, 17) <> substr(old.name_latest, 17) or new.joined > old.joined begin
	insert or ignore into search_todo values (new.meeting, new.person);
	update meetings set participant_count = participant_count + 1 where id = new.meeting and new.joined > old.joined;
end;
create trigger files_came after insert on recording_files begin
	update meetings set processing_rank = max(processing_rank, new.rank) where id = new.meeting;
end;
create trigger files_moved after update on recording_files begin
	update meetings set processing_rank = max(processing_rank, new.rank) where id = new.meeting;
end;

-- gather meetings
--   max title_latest, code_latest, type_latest, creator_latest, creator_name_latest
--   max scheduled_start_latest, scheduled_end_latest, created_from_latest, end_type_latest
--   min first_started_at, created_at
--   max last_started_at, last_ended_at, cancelled_at, updated_at
--   max recording_rank, processing_rank

-- gather meeting_people
--   max name_latest, joined

-- gather recording_files
--   max meeting, rank

-- on meeting.*
/* Feishu's start and end are those of the meeting as it was held; of a plan it says nothing. */
insert into meetings (id, platform, meeting_id, sub_meeting_id, stream,
	title_latest, code_latest, type_latest, creator_latest, creator_name_latest,
	scheduled_start_latest, scheduled_end_latest, created_from_latest,
	first_started_at, last_started_at, last_ended_at, cancelled_at, created_at, updated_at)
select row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')),
	:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'), :stream,
	latest(at, :title), latest(at, :meeting_code), latest(at, coalesce(:meeting_type,
		iif(:meeting_sub_type = 6, 'WEBINAR', iif(:meeting_source = 2, 'INSTANT', null)))),
	latest(at, :creator_subject), latest(at, :creator_user_name),
	latest(at, iif(:platform = 'FEISHU', null, coalesce(:sub_meeting_start_at_ms, :start_at_ms))),
	latest(at, iif(:platform = 'FEISHU', null, coalesce(:sub_meeting_end_at_ms, :end_at_ms))),
	latest(at, json_patch('{}', json_object('createMode', :meeting_create_mode, 'createFrom', :meeting_create_from,
		'meetingIdType', :meeting_id_type))),
	iif(:type = 'meeting.started', at, iif(:platform = 'FEISHU', :start_at_ms, null)),
	iif(:type = 'meeting.started', at, iif(:platform = 'FEISHU', :start_at_ms, null)),
	iif(:type = 'meeting.ended', at, null), iif(:type = 'meeting.cancelled', at, null), at, at
from (select coalesce(:operate_at_ms, :time) as at);
insert into meeting_people (meeting, person, name_latest, joined)
select row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), :creator_subject,
	latest(coalesce(:operate_at_ms, :time), :creator_user_name), 0
where :creator_subject is not null;

-- on meeting.ended
insert into meetings (id, end_type_latest)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')),
	latest(coalesce(:operate_at_ms, :time), :meeting_end_type));

-- on participant.joined, participant.left, participant.waiting_for_host, participant.entered_waiting_room, participant.left_waiting_room, participant.admitted, participant.moved_to_waiting_room, screen_share.*, live.*
/* Most events by far: who made the meeting is left to the others, which spares opening it. */
insert into meetings (id, platform, meeting_id, sub_meeting_id, stream, title_latest, code_latest, type_latest,
	creator_latest, scheduled_start_latest, scheduled_end_latest, created_at, updated_at)
select row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')),
	:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'), :stream,
	latest(at, :title), latest(at, :meeting_code), latest(at, coalesce(:meeting_type,
		iif(:meeting_sub_type = 6, 'WEBINAR', iif(:meeting_source = 2, 'INSTANT', null)))), latest(at, :creator_subject),
	latest(at, iif(:platform = 'FEISHU', null, coalesce(:sub_meeting_start_at_ms, :start_at_ms))),
	latest(at, iif(:platform = 'FEISHU', null, coalesce(:sub_meeting_end_at_ms, :end_at_ms))), at, at
from (select coalesce(:operate_at_ms, :time) as at);

-- on participant.joined, participant.left
insert into meeting_people (meeting, person, name_latest, joined)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:operator_subject, 'unknown'),
	latest(coalesce(:operate_at_ms, :time), :operator_user_name), 1);

-- on recording.started, recording.paused, recording.resumed, recording.stopped, recording.completed, recording.failed, recording.deleted, recording.updated
/* Here start and end are those of the recording, not of the plan; an uploaded file belongs to no meeting. */
insert into meetings (id, platform, meeting_id, sub_meeting_id, stream,
	title_latest, code_latest, type_latest, creator_latest, creator_name_latest,
	scheduled_start_latest, scheduled_end_latest, recording_rank, processing_rank, created_at, updated_at)
select row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')),
	:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'), :stream,
	latest(at, :title), latest(at, :meeting_code), latest(at, coalesce(:meeting_type,
		iif(:meeting_sub_type = 6, 'WEBINAR', iif(:meeting_source = 2, 'INSTANT', null)))),
	latest(at, :creator_subject), latest(at, :creator_user_name),
	latest(at, :sub_meeting_start_at_ms), latest(at, :sub_meeting_end_at_ms),
	case :type when 'recording.completed' then 3 when 'recording.failed' then 2
		when 'recording.deleted' then 0 when 'recording.updated' then 0 else 1 end,
	iif(:type = 'recording.completed', 1, 0), at, at
from (select coalesce(:operate_at_ms, :time) as at) where :meeting_id is not null;

-- on recording.completed, recording.failed
insert into recording_files (record_file_id, meeting, rank)
select file.value ->> 'record_file_id', row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), 0
from json_each(:recording_files) as file where file.value ->> 'record_file_id' is not null;

-- on transcript.ready
insert into recording_files (record_file_id, meeting, rank)
select file.value ->> 'record_file_id', '', 1 from json_each(:recording_files) as file
where file.value ->> 'record_file_id' is not null;

-- on minutes.ready, summary.ready
insert into recording_files (record_file_id, meeting, rank)
select file.value ->> 'record_file_id', '', iif(:result = 2, 2, 3) from json_each(:recording_files) as file
where file.value ->> 'record_file_id' is not null;

-- on privacy.erasure.requested
/* What they are called goes from here at once; the file is made anew afterwards, for it still holds it. */
insert or ignore into erased values (:subject_id);
insert or ignore into erased_todo values (:subject_id);

-- commit
/* Before their own names go: the creator's may be theirs though another is told as the creator, of the same instant. */
update meetings set creator_name_latest = '' where rowid in (
	select m.rowid from erased_todo as e cross join meeting_people as p on p.person = e.subject
		cross join meetings as m on m.id = p.meeting
	where p.name_latest <> '' and substr(m.creator_name_latest, 17) = substr(p.name_latest, 17));
update meeting_people set name_latest = '' where rowid in (
	select p.rowid from erased_todo as e cross join meeting_people as p on p.person = e.subject);
delete from erased_todo;
delete from meetings_search where rowid in (
	select 2 * m.rowid from search_todo as t cross join meetings as m on m.id = t.meeting where t.person = '');
delete from meetings_search where rowid in (
	select 2 * p.rowid + 1 from search_todo as t cross join meeting_people as p using (meeting, person));
insert into meetings_search (rowid, row, text)
select 2 * m.rowid, m.rowid, substr(m.title_latest, 17)
from search_todo as t cross join meetings as m on m.id = t.meeting where t.person = ''
union all
select 2 * p.rowid + 1, m.rowid, substr(p.name_latest, 17)
from search_todo as t cross join meeting_people as p using (meeting, person)
	cross join meetings as m on m.id = t.meeting
order by 1; /* ascending: FTS5 writes what it holds whenever a smaller number follows */
delete from search_todo;

-- query meeting_by_id
select id, platform, meeting_id as "meetingId", sub_meeting_id as "subMeetingId", null as "externalId",
	title_latest as "title:latest", null as "description", code_latest as "meetingCode:latest", type, state,
	null as "language", '[]' as "tags:json",
	creator_latest as "createdById:latest", creator_latest as "hostId:latest", creator_name_latest as "hostName:latest",
	participant_count as "participantCount:int",
	scheduled_start_latest as "scheduledStartAt:latest time", scheduled_end_latest as "scheduledEndAt:latest time",
	start_at as "startAt:time", end_at as "endAt:time", (end_at - start_at) / 1000 as "durationSeconds:int",
	null as "timezone", has_recording as "hasRecording:bool",
	recording_status as "recordingStatus", processing_status as "processingStatus",
	metadata_latest as "metadata:latest json",
	created_at as "createdAt:time", updated_at as "updatedAt:time", null as "deletedAt:time"
from meeting_rows where id = :id;

-- query meeting_stream
select platform, meeting_id as "meetingId", sub_meeting_id as "subMeetingId", stream from meeting_rows where id = :id;

-- query meeting_to_share
select id, platform, meeting_id as "meetingId", iif(sub_meeting_id = '__ROOT__', null, sub_meeting_id) as "subMeetingId",
	nullif(substr(title_latest, 17), '') as "title", nullif(substr(code_latest, 17), '') as "code",
	nullif(substr(type_latest, 17), '') as "type", nullif(substr(creator_latest, 17), '') as "creator",
	cast(coalesce(nullif(substr(scheduled_start_latest, 17), ''), first_started_at) as integer) as "start:int",
	cast(coalesce(nullif(substr(scheduled_end_latest, 17), ''), last_ended_at) as integer) as "end:int",
	first_started_at as "startedAt:int", last_ended_at as "endedAt:int", participant_count as "people:int"
from meetings where id = :id;

-- query meeting_people
select person as "ptUserId", nullif(substr(name_latest, 17), '') as "displayName", joined as "joined:bool"
from meeting_people where meeting = :id order by person;

-- query meetings_with
/* Those somebody made or came to, by id; for erasures, which are rare. */
select meeting as "row" from meeting_people where person = :person and meeting > :after order by meeting limit 100;

-- query meeting_totals
select count(*) as "meetings:int", coalesce(sum(has_recording), 0) as "withRecording:int",
	coalesce(sum(state = 'ENDED'), 0) as "ended:int", coalesce(sum(state = 'STARTED'), 0) as "running:int",
	coalesce(sum(participant_count), 0) as "participants:int"
from meeting_rows;

-- list meetings
--   filter platform TENCENT_MEETING|ZOOM|TEAMS|DINGTALK|FEISHU|WEBEX|VOOV|OTHER
--   filter status = processing_status PENDING|PROCESSING|COMPLETED|FAILED|SKIPPED
--   filter type ONE_TIME|RECURRING|INSTANT|SCHEDULED|WEBINAR
--   filter state SCHEDULED|STARTED|ENDED|CANCELLED
--   filter recordingStatus = recording_status PENDING|PROCESSING|COMPLETED|FAILED|SKIPPED
--   filter meetingId = meeting_id, subMeetingId = sub_meeting_id
--   range startDate..endDate = begins_at
--   search meetings_search on row
--   sort -createdAt = created_at, -updatedAt = updated_at, -startAt = begins_at
select id, platform, meeting_id as "meetingId", sub_meeting_id as "subMeetingId", null as "externalId",
	title_latest as "title:latest", null as "description", code_latest as "meetingCode:latest", type, state,
	null as "language", '[]' as "tags:json",
	creator_latest as "createdById:latest", creator_latest as "hostId:latest", creator_name_latest as "hostName:latest",
	participant_count as "participantCount:int",
	scheduled_start_latest as "scheduledStartAt:latest time", scheduled_end_latest as "scheduledEndAt:latest time",
	start_at as "startAt:time", end_at as "endAt:time", (end_at - start_at) / 1000 as "durationSeconds:int",
	null as "timezone", has_recording as "hasRecording:bool",
	recording_status as "recordingStatus", processing_status as "processingStatus",
	metadata_latest as "metadata:latest json",
	created_at as "createdAt:time", updated_at as "updatedAt:time", null as "deletedAt:time"
from meeting_rows;
