-- Tasks, when each is due next, and what became of its runs.
--
-- next_at is told by the events: whoever fires a task says when it is due again, so that these rows are a fold like any
-- other and a new edition of the zone database changes none of them. A run is an effect (projections/effects.sql) and has its id;
-- how it goes is told by the events of the effect.
--
-- What a person sees as the status:
--
--     RUNNING     a run is under way or will be
--     PAUSED      it would be due some time, but it or all are paused
--     SCHEDULED   it will be due
--     FAILED      it will not, and the last run failed or was missed
--     COMPLETED   it will not
--
-- A run is done when it has asked for what is outside; how far that is, are its parts: the effects that its events want.
--
-- Of each task the newest 1,000 runs are kept here; the log has them all.

-- table
create table tasks (
	id text primary key,
	name text not null,
	type text not null,
	kind text not null,
	payload text,
	run_at integer,
	cron text,
	timezone text,
	missed text not null,
	missed_max integer not null,
	priority text not null,
	time_limit_ms integer not null,
	tries_max integer not null,
	hint text,
	next_at integer,
	paused integer not null default 0,
	deleted integer not null default 0,
	runs integer not null default 0,
	missed_at integer,
	version integer not null default 0,
	created_by text not null,
	created_at integer not null,
	updated_at integer not null
) strict;
create index tasks_due on tasks (next_at) where next_at is not null and paused = 0 and deleted = 0;
create index tasks_created on tasks (created_at, id) where deleted = 0;
create index tasks_hints on tasks (hint) where hint is not null and deleted = 0;
create index tasks_deleted on tasks (id) where deleted = 1;

create table task_runs (
	id text primary key,
	task text not null,
	n integer not null,
	why text not null,
	due_at integer not null,
	missed_from integer,
	state text not null default 'WAITING',
	attempt integer not null default 0,
	fired_at integer not null,
	started_at integer,
	ended_at integer,
	class text,
	message text,
	result text,
	by text not null
) strict;
create index task_runs_of on task_runs (task, n);
create index task_runs_open on task_runs (task) where ended_at is null;

/* What runs asked others for: effects that follow, how far they are. */
create table task_parts (
	effect text primary key,
	run text not null,
	state text not null default 'WAITING'
) strict, without rowid;
create index task_parts_of on task_parts (run);

create table task_lists (
	run text primary key,
	listed integer not null,
	told integer not null
) strict, without rowid;

create table task_switches (effect text primary key) strict, without rowid;

create table task_holds (
	id integer primary key check (id = 1),
	reason text,
	since integer not null
) strict;

create view task_rows as
select t.*, r.state as last_state, r.class as last_class, r.message as last_message, r.fired_at as last_fired,
	r.ended_at as last_ended,
	case
		when exists (select 1 from task_runs as o where o.task = t.id and o.ended_at is null) then 'RUNNING'
		when t.next_at is not null and (t.paused or exists (select 1 from task_holds)) then 'PAUSED'
		when t.next_at is not null then 'SCHEDULED'
		when r.state in ('FAILED', 'CANCELLED') or t.missed_at > coalesce(r.fired_at, 0) then 'FAILED'
		else 'COMPLETED'
	end as status,
	case
		when r.state in ('FAILED', 'CANCELLED', 'WAITING') then coalesce(r.message, r.class)
		when t.next_at is null and t.missed_at > coalesce(r.fired_at, 0) then 'It was due while nothing could fire.'
	end as last_error
from tasks as t left join task_runs as r on r.task = t.id and r.n = t.runs
where t.deleted = 0;

/* As existing clients read it (functional-spec 11.2), and what is new behind it. */
create view task_objects as
select id, created_at, updated_at, status, type, name, json_object('id', id, 'name', name, 'type', type, 'queueName', 'tasks',
	'jobId', coalesce(hint, id), 'repeatKey', iif(type = 'CRON', id, null), 'cron', cron, 'timezone', timezone,
	'runAt', strftime('%Y-%m-%dT%H:%M:%S', run_at / 1000, 'unixepoch') || printf('.%03dZ', run_at % 1000),
	'payload', json(coalesce(payload, '{}')), 'status', status, 'lastError', last_error,
	'createdAt', strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000, 'unixepoch') || printf('.%03dZ', created_at % 1000),
	'updatedAt', strftime('%Y-%m-%dT%H:%M:%S', updated_at / 1000, 'unixepoch') || printf('.%03dZ', updated_at % 1000),
	'kind', kind, 'nextRunAt', strftime('%Y-%m-%dT%H:%M:%S', next_at / 1000, 'unixepoch') || printf('.%03dZ', next_at % 1000),
	'missed', missed, 'missedMax', missed_max, 'priority', priority, 'timeLimitMs', time_limit_ms, 'maxAttempts', tries_max,
	'paused', json(iif(paused, 'true', 'false')), 'runs', runs, 'lastRunStatus', last_state,
	'lastRunAt', strftime('%Y-%m-%dT%H:%M:%S', last_fired / 1000, 'unixepoch') || printf('.%03dZ', last_fired % 1000)
	) as object
