-- What is owed to the world: for each event that asks for something outside, whether it was done.
--
-- A row is wanted by the event itself (the sections below name the effect and its lane), while its effect is
-- switched on. What became of it is told by events of its own stream. These moves and no others (integrity.md 15); what else
-- is told changes nothing:
--
--     wanted | waiting | unknown, repeatable --> trying(n) --> done | failed | waiting | unknown
--     wanted | waiting | unknown --> dead --> wanted       the last by a person alone
--     wanted | waiting --> cancelled
--
-- Open is what may still be tried. Of the open rows of one key the one that came first is its head, and only heads are
-- tried: so the order of a key is kept, and one of it is under way at a time. `turn` is the order of coming; what is
-- wanted again by a person comes last.
--
-- `version` is that of the effect's stream in the present log, for whoever appends to it.

-- table
create table effects (
	number integer primary key, /* by which attempts know it: short, and ascending */
	id text not null unique,
	effect text not null,
	lane text not null,
	key text not null,
	cause integer not null,
	cause_type text not null,
	cause_stream text not null,
	priority integer not null,
	turn integer not null,
	state text not null default 'WANTED',
	is_open integer not null default 1,
	is_head integer not null default 0,
	attempt integer not null default 0,
	tries integer not null default 0,
	ends integer not null default 0,
	version integer not null default 0,
	ready_at integer not null,
	not_after integer,
	asked_at integer not null,
	created_at integer not null,
	updated_at integer not null,
	class text,
	status integer,
	vendor_id text,
	message text,
	reason text,
	closed integer not null default 0,
	delivery text, delivery_code text, delivery_at integer
) strict;
create index effects_turns on effects (turn);
create index effects_keys on effects (lane, key, turn) where is_open = 1;
create index effects_ready on effects (lane, priority, ready_at, state, updated_at) where is_head = 1 and state <> 'TRYING';
create index effects_states on effects (state, lane, closed, updated_at);
create index effects_updated on effects (updated_at, id);
create index effects_mails on effects (cause_stream) where effect = 'mail.message';

create trigger effect_came after insert on effects begin
	update effects set is_head = not exists (select 1 from effects as o
		where o.lane = new.lane and o.key = new.key and o.is_open = 1 and o.id <> new.id) where id = new.id;
end;
create trigger effect_came_back after update of is_open on effects when old.is_open = 0 and new.is_open = 1 begin
	update effects set is_head = not exists (select 1 from effects as o
		where o.lane = new.lane and o.key = new.key and o.is_open = 1 and o.id <> new.id) where id = new.id;
end;
/* What was done has said so itself, so that its row is written once. */
create trigger effect_ended after update of is_open on effects when old.is_open = 1 and new.is_open = 0 begin
	update effects set is_head = 0 where id = new.id and is_head = 1;
	update effects set is_head = 1 where id = (select o.id from effects as o
		where o.lane = new.lane and o.key = new.key and o.is_open = 1 order by o.turn limit 1);
end;

create view effect_rows as
select *, iif(closed, 'YES', 'NO') as closed_text from effects;

create table attempts (
	effect integer not null, /* its number */
	attempt integer not null,
	started_at integer not null,
	ended_at integer,
	outcome text,
	class text,
	status integer,
	vendor_id text,
	message text,
	primary key (effect, attempt)
) strict, without rowid;

create table effect_switches (
	effect text primary key,
	enabled integer not null,
	since integer not null
) strict, without rowid;
/* What the program does itself needs nobody's settings. */
insert into effect_switches (effect, enabled, since) values
	('task.run', 1, 0), ('task.run_low', 1, 0), ('storage.remove', 1, 0);

create table lane_pauses (
	lane text primary key,
	reason text,
	since integer not null
) strict, without rowid;

create table breakers (
	lane text not null,
	host text not null,
	state text not null,
	reason text,
	until integer not null,
	since integer not null,
	primary key (lane, host)
) strict, without rowid;

/* Objects of recordings, and recordings that were deleted: whichever comes first, the object goes. */
create table recording_objects (
	object text primary key,
	recording text not null,
	cause text not null,
	position integer not null,
	stream text not null
) strict, without rowid;
create index recording_objects_of on recording_objects (recording);

create table recordings_gone (recording text primary key) strict, without rowid;

