-- Summaries: what language models, and the platforms' own, wrote about meetings, those who spoke in them, and spans of
-- days. Every version is a row; of those with one key the greatest counts.
--
-- A span of days is made of shorter ones and of single meetings. Which it was made of is kept, so that what came late
-- is found: it is what no latest summary of that kind was made of (queries period_sources_*).

-- table
create table summaries (
	id text primary key,
	key text not null,
	version integer not null,
	is_latest integer not null,
	parent text,
	kind text not null,
	part text,
	period text not null,
	starts_at integer not null,
	ends_at integer,
	platform text,
	meeting text,
	meeting_id text,
	sub_meeting_id text,
	recording text,
	transcript text,
	person text,
	org text,
	owner text,
	person_name text,
	title text,
	content text,
	key_points text,
	action_items text,
	decisions text,
	keywords text,
	language text,
	model text,
	prompt text,
	calls integer,
	parts integer,
	prompt_tokens integer,
	completion_tokens integer,
	took_ms integer,
	cost_micros integer,
	currency text,
	request text,
	place integer not null,
	created_at integer not null,
	latest_text text as (iif(is_latest, 'YES', 'NO')) virtual
) strict;
create unique index summaries_versions on summaries (key, version);
create index summaries_created on summaries (created_at, id);
create index summaries_starts on summaries (starts_at, id);
create index summaries_meeting on summaries (meeting, kind);
create index summaries_person on summaries (person, starts_at) where person is not null;
create index summaries_org on summaries (org, starts_at) where org is not null;
create index summaries_owner on summaries (owner);

create table sources (
	summary text not null,
	source text not null,
	primary key (summary, source)
) strict, without rowid;
create index sources_of on sources (source);

/* Whichever comes last by the log, the greatest version is the latest. */
create trigger summary_came after insert on summaries begin
	update summaries set is_latest = 0 where key = new.key and is_latest = 1 and version < new.version;
	update summaries set is_latest = 0 where id = new.id
		and exists (select 1 from summaries as o where o.key = new.key and o.version > new.version);
end;

/* What there is to make summaries of. */
create table transcripts (
	recording text primary key,
	meeting text not null,
	event text not null,
	place integer not null
) strict, without rowid;
create index transcripts_meeting on transcripts (meeting, recording);

/* Who of a meeting platform is a member of which organisation. */
create table links (
	identity text primary key,
	user text not null
) strict, without rowid;
create table members (
	org text not null,
	user text not null,
	primary key (org, user)
) strict, without rowid;

-- on transcript.stored
insert into transcripts (recording, meeting, event, place)
values (:recording_id, row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), :id, :position)
on conflict (recording) do update set meeting = excluded.meeting, event = excluded.event, place = excluded.place;

-- on summary.generated
insert into summaries (id, key, version, is_latest, parent, kind, period, starts_at, ends_at, platform, meeting,
	meeting_id, sub_meeting_id, recording, transcript, person, org, owner, person_name, title, content, key_points,
	action_items, decisions, keywords, language, model, prompt, calls, parts, prompt_tokens, completion_tokens, took_ms,
	cost_micros, currency, request, place, created_at)
values (:summary_id, :summary_key, :version, 1, :parent_id, :kind, :period, coalesce(:period_start_ms, :time),
	:period_end_ms, :platform, :meeting, :meeting_id, :sub_meeting_id, :recording_id, :transcript_id, :person_id, :org_id,
	:owner_subject, :person_name, :title, :content, :key_points, :action_items, :decisions, :keywords, :language, :model,
	:prompt, :calls, :parts, :prompt_tokens, :completion_tokens, :took_ms, :cost_micros, :currency, :request_id, :position,
	:time)
on conflict do nothing;
insert into sources (summary, source)
select :summary_id, value from json_each(coalesce(:sources, '[]')) where true on conflict do nothing;

-- on summary.stored
insert into summaries (id, key, version, is_latest, parent, kind, part, period, starts_at, platform, meeting, meeting_id,
	sub_meeting_id, recording, owner, content, language, model, place, created_at)
select :id, key, version, 1, parent, 'PLATFORM', :kind, 'SINGLE', :time, :platform,
	row_id(:platform, :meeting_id, coalesce(:sub_meeting_id, '__ROOT__')), :meeting_id, :sub_meeting_id, :recording_id,
	:meeting_subject, :text, :language, :envelope_source, :position, :time
from (select key, coalesce(max(o.version), 0) + 1 as version,
		(select p.id from summaries as p where p.key = k.key order by p.version desc limit 1) as parent
	from (select row_id('platform', :recording_id, :kind, :language) as key) as k left join summaries as o using (key))
where true on conflict do nothing;
update summaries set model = :source where id = :id;

-- on identity.linked
insert into links (identity, user) values (:identity_id, :user_id)
on conflict (identity) do update set user = excluded.user;

-- on identity.unlinked
delete from links where identity = :identity_id and user = :user_id;

-- on member.added, member.changed
delete from members where org = :org_id and user = :user_id;
insert into members (org, user) select :org_id, :user_id where :status = 'ACTIVE' on conflict do nothing;

-- on member.removed
delete from members where org = :org_id and user = :user_id;

