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
create table marks (
	meeting text not null,
	person text not null,
	device text not null,
	room text not null,
	at integer not null,
	leaves integer not null,
	beside integer not null default 0,
	primary key (meeting, person, device, room, at, leaves, beside)
) strict, without rowid;

create table listed (
	meeting text not null,
	person text not null,
	device text not null,
	leaves integer not null,
	at integer not null,
	primary key (meeting, person, device, leaves, at)
) strict, without rowid;

create table roles (
	meeting text not null,
	person text not null,
	role integer not null,
	primary key (meeting, person)
) strict, without rowid;

create table stays (
	id text primary key,
	meeting text not null,
	person text not null,
	device text not null,
	room text not null,
	joined_at integer,
	left_at integer,
	at integer not null
) strict;
create index stays_of on stays (meeting, person, device, room);
create index stays_at on stays (at, id);
create index stays_person on stays (person, at);

create table people (
	meeting text not null,
	person text not null,
	name_latest text not null,
	primary key (meeting, person)
) strict, without rowid;

create table meeting_ends (
	meeting text not null,
	at integer not null,
	primary key (meeting, at)
) strict, without rowid;

create trigger mark_added after insert on marks begin
	/* A leave ends a stay or makes one; a join may undo those that were made without it. */
	delete from stays
	where not new.leaves and meeting = new.meeting and person = new.person and device = new.device and room = new.room;
	insert into stays (id, meeting, person, device, room, joined_at, left_at, at)
		select row_id(new.meeting, new.person, new.device, new.room, iif(leaves, 'left', 'joined'), at),
			new.meeting, new.person, new.device, new.room,
			iif(leaves, null, at), iif(leaves, at, iif(next_leaves, next_at, null)), at
		from (select at, leaves, lag(leaves) over marks_in_order as last_leaves,
				lead(leaves) over marks_in_order as next_leaves, lead(at) over marks_in_order as next_at
			from marks as m
			where meeting = new.meeting and person = new.person and device = new.device and room = new.room
				and not (beside and exists (select 1 from marks as told
					where told.meeting = m.meeting and told.person = m.person and told.device = m.device
					and told.room = m.room and told.at between m.at - 60000 and m.at + 60000
					and not told.leaves and not told.beside))
			window marks_in_order as (order by at, leaves))
		where not leaves or (coalesce(last_leaves, 1) and new.room = 'MEETING')
		on conflict (id) do update set left_at = excluded.left_at where left_at is not excluded.left_at;
end;

-- on participant.joined, participant.left
insert or ignore into marks (meeting, person, device, room, at, leaves, beside)
select row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:operator_subject, 'unknown'),
	coalesce(:operator_instance_id, ''), 'MEETING', coalesce(:operate_at_ms, :time), :type = 'participant.left',
	:vendor_event = 'vc.meeting.participant_meeting_joined_v1'
where not exists (select 1 from listed as l
	where l.meeting = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'))
	and l.person = coalesce(:operator_subject, 'unknown') and l.device = coalesce(:operator_instance_id, '')
	and l.leaves = (:type = 'participant.left')
	and l.at between coalesce(:operate_at_ms, :time) - 2000 and coalesce(:operate_at_ms, :time) + 2000);

-- on participant.listed
insert or ignore into listed (meeting, person, device, leaves, at)
select row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:person_subject, 'unknown'),
	coalesce(cast(:device as text), ''), m.leaves, m.at
from (select 0 as leaves, :joined_at_ms as at union all select 1, :left_at_ms) as m where m.at is not null;
insert or ignore into marks (meeting, person, device, room, at, leaves)
select l.meeting, l.person, l.device, 'MEETING', l.at, l.leaves from listed as l
where l.meeting = row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__'))
	and l.person = coalesce(:person_subject, 'unknown') and l.device = coalesce(cast(:device as text), '')
	and l.at in (:joined_at_ms, :left_at_ms)
	and not exists (select 1 from marks as m where m.meeting = l.meeting and m.person = l.person and m.device = l.device
		and m.room = 'MEETING' and m.leaves = l.leaves and m.at between l.at - 2000 and l.at + 2000);
