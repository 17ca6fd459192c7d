-- The inbox: every delivery that came, what became of it, and how often it was repeated or refused.
--
-- One row for each delivery, whose items are one event each. Refused ones leave no body and no row of their
-- own: they are counted, and a row stands for each count of one reason. The items of a delivery are recorded at one time,
-- so that ids may begin with it: rows and ids are added at the end of their pages, however many there are.
--
-- Repeats are told by the position of the event that they repeat: in the log that the count is in, or, from 2^48 on, in one
-- before it. `position` tells the events of all logs apart, so :before is added to the former.

-- table
create table inbox (
	id text primary key,
	source text not null,
	verdict text not null,
	vendor_event text,
	trace_id text,
	reason text,
	position integer not null,
	items integer not null,
	duplicates integer not null default 0,
	received_at integer not null
) strict;
create index inbox_received on inbox (received_at, id);
create index inbox_position on inbox (position);

create table refusals (
	source text not null,
	reason text not null,
	count integer not null,
	last_at integer not null,
	primary key (source, reason)
) strict, without rowid;

-- on meeting.*, participant.joined, participant.left, participant.waiting_for_host, participant.entered_waiting_room, participant.left_waiting_room, participant.admitted, participant.moved_to_waiting_room, screen_share.*, live.*, recording.started, recording.paused, recording.resumed, recording.stopped, recording.completed, recording.failed, recording.deleted, recording.updated, transcript.ready, minutes.ready, summary.ready
insert into inbox (id, source, verdict, vendor_event, trace_id, position, items, received_at)
values (timed_id(:time, :source, coalesce(:trace_id, :fingerprint)), replace(:source, '/webhooks/', ''), 'ACCEPTED',
	:vendor_event, :trace_id, :position, 1, :time)
on conflict (id) do update set items = items + 1;

-- on webhook.received
insert into inbox (id, source, verdict, vendor_event, trace_id, reason, position, items, received_at)
values (timed_id(:time, :envelope_source, :fingerprint, :reason), :source,
	iif(:reason = 'unknown_event', 'UNKNOWN', 'UNINTELLIGIBLE'), :vendor_event, :trace_id, :reason, :position, 1, :time)
on conflict (id) do update set items = items + 1;

-- on source.conflict
insert into inbox (id, source, verdict, vendor_event, trace_id, reason, position, items, received_at)
values (timed_id(:time, 'conflict', :source, :position), :source, 'CONFLICT', :vendor_event, :trace_id,
	'another_content', :position, 1, :time);

-- on webhook.tallied
update inbox set duplicates = duplicates + (select sum(told.value ->> 'count') from json_each(:duplicates) as told
	where inbox.position = iif(told.value ->> 'position' >> 48, told.value ->> 'position', :before + (told.value ->> 'position')))
where position in (select iif(told.value ->> 'position' >> 48, told.value ->> 'position', :before + (told.value ->> 'position'))
	from json_each(:duplicates) as told);
insert into inbox (id, source, verdict, reason, position, items, received_at)
select timed_id(:time, 'refused', :source, refused.value ->> 'reason', :position), :source, 'REFUSED',
	refused.value ->> 'reason', :position, refused.value ->> 'count', :time
from json_each(:refused) as refused where true
on conflict (id) do update set items = items + excluded.items;
insert into refusals (source, reason, count, last_at)
select :source, refused.value ->> 'reason', refused.value ->> 'count', :time from json_each(:refused) as refused where true
on conflict (source, reason) do update set count = count + excluded.count, last_at = max(last_at, excluded.last_at);

-- query webhook_by_id
select id, source, verdict, vendor_event as "event", trace_id as "traceId", reason, position as "position:int",
	items as "items:int", duplicates as "duplicates:int", received_at as "receivedAt:time"
from inbox where id = :id;

-- query webhook_refusals
select source, reason, count as "count:int", last_at as "lastAt:time" from refusals order by source, reason;

-- list webhooks
--   filter source, event = vendor_event, traceId = trace_id, reason
--   filter verdict ACCEPTED|UNKNOWN|UNINTELLIGIBLE|CONFLICT|REFUSED
--   range startDate..endDate = received_at
--   sort -receivedAt = received_at
select id, source, verdict, vendor_event as "event", trace_id as "traceId", reason, position as "position:int",
	items as "items:int", duplicates as "duplicates:int", received_at as "receivedAt:time"
from inbox;