/*
 * What an event wants, for the sections below to insert: it becomes a row of effects, unless its effect is switched off or
 * there is nothing that it could be about (no key). `n` is its place among those of the same event; `cause_id` and `step`
 * give its id. Its age counts from when it may begin. A table of Feishu is written as its row is by then, so one that waits
 * already is enough. What many events want is selected from switched_on while a vendor of it is on at all: where it is off, no
 * row is made in order to be refused, and no statement runs that makes none.
 */
create view switched_on as select effect from effect_switches where enabled = 1;
create view wanted as
select '' as cause_id, effect, '' as step, lane, key, priority, turn as n, cause, cause_type, cause_stream, ready_at, not_after,
	asked_at
from effects;
create trigger effect_wanted instead of insert on wanted
when new.key is not null and exists (select 1 from effect_switches where effect = new.effect and enabled = 1)
	and (new.lane <> 'lark_table' or not exists (select 1 from effects
		where lane = new.lane and key = new.key and is_open = 1 and state in ('WANTED', 'WAITING')))
begin
	insert into effects (id, effect, lane, key, cause, cause_type, cause_stream, priority, turn, ready_at, not_after, asked_at,
		created_at, updated_at)
	values (effect_id(new.cause_id, new.effect, new.step), new.effect, new.lane, new.key, new.cause, new.cause_type,
		new.cause_stream, new.priority, (select coalesce(max(turn), 0) + 1 from effects) + new.n, new.ready_at, new.not_after,
		max(new.asked_at, new.ready_at), new.asked_at, new.asked_at)
	on conflict (id) do nothing;
end;

-- on effect.enabled
insert into effect_switches (effect, enabled, since) values (:effect, 1, :time)
on conflict (effect) do update set enabled = 1, since = excluded.since;

-- on effect.disabled
insert into effect_switches (effect, enabled, since) values (:effect, 0, :time)
on conflict (effect) do update set enabled = 0, since = excluded.since;

-- on effect.replayed
/* What events before the switch would have wanted, for a person asked for it (core/store/effect_replay.h). Its cause is a
   position in the log that tells it, or a place already. */
insert into effects (id, effect, lane, key, cause, cause_type, cause_stream, priority, turn, ready_at, not_after, asked_at,
	created_at, updated_at)
values (:effect_id, :effect, :lane, :key, iif(:cause >> 48, :cause, :before + :cause), :cause_type, :cause_stream, :priority,
	(select coalesce(max(turn), 0) + 1 from effects), :ready_at_ms, :not_after_ms, max(:time, :ready_at_ms), :time, :time)
on conflict (id) do nothing;

-- on meeting.*
--   while exists (select 1 from switched_on where effect glob 'lark.*')
/* Feishu's tables: a row is written as it is when its turn comes (see the trigger). */
insert into wanted select :id, effect, :operator_subject, 'lark_table', :operator_subject, 0, 0, :position, :type, :stream,
	:time, null, :time
from switched_on where effect = 'lark.user';
insert into wanted select :id, effect, :creator_subject, 'lark_table', :creator_subject, 0, 1, :position, :type, :stream,
	:time, null, :time
from switched_on where effect = 'lark.user';

-- on meeting.*, participant.joined
--   while exists (select 1 from switched_on where effect glob 'lark.*')
insert into wanted select :id, effect, row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), 'lark_table',
	row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), 0, 2, :position, :type, :stream, :time, null, :time
from switched_on where effect = 'lark.meeting';

-- on participant.joined
--   while exists (select 1 from switched_on where effect glob 'lark.*')
insert into wanted select :id, effect, :operator_subject, 'lark_table', :operator_subject, 0, 0, :position, :type, :stream,
	:time, null, :time
from switched_on where effect = 'lark.user';

-- on participant.listed
insert into wanted values (:id, 'lark.user', :person_subject, 'lark_table', :person_subject, 0, 0, :position, :type, :stream,
	:time, null, :time);

-- on recording.completed
--   while exists (select 1 from switched_on where effect glob 'lark.*')
insert into wanted select :id, 'lark.recording', row_id('file', :platform, file.value ->> 'record_file_id'), 'lark_table',
	row_id('file', :platform, file.value ->> 'record_file_id'), 0, file.key, :position, :type, :stream, :time, null, :time
from switched_on cross join json_each(:recording_files) as file where effect = 'lark.recording';