insert into people (meeting, person, name_latest)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:person_subject, 'unknown'),
	latest(:joined_at_ms, :person_user_name))
on conflict (meeting, person) do update set name_latest = max(name_latest, excluded.name_latest);
insert into roles (meeting, person, role)
select row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:person_subject, 'unknown'), :user_role
where :user_role is not null
on conflict (meeting, person) do update set role = max(role, excluded.role);

-- on participant.waiting_for_host
insert or ignore into marks (meeting, person, device, room, at, leaves)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:operator_subject, 'unknown'),
	coalesce(:operator_instance_id, ''), 'WAITING_FOR_HOST', coalesce(:operate_at_ms, :time), 0);

-- on participant.entered_waiting_room, participant.left_waiting_room
insert or ignore into marks (meeting, person, device, room, at, leaves)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:operator_subject, 'unknown'),
	coalesce(:operator_instance_id, ''), 'WAITING_ROOM', coalesce(:operate_at_ms, :time),
	:type = 'participant.left_waiting_room');

-- on participant.admitted, participant.moved_to_waiting_room
/* The operator did it; the one it was done to is to_operator. */
insert or ignore into marks (meeting, person, device, room, at, leaves)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')),
	coalesce(:to_operator_subject, 'unknown'), coalesce(:to_operator_instance_id, ''), 'WAITING_ROOM',
	coalesce(:operate_at_ms, :time), :type = 'participant.admitted');
insert into people (meeting, person, name_latest)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')),
	coalesce(:to_operator_subject, 'unknown'), latest(coalesce(:operate_at_ms, :time), :to_operator_user_name))
on conflict (meeting, person) do update set name_latest = max(name_latest, excluded.name_latest);

-- on participant.joined, participant.left, participant.waiting_for_host, participant.entered_waiting_room, participant.left_waiting_room
insert into people (meeting, person, name_latest)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:operator_subject, 'unknown'),
	latest(coalesce(:operate_at_ms, :time), :operator_user_name))
on conflict (meeting, person) do update set name_latest = max(name_latest, excluded.name_latest);

-- on meeting.ended
insert or ignore into meeting_ends (meeting, at)
values (row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), coalesce(:operate_at_ms, :time));

-- on privacy.erasure.requested
/* What they are called goes from here at once; the file is made anew afterwards, for it still holds it. */
update people set name_latest = '' where person = :subject_id;

-- query attendance_of
/* Each person once: first in, last out, seconds in the meeting over all devices and stays. */
select s.person as "ptUserId", nullif(substr(p.name_latest, 17), '') as "displayName",
	min(s.joined_at) as "firstJoinTime:time", max(s.left_at) as "lastLeftTime:time", count(*) as "stays:int",
	sum((s.left_at - s.joined_at) / 1000) as "durationSeconds:int"
from stays as s left join people as p on p.meeting = s.meeting and p.person = s.person
where s.meeting = :id and s.room = 'MEETING' group by s.person order by min(s.at), s.person;

-- query attendance_totals
/* Of stays that began in the span; one that has no end counts no seconds. */
select count(distinct meeting) as "meetings:int", count(distinct nullif(person, 'unknown')) as "people:int", count(*) as "stays:int",
	coalesce(sum(max(left_at - joined_at, 0) / 1000), 0) as "seconds:int"
from stays where at >= :from and at < :to and room = 'MEETING';

-- query meetings_of_person
select meeting, max(at) as "at:int" from stays where person = :person group by meeting order by 2 desc limit 200;

-- list participants
--   filter meetingId = s.meeting, ptUserId = s.person
--   filter room = s.room MEETING|WAITING_ROOM|WAITING_FOR_HOST
--   range startDate..endDate = s.at
--   sort joinTime = s.at
--   key s.id
select s.id, s.meeting as "meetingId", s.person as "ptUserId",
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
from stays as s left join people as p on p.meeting = s.meeting and p.person = s.person;
