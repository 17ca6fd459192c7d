-- Tables in Feishu that are kept in step with ours: which record a row is there, and how the two stand.
--
--     SYNCED --> CONFLICT             somebody changed the record there (or removed it: reason DELETED)
--     CONFLICT --> RESOLVING          a person keeps ours: it is written at the next try, --> SYNCED
--     CONFLICT --> SYNCED | DROPPED   a person keeps theirs; what is removed there stays so
--     any --> BLANKED                 the person it is about was erased
--
-- `fields` are commitments to what both sides had when they were last compared; see the event lark.row_synced.
-- What rows of recordings and personal summaries are made of is told by where it is in the log, never copied here.

-- table
create table rows (
	id text primary key,
	tbl text not null,
	row text not null,
	record_id text not null,
	state text not null,
	reason text,
	fields text not null,
	names text not null,
	both text,
	subject text,
	synced_at integer,
	updated_at integer not null
) strict;
create unique index rows_of on rows (tbl, row);
create index rows_states on rows (state, updated_at);
create index rows_updated on rows (updated_at, id);
create index rows_subject on rows (subject) where both is not null;

create table recordings (
	id text primary key,
	record_file_id text,
	meeting text,
	started_at integer,
	ended_at integer,
	full_at integer,
	minutes_at integer,
	todo_at integer,
	transcript_at integer
) strict, without rowid;
create index recordings_meeting on recordings (meeting);

create table summaries (
	id text primary key,
	person text not null,
	recording text not null,
	version integer not null,
	at integer not null
) strict, without rowid;
create index summaries_person on summaries (person);
create index summaries_recording on summaries (recording);

-- who speaks in them
create table speakers (
	person text not null,
	recording text not null,
	primary key (person, recording)
) strict, without rowid;

create table listed (
	person text primary key,
	phone_hash text,
	is_enterprise_user integer
) strict, without rowid;

-- people whose erasure was asked for
create table erased (person text primary key) strict, without rowid;

-- on participant.listed
insert into listed (person, phone_hash, is_enterprise_user)
select :person_subject, :phone_hash, :is_enterprise_user where :person_subject is not null
on conflict (person) do update set phone_hash = coalesce(excluded.phone_hash, phone_hash),
	is_enterprise_user = coalesce(excluded.is_enterprise_user, is_enterprise_user);

-- on lark.row_synced
insert into rows (id, tbl, row, record_id, state, fields, names, synced_at, updated_at)
values (row_id(:table, :row), :table, :row, :record_id, iif(:did = 'BLANKED', 'BLANKED', 'SYNCED'), :fields, '[]', :time, :time)
on conflict (id) do update set record_id = excluded.record_id, state = excluded.state, reason = null, fields = excluded.fields,
	names = '[]', both = null, subject = null, synced_at = excluded.synced_at, updated_at = excluded.updated_at;

-- on lark.row_conflict
insert into rows (id, tbl, row, record_id, state, reason, fields, names, both, subject, updated_at)
values (row_id(:table, :row), :table, :row, :record_id, 'CONFLICT', :reason, :fields, :names, :values, :row_subject, :time)
on conflict (id) do update set record_id = excluded.record_id, state = 'CONFLICT', reason = excluded.reason,
	fields = excluded.fields, names = excluded.names, both = excluded.both, subject = excluded.subject,
	updated_at = excluded.updated_at;

-- on lark.conflict_resolved
update rows set
	state = case when :keep = 'OURS' then 'RESOLVING' when reason = 'DELETED' then 'DROPPED' else 'SYNCED' end,
	record_id = iif(:keep = 'OURS' and reason = 'DELETED', '', record_id),
	fields = iif(:keep = 'OURS' and reason = 'DELETED', '[]', fields), both = null, subject = null, updated_at = :time
where id = row_id(:table, :row) and state = 'CONFLICT';

-- on recording.completed
insert into recordings (id, record_file_id, meeting, started_at, ended_at)
select row_id('file', :platform, file.value ->> 'record_file_id'), file.value ->> 'record_file_id',
	row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), file.value ->> 'start_at_ms',
	file.value ->> 'end_at_ms'
from json_each(:recording_files) as file where true
on conflict (id) do update set record_file_id = excluded.record_file_id, meeting = coalesce(excluded.meeting, meeting),
	started_at = coalesce(excluded.started_at, started_at), ended_at = coalesce(excluded.ended_at, ended_at);