-- on transcript.stored, summary.stored
insert into wanted values (:id, 'lark.recording', :recording_id, 'lark_table', :recording_id, 0, 0, :position, :type, :stream,
	:time, null, :time);

-- on summary.generated
insert into wanted select :id, 'lark.summary', row_id('summary', :person_id, :recording_id), 'lark_table',
	row_id('summary', :person_id, :recording_id), 0, 0, :position, :type, :stream, :time, null, :time
where :kind = 'PARTICIPANT' and :person_id is not null and :recording_id is not null;

-- on privacy.erasure.completed
insert into wanted values (:id, 'lark.user', :subject_id, 'lark_table', :subject_id, 0, 0, :position, :type, :stream, :time, null,
	:time);
insert into wanted values (:id, 'lark.forget', '', 'lark_table', 'forget/' || :subject_id, 0, 1, :position, :type, :stream, :time,
	null, :time);

-- on lark.person_forgotten
insert into wanted select :id, 'lark.' || lower(other.value ->> 'table'), other.value ->> 'row', 'lark_table',
	other.value ->> 'row', 0, other.key, :position, :type, :stream, :time, null, :time
from json_each(:rows) as other;
insert into wanted select :id, 'lark.forget', 'next', 'lark_table', 'forget/' || :person, 0, 500, :position, :type, :stream, :time,
	null, :time
where :next_list is not null;

-- on lark.row_synced, lark.row_conflict
/* Rows that name this one in a link, which has a record to be named by now. */
insert into wanted select :id, 'lark.' || lower(other.value ->> 'table'), other.value ->> 'row', 'lark_table',
	other.value ->> 'row', 0, other.key, :position, :type, :stream, :time, null, :time
from json_each(:dependents) as other;

-- on lark.conflict_resolved
insert into wanted values (:id, 'lark.' || lower(:table), :row, 'lark_table', :row, 0, 0, :position, :type, :stream, :time, null,
	:time);

-- on meeting.ended
--   while exists (select 1 from switched_on where effect glob 'lark.*')
insert into wanted select :id, effect, row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), 'lark_message',
	row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), 0, 0, :position, :type, :stream, :time, null, :time
from switched_on where effect = 'lark.meeting_card';

-- on lark.message_requested
insert into wanted values (:id, 'lark.message', '', 'lark_message', :receiver_digest, 0, 0, :position, :type, :stream, :time,
	:not_after_ms, :time);

-- on verification.requested
insert into wanted select :id, 'mail.code', '', 'mail', :target_digest, 0, 0, :position, :type, :stream, :time, :expires_at_ms, :time
where :channel = 'EMAIL' and :deliver;
insert into wanted select :id, 'sms.code', '', 'sms', :target_digest, 0, 0, :position, :type, :stream, :time, :expires_at_ms, :time
where :channel = 'SMS' and :deliver;

-- on user.registered
insert into wanted select :id, 'mail.welcome', '', 'mail', :user_id, 1, 0, :position, :type, :stream, :time, null, :time
where :how in ('EMAIL_CODE', 'PHONE_CODE') and :email_verified;

-- on user.password_set
insert into wanted select :id, 'mail.password_reset', '', 'mail', :user_id, 1, 0, :position, :type, :stream, :time, null, :time
where :how = 'RESET';

-- on summary.generated
/* The first version alone: who has it is not told of every change. */
insert into wanted select :id, 'mail.summary', '', 'mail', :summary_key, 1, 0, :position, :type, :stream, :time, null, :time
where :kind = 'MEETING' and :version = 1 and :meeting is not null;
insert into wanted select :id, 'mail.personal_summary', '', 'mail', :summary_key, 1, 0, :position, :type, :stream, :time, null, :time
where :kind = 'PARTICIPANT' and :version = 1 and :person_id is not null;

-- on mail.requested
insert into wanted
with recursive parts (i) as (select 0 union all select i + 1 from parts where i + 1 < :recipients)
select :id, 'mail.message', cast(i as text), 'mail', 'mail/' || :mail_id || '/' || i, 1, i, :position, :type, :stream,
	coalesce(:send_at_ms, :time), null, :time
from parts;

-- on login.unusual
insert into wanted values (:id, 'mail.new_device', '', 'mail', :user_id, 1, 0, :position, :type, :stream, :time, null, :time);

