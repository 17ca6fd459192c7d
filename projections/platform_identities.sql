-- Who people are on the meeting platforms, and whose account here that is.
--
-- An identity appears when a meeting event names it; its id is the subject id its fields are sealed under, the one
-- attendance shows as ptUserId. Somebody links it to an account, or a telephone number does that both sides vouch for.

-- table
create table identities (
	id text primary key,
	platform text not null,
	user_id_latest text not null,
	union_id_latest text not null,
	name_latest text not null,
	first_seen_at integer not null,
	last_seen_at integer not null
) strict;
create index identities_seen on identities (last_seen_at, id);
create index identities_userid on identities (substr(user_id_latest, 17)) where user_id_latest <> '';
create index identities_name on identities (substr(name_latest, 17)) where name_latest <> '';

create table links (
	identity text primary key,
	user text not null,
	linked_at integer not null
) strict, without rowid;
create index links_user on links (user);

-- people whose erasure was asked for since the last commit
create table erased_todo (subject text primary key) strict, without rowid;

create view identity_rows as
select i.id, i.platform, i.user_id_latest, i.union_id_latest, i.name_latest, l.user, l.linked_at, i.first_seen_at,
	i.last_seen_at, iif(l.user is null, 'NO', 'YES') as linked
from identities as i left join links as l on l.identity = i.id;

-- gather identities
--   max user_id_latest, union_id_latest, name_latest, last_seen_at
--   min first_seen_at

-- on meeting.created, meeting.started, participant.joined, participant.waiting_for_host, participant.entered_waiting_room, participant.admitted
insert into identities (id, platform, user_id_latest, union_id_latest, name_latest, first_seen_at, last_seen_at)
select :operator_subject, :platform, latest(coalesce(:operate_at_ms, :time), :operator_userid),
	latest(coalesce(:operate_at_ms, :time), :operator_uuid), latest(coalesce(:operate_at_ms, :time), :operator_user_name),
	coalesce(:operate_at_ms, :time), coalesce(:operate_at_ms, :time)
where :operator_subject is not null;

-- on meeting.*
insert into identities (id, platform, user_id_latest, union_id_latest, name_latest, first_seen_at, last_seen_at)
select :creator_subject, :platform, latest(coalesce(:operate_at_ms, :time), :creator_userid),
	latest(coalesce(:operate_at_ms, :time), :creator_uuid), latest(coalesce(:operate_at_ms, :time), :creator_user_name),
	coalesce(:operate_at_ms, :time), coalesce(:operate_at_ms, :time)
where :creator_subject is not null;

-- on participant.admitted, participant.moved_to_waiting_room
insert into identities (id, platform, user_id_latest, union_id_latest, name_latest, first_seen_at, last_seen_at)
select :to_operator_subject, :platform, latest(coalesce(:operate_at_ms, :time), :to_operator_userid),
	latest(coalesce(:operate_at_ms, :time), :to_operator_uuid),
	latest(coalesce(:operate_at_ms, :time), :to_operator_user_name), coalesce(:operate_at_ms, :time),
	coalesce(:operate_at_ms, :time)
where :to_operator_subject is not null;

-- on participant.listed
insert into identities (id, platform, user_id_latest, union_id_latest, name_latest, first_seen_at, last_seen_at)
select :person_subject, :platform, latest(:joined_at_ms, :person_userid), latest(:joined_at_ms, :person_uuid),
	latest(:joined_at_ms, :person_user_name), :joined_at_ms, coalesce(:left_at_ms, :joined_at_ms)
where :person_subject is not null and (:person_userid is not null or :person_uuid is not null);

-- on identity.linked
insert into links (identity, user, linked_at) values (:identity_id, :user_id, :time)
on conflict (identity) do update set user = excluded.user, linked_at = excluded.linked_at;

-- on identity.unlinked
delete from links where identity = :identity_id and user = :user_id;

-- on privacy.erasure.requested
/* What they are called goes from here at once; the file is made anew afterwards, for it still holds it. */
insert or ignore into erased_todo values (:subject_id);

-- commit
update identities set user_id_latest = '', union_id_latest = '', name_latest = ''
where id in (select subject from erased_todo);
delete from erased_todo;

-- query platform_identity_by_id
select id, platform, user_id_latest as "ptUserId:latest", union_id_latest as "ptUnionId:latest",
	name_latest as "displayName:latest", user as "localUserId", linked_at as "linkedAt:time",
	first_seen_at as "createdAt:time", last_seen_at as "lastSeenAt:time"
from identity_rows where id = :id;

-- query identity_by_userid
select nullif(substr(union_id_latest, 17), '') as "uuid", substr(user_id_latest, 17) as "userid" from identities
where substr(user_id_latest, 17) = :userid and user_id_latest <> '' and platform = :platform
order by union_id_latest = '', last_seen_at desc limit 1;

-- query identity_by_name
/* Nobody when two have it. */
select max(nullif(substr(union_id_latest, 17), '')) as "uuid", max(nullif(substr(user_id_latest, 17), '')) as "userid"
from identities where substr(name_latest, 17) = :name and name_latest <> '' and platform = :platform having count(*) = 1;

-- query platform_identities_of_user
select identity as "id" from links where user = :user order by identity;

-- list platform_identities
--   filter platform TENCENT_MEETING|ZOOM|TEAMS|DINGTALK|FEISHU|WEBEX|VOOV|OTHER
--   filter linked YES|NO
--   filter localUserId = user
--   range startDate..endDate = last_seen_at
--   sort -lastSeenAt = last_seen_at, createdAt = first_seen_at
select id, platform, user_id_latest as "ptUserId:latest", union_id_latest as "ptUnionId:latest",
	name_latest as "displayName:latest", user as "localUserId", linked_at as "linkedAt:time",
	first_seen_at as "createdAt:time", last_seen_at as "lastSeenAt:time"
from identity_rows;