-- on recording.stored
insert into recordings (id, record_file_id, meeting)
values (:recording_id, :record_file_id, row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')))
on conflict (id) do nothing;

-- on transcript.stored
insert into recordings (id, record_file_id, meeting, transcript_at)
values (:recording_id, :record_file_id, row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), :position)
on conflict (id) do update set transcript_at = max(coalesce(transcript_at, 0), excluded.transcript_at),
	record_file_id = coalesce(record_file_id, excluded.record_file_id);
insert or ignore into speakers (person, recording)
select speaker.value ->> 'person', :recording_id from json_each(:speakers) as speaker where speaker.value ->> 'person' is not null;

-- on summary.stored
insert into recordings (id, record_file_id, meeting, full_at, minutes_at, todo_at)
values (:recording_id, :record_file_id, row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')),
	iif(:kind = 'FULL', :position, null), iif(:kind = 'MINUTES', :position, null), iif(:kind = 'TODO', :position, null))
on conflict (id) do update set full_at = coalesce(excluded.full_at, full_at),
	minutes_at = coalesce(excluded.minutes_at, minutes_at), todo_at = coalesce(excluded.todo_at, todo_at),
	record_file_id = coalesce(record_file_id, excluded.record_file_id);

-- on summary.generated
insert into summaries (id, person, recording, version, at)
select row_id('summary', :person_id, :recording_id), :person_id, :recording_id, :version, :position
where :kind = 'PARTICIPANT' and :person_id is not null and :recording_id is not null
on conflict (id) do update set version = excluded.version, at = excluded.at where excluded.version >= version;

-- on privacy.erasure.requested
insert or ignore into erased (person) values (:subject_id);
delete from listed where person = :subject_id;
update rows set both = null where subject = :subject_id and both is not null;

-- query lark_row
select id, record_id as "recordId", state, reason, fields as "fields:json", names as "names:json"
from rows where tbl = :table and row = :row;

-- query lark_listed
select phone_hash as "phoneHash", is_enterprise_user as "isEnterpriseUser:bool" from listed where person = :row;

-- query lark_records
/* Which records these rows are; those that have one. Nothing links to somebody who was erased. */
select row, record_id as "recordId", state from rows
where tbl = :table and row in (select value from json_each(:rows)) and record_id <> '' and state not in ('DROPPED', 'BLANKED')
	and not (tbl = 'USER' and row in (select person from erased));

-- query lark_erased
select person from erased where person in (select value from json_each(:rows)) limit 1;

-- query lark_recording
select id, record_file_id as "recordFileId", meeting, started_at as "startedAt:int", ended_at as "endedAt:int",
	full_at as "fullAt:int", minutes_at as "minutesAt:int", todo_at as "todoAt:int", transcript_at as "transcriptAt:int"
from recordings where id = :row;

-- query lark_summary
select s.person, s.recording, s.at as "at:int", s.person in (select person from erased) as "isErased:bool"
from summaries as s where s.id = :row;

-- query lark_recordings_of
select id as "row" from recordings where meeting = :row limit 200;

-- query lark_summaries_of
select id as "row" from summaries where person = :row
union all select id from summaries where recording = :row limit 200;

-- query lark_spoken_in
select recording as "row" from speakers where person = :person and recording > :after order by recording limit 100;

-- query lark_summaries_by
select id as "row" from summaries where person = :person and id > :after order by id limit 100;

-- query lark_recordings_in
select id as "row" from recordings where meeting in (select value from json_each(:rows)) limit 400;

-- query lark_conflict
select id, tbl as "table", row, record_id as "recordId", state, reason, names as "fields:json",
	coalesce(both, '[]') as "values:json", updated_at as "updatedAt:time"
from rows where id = :id;

-- list lark_rows
--   filter table = tbl MEETING|USER|RECORDING|SUMMARY
--   filter state SYNCED|CONFLICT|RESOLVING|DROPPED|BLANKED
--   range startDate..endDate = updated_at
--   sort -updatedAt = updated_at
select id, tbl as "table", row, record_id as "recordId", state, reason, names as "fields:json", synced_at as "syncedAt:time",
	updated_at as "updatedAt:time"
from rows;