-- on recording.completed, recording.requested
--   while exists (select 1 from switched_on where effect glob 'tencent.*')
/* Tencent Meeting: the file, and what is written about it; each by its own, for they come to be there at different times. */
insert into wanted select :id, effect, file.value ->> 'record_file_id',
	iif(effect = 'tencent.recording', 'tencent_files', 'tencent'),
	(file.value ->> 'record_file_id') || '/' || iif(effect = 'tencent.recording', 'file', substr(effect, 9)), 1,
	file.key, :position, :type, :stream, :time, null, :time
from switched_on cross join json_each(:recording_files) as file
where effect in ('tencent.recording', 'tencent.transcript', 'tencent.summary', 'tencent.minutes', 'tencent.topics')
	and :platform = 'TENCENT_MEETING';

-- on transcript.ready, summary.ready, minutes.ready
/* Tencent Meeting: one of these texts is there, unless it says that it failed. A key of its own: what waits since the
   recording was complete would hold it up. */
insert into wanted select :id, w.effect, file.value ->> 'record_file_id', 'tencent',
	(file.value ->> 'record_file_id') || '/' || substr(w.effect, 9) || '/ready', 1, file.key, :position, :type, :stream, :time,
	null, :time
from json_each(:recording_files) as file, (select 'tencent.' || replace(:type, '.ready', '') as effect) as w
where :platform = 'TENCENT_MEETING' and coalesce(:data ->> 'result', 1) <> 2;

-- on meeting.ended, recording.completed, recording.requested
--   while exists (select 1 from switched_on where effect glob 'tencent.*')
/* Tencent Meeting: who was there. */
insert into wanted select :id, effect, '', 'tencent', :meeting_id || coalesce('/' || :sub_meeting_id, ''), 1, 0,
	:position, :type, :stream, :time, null, :time
from switched_on where effect = 'tencent.participants' and :platform = 'TENCENT_MEETING';

-- on meeting.ended
--   while exists (select 1 from switched_on where effect glob 'tencent.*')
/* Tencent Meeting: recordings whose completion never arrives. */
insert into wanted select :id, effect, '', 'tencent', :meeting_id || coalesce('/' || :sub_meeting_id, '') || '/records', 2, 0,
	:position, :type, :stream, :time + 60000, null, :time
from switched_on where effect = 'tencent.records' and :platform = 'TENCENT_MEETING';

-- on sync.requested
/* Tencent Meeting: the list of all recordings. Ten pages a minute, and eight are read at a time. */
insert into wanted select :id, 'tencent.sync', '', 'tencent', 'sync/' || :request_id, 2, 0, :position, :type, :stream,
	:time + iif(:page > 1, 60000, 0), null, :time
where :platform = 'TENCENT_MEETING';

-- on object.stored
insert into recording_objects (object, recording, cause, position, stream)
select :object_id, :recording_id, :id, :position, :stream where :recording_id is not null
on conflict (object) do update set recording = excluded.recording, cause = excluded.cause, position = excluded.position;
/* Storage. The cause is the event that stored the object, for that says where it lies. */
insert into wanted select o.cause, 'storage.remove', '', 'storage', o.object, 0, 0, o.position, 'object.stored', o.stream, :time,
	null, :time
from recording_objects as o where o.object = :object_id and o.recording in (select recording from recordings_gone);

-- on recording.deleted
insert into recordings_gone (recording)
select row_id('file', :platform, file.value ->> 'record_file_id') from json_each(:recording_files) as file
where file.value ->> 'record_file_id' is not null
on conflict (recording) do nothing;
insert into wanted select o.cause, 'storage.remove', '', 'storage', o.object, 0, 0, o.position, 'object.stored', o.stream, :time,
	null, :time
from recording_objects as o
where o.recording in (select row_id('file', :platform, file.value ->> 'record_file_id') from json_each(:recording_files) as file);

-- on object.deleted
delete from recording_objects where object = :object_id;

-- on transcript.stored
/* A language model: summaries of transcripts, of those who spoke, and what is asked for. */
insert into wanted values (:id, 'ai.meeting', '', 'model',
	'meeting/' || row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), 1, 0, :position, :type, :stream, :time,
	null, :time);

-- on recording.stored
/* A model that writes down what was said: of each recording whose platform does not in the time it is given, ... */
insert into wanted values (:id, 'ai.transcribe', '', 'speech', :recording_id, 1, 0, :position, :type, :stream, :time, null, :time);