from task_rows;

-- on task.scheduled
insert into tasks (id, name, type, kind, payload, run_at, cron, timezone, missed, missed_max, priority, time_limit_ms,
	tries_max, hint, next_at, created_by, created_at, updated_at)
values (:task_id, :name, :type, :kind, :payload, :run_at_ms, :cron, :timezone, :missed, :missed_max, :priority,
	:time_limit_ms, :tries_max, :hint, :next_at_ms, :actor, :time, :time)
on conflict (id) do nothing;

-- on task.changed
update tasks set name = :name, type = :type, kind = :kind, payload = :payload, run_at = :run_at_ms, cron = :cron,
	timezone = :timezone, missed = :missed, missed_max = :missed_max, priority = :priority, time_limit_ms = :time_limit_ms,
	tries_max = :tries_max, next_at = :next_at_ms, updated_at = :time
where id = :task_id and deleted = 0;

-- on task.paused
update tasks set paused = 1, updated_at = :time where id = :task_id and deleted = 0;

-- on task.resumed
update tasks set paused = 0, updated_at = :time where id = :task_id and deleted = 0;

-- on task.deleted
update tasks set deleted = 1, next_at = null, payload = null, hint = null, updated_at = :time where id = :task_id;
delete from task_parts where run in (select id from task_runs where task = :task_id);
delete from task_lists where run in (select id from task_runs where task = :task_id);
delete from task_runs where task = :task_id;

-- on task.fired
update tasks set runs = runs + 1, next_at = iif(:trigger = 'MANUAL', next_at, :next_at_ms), updated_at = :time
where id = :task_id and deleted = 0;
insert into task_runs (id, task, n, why, due_at, missed_from, fired_at, by)
select effect_id(:id, iif(:priority = 'LOW', 'task.run_low', 'task.run'), ''), id, runs, :trigger, :due_at_ms,
	:missed_from_ms, :time, :actor
from tasks where id = :task_id and deleted = 0
on conflict (id) do nothing;
delete from task_parts where run in (select id from task_runs where task = :task_id and ended_at is not null
	and n <= (select runs from tasks where id = :task_id) - 1000);
delete from task_lists where run in (select id from task_runs where task = :task_id and ended_at is not null
	and n <= (select runs from tasks where id = :task_id) - 1000);
delete from task_runs where task = :task_id and ended_at is not null
	and n <= (select runs from tasks where id = :task_id) - 1000;

-- on task.missed
update tasks set next_at = :next_at_ms, missed_at = :time, updated_at = :time where id = :task_id and deleted = 0;

-- on task.scheduled, task.changed, task.paused, task.resumed, task.deleted, task.fired, task.missed, task.done
update tasks set version = iif(:before = 0, :version, 0) where id = :task_id;

-- on task.done
update task_runs set result = :result where id = :run_id;

-- on effect.enabled
insert into task_switches (effect) select :effect where :effect like 'tencent.%' on conflict (effect) do nothing;

-- on effect.disabled
delete from task_switches where effect = :effect;

-- on recording.requested
insert into task_parts (effect, run)
select effect_id(:id, s.effect, iif(s.effect = 'tencent.participants', '', file.value ->> 'record_file_id')), :request_id
from json_each(:recording_files) as file, task_switches as s
where s.effect in ('tencent.participants', 'tencent.recording', 'tencent.transcript', 'tencent.summary', 'tencent.minutes',
	'tencent.topics') and exists (select 1 from task_runs where id = :request_id)
on conflict (effect) do nothing;

-- on sync.requested
insert into task_parts (effect, run)
select effect_id(:id, s.effect, ''), :request_id from task_switches as s
where s.effect = 'tencent.sync' and exists (select 1 from task_runs where id = :request_id)
on conflict (effect) do nothing;

-- on sync.progressed
insert into task_lists (run, listed, told) select id, :listed, :told from task_runs where id = :request_id
on conflict (run) do update set listed = listed + excluded.listed, told = told + excluded.told;

-- on task.all_paused
insert into task_holds (id, reason, since) values (1, :reason, :time)
on conflict (id) do update set reason = excluded.reason, since = excluded.since;

