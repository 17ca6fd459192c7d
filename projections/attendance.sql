-- Who was in a meeting, when, and on what: one row for each stay.
--
-- Joins and leaves come in any order and some never come. So only the marks are kept as facts, and the
-- stays of one person on one kind of device in one room are read off them anew whenever a mark is added:
--   a join followed by a leave      a stay
--   a join followed by a join       a stay whose end nobody told; it ends with the meeting at the latest
--   a leave that follows no join    a stay whose beginning nobody told (not in waiting rooms, which people
--                                   leave twice: once admitted, once gone)
-- The platform's own list of who was there tells each stay as well, to the second. A mark that it tells and one that
-- a notice told are the same when they are that close.
--
-- Feishu tells a join to those who asked about the meeting (join_meeting_v1), to those who asked about the person
-- (participant_meeting_joined_v1), or both, each with a time of its own. The latter is kept `beside` and counts where the
-- former did not tell that join within a minute.

-- table
/* Meetings by the order in which they came, which is their number here. What is of one meeting lies together then, and
 * beside what is of others of the same time: a commit writes few pages, however many meetings there are. Their ids, which are
 * hashes, would spread it over all of the file. */
create table meetings (
	number integer primary key,
	id text not null unique
) strict;

create table marks (
	meeting integer not null,
	person text not null,
	device text not null,
	room text not null,
	at integer not null,
	leaves integer not null,
	beside integer not null default 0,
	primary key (meeting, person, device, room, at, leaves, beside)
) strict, without rowid;

create table listed (
	meeting integer not null,
	person text not null,
	device text not null,
	leaves integer not null,
	at integer not null,
	primary key (meeting, person, device, leaves, at)
) strict, without rowid;

create table roles (
	meeting integer not null,
	person text not null,
	role integer not null,
	primary key (meeting, person)
) strict, without rowid;

/* Known by what they are of and when they begin, or end where nobody told their beginning (leaves). */
create table stays (
	meeting integer not null,
	person text not null,
	device text not null,
	room text not null,
	at integer not null,
	leaves integer not null,
	left_at integer,
	primary key (meeting, person, device, room, at, leaves)
) strict;
create index stays_at on stays (at);
create index stays_person on stays (person, at);

/* left: without a meeting asked for, stays are read in the order of their index and each looks its meeting up. */
create view stay_rows as
select row_id(m.id, s.person, s.device, s.room, iif(s.leaves, 'left', 'joined'), s.at) as id, m.id as meeting_id, s.meeting,
	s.person, s.device, s.room, iif(s.leaves, null, s.at) as joined_at, s.left_at, s.at
from stays as s left join meetings as m on m.number = s.meeting;

create table people (
	meeting integer not null,
	person text not null,
	name_latest text not null,
	primary key (meeting, person)
) strict, without rowid;

create table meeting_ends (
	meeting integer not null,
	at integer not null,
	primary key (meeting, at)
) strict, without rowid;

/* Those that count. */
create view counted as
select meeting, person, device, room, at, leaves from marks as m
where not (beside and exists (select 1 from marks as told
	where told.meeting = m.meeting and told.person = m.person and told.device = m.device and told.room = m.room
		and told.at between m.at - 60000 and m.at + 60000 and not told.leaves and not told.beside));

/* Each mark looks for its neighbours by the key: what window functions gather first is made and thrown away with every mark. */
create trigger mark_added after insert on marks begin
	/* A leave ends a stay or makes one; a join may undo those that were made without it. */
	delete from stays
	where not new.leaves and meeting = new.meeting and person = new.person and device = new.device and room = new.room;
	insert into stays (meeting, person, device, room, at, leaves, left_at)
		select m.meeting, m.person, m.device, m.room, m.at, m.leaves,
			iif(m.leaves, m.at, (select iif(after.leaves, after.at, null) from counted as after
				where after.meeting = m.meeting and after.person = m.person and after.device = m.device and after.room = m.room
					and (after.at, after.leaves) > (m.at, m.leaves)
				order by after.at, after.leaves limit 1))
		from counted as m
		where m.meeting = new.meeting and m.person = new.person and m.device = new.device and m.room = new.room
			and (not m.leaves or (new.room = 'MEETING' and coalesce((select last.leaves from counted as last
				where last.meeting = m.meeting and last.person = m.person and last.device = m.device and last.room = m.room
					and (last.at, last.leaves) < (m.at, m.leaves)
				order by last.at desc, last.leaves desc limit 1), 1)))
		on conflict do update set left_at = excluded.left_at where left_at is not excluded.left_at;