-- on transcript.requested
/* ... and when a person asks, which waits for nothing: a key of its own. */
insert into wanted values (:id, 'ai.transcribe_asked', '', 'speech', :recording_id || '/asked', 0, 0, :position, :type, :stream,
	:time, null, :time);

-- on summary.generated
insert into wanted select :id, 'ai.participant', speaker.value, 'model',
	:meeting || '/' || :recording_id || '/' || speaker.value, 2, speaker.key, :position, :type, :stream, :time, null, :time
from json_each(coalesce(:speakers, '[]')) as speaker
where :kind = 'MEETING';

-- on summary.requested
insert into wanted values (:id, 'ai.asked', '', 'model',
	iif(:target = 'MEETING', 'meeting/' || coalesce(:meeting, ''), 'period/' || coalesce(:org_id, :person_id, 'people')), 0, 0,
	:position, :type, :stream, :time, null, :time);

-- on task.fired
/*
 * Runs of one task follow each other; those of LOW priority have a lane of their own. Ready from the time it is due, which
 * is over by the clock that fired it: the log's own time stands still while a clock that was put back catches up.
 */
insert into wanted values (:id, iif(:priority = 'LOW', 'task.run_low', 'task.run'), '', iif(:priority = 'LOW', 'tasks_low', 'tasks'),
	:task_id, iif(:priority = 'HIGH', 0, 1), 0, :position, :type, :stream, :due_at_ms, null, :time);

-- on effect.attempted
update effects set state = 'TRYING', attempt = :attempt, tries = tries + 1, updated_at = :time,
	version = iif(:before = 0, :version, 0)
where id = :effect_id and is_open = 1 and state <> 'TRYING' and attempt = :attempt - 1;
insert into attempts (effect, attempt, started_at)
select number, :attempt, :time from effects where id = :effect_id and state = 'TRYING' and attempt = :attempt
on conflict (effect, attempt) do nothing;

-- on effect.done
update attempts set ended_at = :time, outcome = 'DONE', status = :status, vendor_id = :vendor_id
where effect = (select number from effects where id = :effect_id and state = 'TRYING' and attempt = :attempt)
	and attempt = :attempt;
update effects set state = 'DONE', is_open = 0, is_head = 0, updated_at = :time, class = null, status = :status,
	vendor_id = :vendor_id, message = null, version = iif(:before = 0, :version, 0)
where id = :effect_id and state = 'TRYING' and attempt = :attempt;

-- on effect.failed
update attempts set ended_at = :time, outcome = 'FAILED', class = :class, status = :status, vendor_id = :vendor_id,
	message = :message
where effect = (select number from effects where id = :effect_id and state = 'TRYING' and attempt = :attempt)
	and attempt = :attempt;
update effects set state = 'FAILED', is_open = 0, updated_at = :time, class = :class, status = :status,
	vendor_id = :vendor_id, message = :message
where id = :effect_id and state = 'TRYING' and attempt = :attempt;

-- on effect.waiting
update attempts set ended_at = :time, outcome = 'WAITING', class = :class, status = :status, vendor_id = :vendor_id,
	message = :message
where effect = (select number from effects where id = :effect_id and state = 'TRYING' and attempt = :attempt)
	and attempt = :attempt;
update effects set state = 'WAITING', tries = tries - (coalesce(:tried, 1) = 0), ready_at = :retry_at_ms, updated_at = :time, class = :class, status = :status,
	vendor_id = :vendor_id, message = :message
where id = :effect_id and state = 'TRYING' and attempt = :attempt;

-- on effect.unknown
update attempts set ended_at = :time, outcome = 'UNKNOWN', class = :class, status = :status, vendor_id = :vendor_id,
	message = :message
where effect = (select number from effects where id = :effect_id and state = 'TRYING' and attempt = :attempt)
	and attempt = :attempt;
update effects set state = 'UNKNOWN', is_open = :repeat, ready_at = :retry_at_ms, ends = ends + (:class = 'process_ended'),
	updated_at = :time, class = :class, status = :status, vendor_id = :vendor_id, message = :message
where id = :effect_id and state = 'TRYING' and attempt = :attempt;

-- on effect.unknown
/* Whether a text message went out after all; the vendor's receipts take a moment. */
insert into wanted select :id, 'sms.look', '', 'sms_look', key, 0, 0, cause, cause_type, cause_stream, :time + 2000, not_after, :time
from effects where :effect = 'sms.code' and id = :effect_id and state = 'UNKNOWN' and attempt = :attempt;