-- on privacy.erasure.requested
/* The texts go at once; the file is made anew afterwards, for it still holds them. */
update summaries set person_name = null, title = null, content = null, key_points = null, action_items = null,
	decisions = null, keywords = null
where owner = :subject_id;

-- query summary_latest
select id, version as "version:int", transcript from summaries where key = :key order by version desc limit 1;

-- query summary_place
select id, kind, place as "place:int", content is null as "elsewhere:bool" from summaries where id = :id;

-- query transcripts_of_meeting
select recording, event, place as "place:int" from transcripts
where meeting = :meeting and (:recording = '' or recording = :recording) and recording > :after
order by recording limit 17;

-- query period_people
/* Who has something in a span of days, and no summary of it yet. */
select distinct s.person as "person" from summaries as s
where s.person > :after and s.starts_at between :from and :to and s.is_latest = 1 and s.kind in ('PARTICIPANT', 'PERIOD')
	and s.period in (select value from json_each(:periods))
	and (:again = 1 or not exists (select 1 from summaries as d where d.person = s.person and d.kind = 'PERIOD'
		and d.period = :period and d.starts_at = :from))
order by s.person limit 16;

-- query period_sources_of_person
select s.id, s.kind, s.period, s.starts_at as "startsAt:time", s.person_name as "name", s.title, s.content,
	s.action_items as "actionItems:json", s.decisions as "decisions:json"
from summaries as s
where s.person = :person and s.starts_at between :from and :to and s.is_latest = 1
	and s.period in (select value from json_each(:periods))
	and not exists (select 1 from summaries as c cross join sources as r on r.source = c.id
		cross join summaries as p on p.id = r.summary
		where c.key = s.key and p.is_latest = 1 and p.person = s.person
			and p.period in (select value from json_each(:periods)))
order by s.starts_at, s.id limit 401;

-- query period_sources_of_org
/* Meetings in which a member spoke, and shorter spans of the organisation's. */
select s.id, s.kind, s.period, s.starts_at as "startsAt:time", null as "name", s.title, s.content,
	s.action_items as "actionItems:json", s.decisions as "decisions:json"
from summaries as s
where s.starts_at between :from and :to and s.is_latest = 1 and s.period in (select value from json_each(:periods))
	and (s.org = :org or (s.kind = 'MEETING' and exists (select 1 from summaries as o
		join links as l on l.identity = o.person join members as m on m.user = l.user and m.org = :org
		where o.meeting = s.meeting and o.kind = 'PARTICIPANT' and o.recording = s.recording)))
	and not exists (select 1 from summaries as c cross join sources as r on r.source = c.id
		cross join summaries as p on p.id = r.summary
		where c.key = s.key and p.is_latest = 1 and p.org = :org and p.period in (select value from json_each(:periods)))
order by s.starts_at, s.id limit 401;

-- query summary_by_id
select id, kind, part, period as "periodType", version as "version:int", is_latest as "isLatest:bool",
	parent as "parentSummaryId", 'COMPLETED' as "status", title, content, key_points as "keyPoints:json",
	action_items as "actionItems:json", decisions as "decisions:json", coalesce(keywords, '[]') as "keywords:json",
	starts_at as "periodStart:time", ends_at as "periodEnd:time", platform, meeting as "meetingId",
	recording as "recordingId", transcript as "transcriptId", person as "platformUserId", person_name as "userName",
	org as "orgId", language, 'AI' as "generatedBy", model as "aiModel", prompt, calls as "calls:int", parts as "parts:int",
	prompt_tokens as "promptTokens:int", completion_tokens as "completionTokens:int", took_ms as "processingTime:int",
	cost_micros / 1e6 as "cost:real", currency, request as "requestId",
	(select json_group_array(source) from (select source from sources where summary = summaries.id order by source))
		as "sources:json",
	created_at as "createdAt:time"
from summaries where id = :id;

-- list summaries
--   filter kind MEETING|PARTICIPANT|PERIOD|PLATFORM
--   filter part FULL|TIMELINE|TOPIC|MINUTES|TODO
--   filter periodType = period SINGLE|DAILY|WEEKLY|MONTHLY|QUARTERLY|YEARLY
--   filter meetingId = meeting, recordingId = recording, platformUserId = person, orgId = org, requestId = request
--   filter isLatest = latest_text YES|NO
--   range startDate..endDate = starts_at
--   sort -createdAt = created_at, -periodStart = starts_at
select id, kind, part, period as "periodType", version as "version:int", is_latest as "isLatest:bool",
	parent as "parentSummaryId", 'COMPLETED' as "status", title, content, key_points as "keyPoints:json",
	action_items as "actionItems:json", decisions as "decisions:json", coalesce(keywords, '[]') as "keywords:json",
	starts_at as "periodStart:time", ends_at as "periodEnd:time", platform, meeting as "meetingId",
	recording as "recordingId", transcript as "transcriptId", person as "platformUserId", person_name as "userName",
	org as "orgId", language, 'AI' as "generatedBy", model as "aiModel", prompt, calls as "calls:int", parts as "parts:int",
	prompt_tokens as "promptTokens:int", completion_tokens as "completionTokens:int", took_ms as "processingTime:int",
	cost_micros / 1e6 as "cost:real", currency, request as "requestId", created_at as "createdAt:time"
from summaries;