end;

-- on participant.joined, participant.left, participant.listed, participant.waiting_for_host, participant.entered_waiting_room, participant.left_waiting_room, participant.admitted, participant.moved_to_waiting_room, meeting.ended
insert or ignore into meetings (id) values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')));

-- on participant.joined, participant.left
/* Values, not a select: what is selected for a table with a trigger is first put aside, which costs as much as the rest.
 * One that is listed has no meeting here, and such a mark is ignored. */
insert or ignore into marks (meeting, person, device, room, at, leaves, beside)
values ((select m.number from meetings as m
	where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'))
	and not exists (select 1 from listed as l
		where l.meeting = m.number and l.person = coalesce(:operator_subject, 'unknown')
		and l.device = coalesce(:operator_instance_id, '') and l.leaves = (:type = 'participant.left')
		and l.at between coalesce(:operate_at_ms, :time) - 2000 and coalesce(:operate_at_ms, :time) + 2000)),
	coalesce(:operator_subject, 'unknown'), coalesce(:operator_instance_id, ''), 'MEETING',
	coalesce(:operate_at_ms, :time), :type = 'participant.left', :vendor_event = 'vc.meeting.participant_meeting_joined_v1');

-- on participant.listed
insert or ignore into listed (meeting, person, device, leaves, at)
select m.number, coalesce(:person_subject, 'unknown'), coalesce(cast(:device as text), ''), told.leaves, told.at
from meetings as m, (select 0 as leaves, :joined_at_ms as at union all select 1, :left_at_ms) as told
where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')) and told.at is not null;
insert or ignore into marks (meeting, person, device, room, at, leaves)
select l.meeting, l.person, l.device, 'MEETING', l.at, l.leaves from meetings as m, listed as l
where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')) and l.meeting = m.number
	and l.person = coalesce(:person_subject, 'unknown') and l.device = coalesce(cast(:device as text), '')
	and l.at in (:joined_at_ms, :left_at_ms)
	and not exists (select 1 from marks as k where k.meeting = l.meeting and k.person = l.person and k.device = l.device
		and k.room = 'MEETING' and k.leaves = l.leaves and k.at between l.at - 2000 and l.at + 2000);
insert into people (meeting, person, name_latest)
select m.number, coalesce(:person_subject, 'unknown'), latest(:joined_at_ms, :person_user_name)
from meetings as m where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'))
on conflict (meeting, person) do update set name_latest = excluded.name_latest where excluded.name_latest > name_latest;
insert into roles (meeting, person, role)
select m.number, coalesce(:person_subject, 'unknown'), :user_role
from meetings as m where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')) and :user_role is not null
on conflict (meeting, person) do update set role = excluded.role where excluded.role > role;

-- on participant.waiting_for_host
insert or ignore into marks (meeting, person, device, room, at, leaves)
select m.number, coalesce(:operator_subject, 'unknown'), coalesce(:operator_instance_id, ''), 'WAITING_FOR_HOST',
	coalesce(:operate_at_ms, :time), 0
from meetings as m where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'));

-- on participant.entered_waiting_room, participant.left_waiting_room
insert or ignore into marks (meeting, person, device, room, at, leaves)
select m.number, coalesce(:operator_subject, 'unknown'), coalesce(:operator_instance_id, ''), 'WAITING_ROOM',
	coalesce(:operate_at_ms, :time), :type = 'participant.left_waiting_room'
from meetings as m where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'));