-- on effect.dead
update effects set state = 'DEAD', is_open = 0, reason = :reason, updated_at = :time
where id = :effect_id and state in ('WANTED', 'WAITING', 'UNKNOWN') and attempt = :attempt;

-- on effect.redriven
update effects set state = 'WANTED', is_open = 1, tries = 0, ends = 0, ready_at = :ready_at_ms, asked_at = :time,
	reason = null, closed = 0, updated_at = :time, turn = (select max(turn) + 1 from effects)
where id = :effect_id and state = 'DEAD';

-- on effect.cancelled
update effects set state = 'CANCELLED', is_open = 0, reason = :reason, updated_at = :time
where id = :effect_id and state in ('WANTED', 'WAITING');

-- on effect.closed
update effects set closed = 1, updated_at = :time where id = :effect_id and state = 'DEAD';

-- on effect.attempted, effect.done, effect.failed, effect.waiting, effect.unknown, effect.dead, effect.redriven, effect.cancelled, effect.closed, effect.replayed
update effects set version = iif(:before = 0, :version, 0)
where id = :effect_id and version <> iif(:before = 0, :version, 0);

-- on sms.accepted
update effects set delivery = 'ACCEPTED' where id = :effect_id and delivery is null;

-- on sms.delivered
update effects set delivery = 'DELIVERED', delivery_code = :code, delivery_at = coalesce(:reported_at_ms, :time)
where id = :effect_id;

-- on sms.undelivered
update effects set delivery = 'UNDELIVERED', delivery_code = :code, delivery_at = coalesce(:reported_at_ms, :time)
where id = :effect_id;

-- on lane.paused
insert into lane_pauses (lane, reason, since) values (:lane, :reason, :time)
on conflict (lane) do update set reason = excluded.reason, since = excluded.since;

-- on lane.resumed
delete from lane_pauses where lane = :lane;

-- on breaker.opened
insert into breakers (lane, host, state, reason, until, since) values (:lane, :host, 'OPEN', :reason, :until_ms, :time)
on conflict (lane, host) do update set state = 'OPEN', reason = excluded.reason, until = excluded.until,
	since = excluded.since;

-- on breaker.probing
update breakers set state = 'PROBING', since = :time where lane = :lane and host = :host;

-- on breaker.closed
delete from breakers where lane = :lane and host = :host;

-- query effects_ready
/*
 * What is ready from the moment it is asked for waits for no clock: the log's own time is ahead of one that was put back.
 * And a time to repeat at was told by a clock from which that of :now is :behind; one that somebody set is meant as it is.
 */
select id, effect, key, cause as "cause:int", state, attempt as "attempt:int", tries as "tries:int", ends as "ends:int",
	version as "version:int", ready_at as "readyAt:int", not_after as "notAfter:int", asked_at as "askedAt:int",
	tries > 0 and coalesce(class, '') <> 'not_ready' as "repetition:int"
from effects where is_head = 1 and state <> 'TRYING' and lane = :lane
	and (ready_at - iif(state = 'WANTED', 0, :behind) <= :now or (state = 'WANTED' and ready_at <= updated_at))
	and effect in (select s.effect from effect_switches as s where s.enabled = 1)
order by priority, ready_at, turn limit 1024;

-- query effects_next
select min(ready_at - iif(state = 'WANTED', 0, :behind)) as "readyAt:int" from effects
where is_head = 1 and state <> 'TRYING' and lane = :lane and ready_at - iif(state = 'WANTED', 0, :behind) > :now;

-- query effect_is_on
select effect from effect_switches where effect = :effect and enabled = 1;

-- query effects_trying
select id, effect, lane, key, cause as "cause:int", state, attempt as "attempt:int", tries as "tries:int", ends as "ends:int",
	version as "version:int", ready_at as "readyAt:int", not_after as "notAfter:int", asked_at as "askedAt:int",
	tries > 0 and coalesce(class, '') <> 'not_ready' as "repetition:int"
from effects where state = 'TRYING' order by lane, turn;

-- query lane_pauses
select lane, reason, since as "since:time" from lane_pauses order by lane;

-- query breakers
select lane, host, state, reason, until as "until:int", since as "since:time" from breakers order by lane, host;