-- on task.all_resumed
delete from task_holds;

-- on effect.attempted
update task_runs set state = 'RUNNING', attempt = :attempt, started_at = coalesce(started_at, :time)
where id = :effect_id and ended_at is null;

-- on effect.done
update task_runs set state = 'DONE', ended_at = :time, class = null, message = null
where id = :effect_id and attempt = :attempt and ended_at is null;
update task_parts set state = 'DONE' where effect = :effect_id;

-- on effect.waiting
update task_runs set state = 'WAITING', class = :class, message = :message
where id = :effect_id and attempt = :attempt and ended_at is null;

-- on effect.unknown
update task_runs set state = iif(:repeat, 'WAITING', 'FAILED'), class = :class, message = :message,
	ended_at = iif(:repeat, null, :time)
where id = :effect_id and attempt = :attempt and ended_at is null;

-- on effect.failed
update task_runs set state = 'FAILED', ended_at = :time, class = :class, message = :message
where id = :effect_id and attempt = :attempt and ended_at is null;
update task_parts set state = 'FAILED' where effect = :effect_id;

-- on effect.dead
update task_runs set state = 'FAILED', ended_at = :time where id = :effect_id and ended_at is null;
update task_parts set state = 'FAILED' where effect = :effect_id;

-- on effect.redriven
update task_runs set state = 'WAITING', ended_at = null where id = :effect_id and state = 'FAILED';
update task_parts set state = 'WAITING' where effect = :effect_id;

-- on effect.cancelled
update task_runs set state = 'CANCELLED', ended_at = :time where id = :effect_id and ended_at is null;
update task_parts set state = 'CANCELLED' where effect = :effect_id;

-- query tasks_due
select id, type, kind, payload, cron, timezone, missed, missed_max as "missedMax:int", priority,
	time_limit_ms as "timeLimitMs:int", tries_max as "triesMax:int", next_at as "nextAt:int", version as "version:int"
from tasks where next_at <= :now and next_at is not null and paused = 0 and deleted = 0
	and not exists (select 1 from task_holds)
order by next_at, id limit 32;

-- query tasks_next
select next_at as "nextAt:int" from tasks
where next_at > :now and next_at is not null and paused = 0 and deleted = 0 and not exists (select 1 from task_holds)
order by next_at limit 1;

-- query tasks_deleted
select id from tasks where deleted = 1 and id > :after order by id limit 256;

-- query task_hold
select reason, since as "since:time" from task_holds;

-- query task_to_change
select t.id, name, type, kind, payload, run_at as "runAt:int", cron, timezone, missed, missed_max as "missedMax:int",
	priority, time_limit_ms as "timeLimitMs:int", tries_max as "triesMax:int", hint, next_at as "nextAt:int",
	paused as "paused:bool", version as "version:int", exists (select 1 from task_holds) as "held:bool"
from tasks as t where id = :id and deleted = 0;

-- query task_by_hint
select id, name, type, kind, payload, run_at as "runAt:int", cron, timezone from tasks where hint = :hint and deleted = 0;

-- query tasks_count
select count(*) as "count:int" from tasks where deleted = 0;

-- query task_by_id
select id, object as "object:json" from task_objects where id = :id;

-- query tasks_page
with hit as (select object, id, iif(:by_update, updated_at, created_at) as at from task_objects
	where (:search = '' or instr(lower(name), lower(:search))) and (:status = '' or status = :status)
		and (:type = '' or type = :type) and (:kind = '' or object ->> '$.kind' = :kind))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select object from hit
	order by iif(:ascending, at, -at), id limit :limit offset :offset)) as "items:json";

-- list task_runs
--   filter task
--   filter state WAITING|RUNNING|DONE|FAILED|CANCELLED
--   filter trigger = why SCHEDULE|MISSED|MANUAL
--   range startDate..endDate = fired_at
--   sort -firedAt = fired_at, dueAt = due_at
select id, n as "number:int", why as "trigger", state, due_at as "dueAt:time", missed_from as "missedFrom:time",
	attempt as "attempt:int", fired_at as "firedAt:time", started_at as "startedAt:time", ended_at as "endedAt:time",
	class, message, result as "result:json",
	(select nullif(json_object('parts', count(*), 'done', sum(p.state = 'DONE'), 'failed', sum(p.state in ('FAILED', 'CANCELLED')),
		'listed', l.listed, 'told', l.told), json_object('parts', 0, 'done', null, 'failed', null, 'listed', null, 'told', null))
		from task_parts as p left join task_lists as l on l.run = p.run where p.run = task_runs.id) as "progress:json",
	by as "firedBy"
from task_runs;