-- on participant.admitted, participant.moved_to_waiting_room
/* The operator did it; the one it was done to is to_operator. */
insert or ignore into marks (meeting, person, device, room, at, leaves)
select m.number, coalesce(:to_operator_subject, 'unknown'), coalesce(:to_operator_instance_id, ''), 'WAITING_ROOM',
	coalesce(:operate_at_ms, :time), :type = 'participant.admitted'
from meetings as m where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'));
insert into people (meeting, person, name_latest)
select m.number, coalesce(:to_operator_subject, 'unknown'), latest(coalesce(:operate_at_ms, :time), :to_operator_user_name)
from meetings as m where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'))
on conflict (meeting, person) do update set name_latest = excluded.name_latest where excluded.name_latest > name_latest;

-- on participant.joined, participant.left, participant.waiting_for_host, participant.entered_waiting_room, participant.left_waiting_room
insert into people (meeting, person, name_latest)
select m.number, coalesce(:operator_subject, 'unknown'), latest(coalesce(:operate_at_ms, :time), :operator_user_name)
from meetings as m where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'))
on conflict (meeting, person) do update set name_latest = excluded.name_latest where excluded.name_latest > name_latest;

-- on meeting.ended
insert or ignore into meeting_ends (meeting, at)
select m.number, coalesce(:operate_at_ms, :time)
from meetings as m where m.id = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'));

-- on privacy.erasure.requested
/* What they are called goes from here at once; the file is made anew afterwards, for it still holds it. */
update people set name_latest = '' where person = :subject_id;

-- query attendance_of
/* Each person once: first in, last out, seconds in the meeting over all devices and stays. */
select s.person as "ptUserId", nullif(substr(p.name_latest, 17), '') as "displayName",
	min(s.joined_at) as "firstJoinTime:time", max(s.left_at) as "lastLeftTime:time", count(*) as "stays:int",
	sum((s.left_at - s.joined_at) / 1000) as "durationSeconds:int"
from stay_rows as s left join people as p on p.meeting = s.meeting and p.person = s.person
where s.meeting_id = :id and s.room = 'MEETING' group by s.person order by min(s.at), s.person;

-- query attendance_totals
/* Of stays that began in the span; one that has no end counts no seconds. */
select count(distinct meeting) as "meetings:int", count(distinct nullif(person, 'unknown')) as "people:int", count(*) as "stays:int",
	coalesce(sum(max(left_at - at, 0) / 1000), 0) as "seconds:int"
from stays where at >= :from and at < :to and room = 'MEETING';

-- query meetings_of_person
select meeting_id as "meeting", max(at) as "at:int" from stay_rows where person = :person group by meeting order by 2 desc limit 200;

-- list participants
--   filter meetingId = s.meeting_id, ptUserId = s.person
--   filter room = s.room MEETING|WAITING_ROOM|WAITING_FOR_HOST
--   range startDate..endDate = s.at
--   sort joinTime = s.at
--   key s.id
select s.id, s.meeting_id as "meetingId", s.person as "ptUserId",
	nullif(substr(p.name_latest, 17), '') as "displayName", s.room,
	s.joined_at as "joinTime:time",
	coalesce(s.left_at, (select min(e.at) from meeting_ends as e where e.meeting = s.meeting and e.at >= s.joined_at))
		as "leftTime:time",
	(coalesce(s.left_at, (select min(e.at) from meeting_ends as e where e.meeting = s.meeting and e.at >= s.joined_at))
		- s.joined_at) / 1000 as "durationSeconds:int",
	cast(nullif(s.device, '') as integer) as "instanceId:int",
	(select r.role from roles as r where r.meeting = s.meeting and r.person = s.person) as "userRole:int",
	null as "sessionData:json",
	'{}' as "metadata:json", s.at as "createdAt:time", coalesce(s.left_at, s.at) as "updatedAt:time",
	null as "deletedAt:time"
from stay_rows as s left join people as p on p.meeting = s.meeting and p.person = s.person;