-- query lane_counts
select lane, count(*) as "open:int", coalesce(sum(state = 'TRYING'), 0) as "trying:int", min(created_at) as "oldest:int"
from effects where is_open = 1 group by lane order by lane;

-- query dead_counts
select lane, count(*) as "dead:int" from effects where state = 'DEAD' and closed = 0 group by lane order by lane;

-- query effect_to_change
select id, effect, lane, state, attempt as "attempt:int", version as "version:int", closed as "closed:bool"
from effects where id = :id;

-- query effects_to_redrive
select id, effect, lane, state, attempt as "attempt:int", version as "version:int", closed as "closed:bool"
from effects where state = 'DEAD' and closed = 0 and (:lane = '' or lane = :lane) and (:effect = '' or effect = :effect)
	and (:reason = '' or reason = :reason)
order by turn limit 1000;

-- query effect_switch
select enabled as "enabled:bool" from effect_switches where effect = :effect;

-- query effects_to_replay
/* Of the file that effect_replay.c makes, where nothing but the effect in question is wanted. What the present wants goes first. */
select id, lane, key, cause as "cause:int", cause_type as "causeType", cause_stream as "causeStream",
	priority + 10 as "priority:int", max(ready_at, :now) as "readyAt:int", not_after as "notAfter:int",
	coalesce(not_after <= :now, 0) as "expired:bool"
from effects order by turn;

-- query effects_known
select one.value as id from json_each(:ids) as one
where one.value in (select id from effects) order by one.key;

-- query effect_by_id
select id, effect, lane, state, reason, class, status as "status:int", vendor_id as "vendorId", message,
	attempt as "attempt:int", tries as "tries:int", cause as "cause:int", cause_type as "causeType",
	cause_stream as "causeStream", iif(is_open, ready_at, null) as "readyAt:time", not_after as "notAfter:time",
	closed as "closed:bool", delivery, delivery_code as "deliveryCode", delivery_at as "deliveryAt:time",
	created_at as "createdAt:time", updated_at as "updatedAt:time",
	(select json_group_array(json_object('attempt', a.attempt, 'startedAt', a.started_at, 'endedAt', a.ended_at,
		'outcome', a.outcome, 'class', a.class, 'status', a.status, 'vendorId', a.vendor_id, 'message', a.message))
		from (select * from attempts where effect = effects.number order by attempt) as a) as "attempts:json"
from effects where id = :id;

-- query transcriptions_open
select key, state, iif(cause_type = 'transcript.requested', substr(cause_stream, 20), null) as "requestId"
from effects where lane = 'speech' and key in (:recording, :recording || '/asked') and is_open = 1 order by turn;

-- query mail_by_id
select substr(cause_stream, 6) as id, count(*) as "recipients:int", sum(state = 'DONE') as "sent:int",
	sum(state in ('WANTED', 'TRYING', 'WAITING')) as "waiting:int", sum(state in ('FAILED', 'DEAD')) as "failed:int",
	sum(state = 'CANCELLED') as "cancelled:int", sum(state = 'UNKNOWN') as "unknown:int",
	min(iif(is_open, ready_at, null)) as "nextAt:time", created_at as "createdAt:time", max(updated_at) as "updatedAt:time",
	json_group_array(json_object('effectId', id, 'state', state, 'class', class, 'status', status, 'message', message))
		as "parts:json"
from (select * from effects where effect = 'mail.message' and cause_stream = 'mail/' || :id order by turn) as e
group by cause_stream;

-- query mail_to_cancel
select id, lane, attempt as "attempt:int", version as "version:int" from effects
where effect = 'mail.message' and cause_stream = 'mail/' || :id and state in ('WANTED', 'WAITING') order by turn;

-- list effects
--   filter state WANTED|TRYING|WAITING|DONE|FAILED|UNKNOWN|DEAD|CANCELLED
--   filter lane, effect, reason
--   filter closed = closed_text YES|NO
--   range startDate..endDate = updated_at
--   sort -updatedAt = updated_at, createdAt = created_at
select id, effect, lane, state, reason, class, status as "status:int", message, attempt as "attempt:int",
	cause as "cause:int", cause_type as "causeType", iif(is_open, ready_at, null) as "readyAt:time",
	not_after as "notAfter:time", created_at as "createdAt:time", updated_at as "updatedAt:time"
from effect_rows;
