-- Who has an account, how they sign in, and what they may do.
--
-- Names, addresses and hashes come unsealed from the log; of an erased person they are null and the row stays.
-- What a caller may do is read here alone: the query principal_of_user.

-- table
create table users (
	id text primary key,
	username text, username_claim text,
	email text, email_claim text,
	phone text, country_code text, phone_claim text,
	legacy_claim text,
	display_name text,
	password_hash text,
	password_set_at integer,
	credentials_version integer not null default 0,
	email_verified_at integer,
	phone_verified_at integer,
	active integer not null default 1,
	deleted_at integer,
	erased_at integer,
	created_at integer not null,
	updated_at integer not null,
	last_login_at integer,
	row integer not null
) strict, without rowid;
create unique index users_username on users (username_claim) where username_claim is not null;
create unique index users_email on users (email_claim) where email_claim is not null;
create unique index users_phone on users (phone_claim) where phone_claim is not null;
create unique index users_legacy on users (legacy_claim) where legacy_claim is not null;
create index users_created on users (created_at, id);

/* What people are found by. */
create virtual table users_search using fts5(row unindexed, text, tokenize = 'lulab');
create trigger user_came after insert on users begin
	insert into users_search (rowid, row, text)
	values (new.row, new.row, coalesce(new.username || ' ', '') || coalesce(new.email || ' ', '') || coalesce(new.phone || ' ', '') ||
		coalesce(new.display_name, ''));
end;
create trigger user_renamed after update of username, email, phone, display_name on users begin
	delete from users_search where rowid = new.row;
	insert into users_search (rowid, row, text)
	values (new.row, new.row, coalesce(new.username || ' ', '') || coalesce(new.email || ' ', '') || coalesce(new.phone || ' ', '') ||
		coalesce(new.display_name, ''));
end;

create table sessions (
	id text primary key,
	user text not null,
	refresh_digest text not null,
	login_type text,
	client_type text not null,
	device_info text, device_id text, user_agent text, ip text,
	opened_at integer not null,
	used_at integer not null,
	idle_at integer, /* when it was first seen to have been idle: whether the same person came back is not known */
	expires_at integer not null,
	until integer not null,
	closed_at integer,
	close_reason text
) strict, without rowid;
create index sessions_user on sessions (user, opened_at);

/* Every refresh token there was, while its family lives: one used twice has to be known. */
create table refresh_tokens (
	digest text primary key,
	session text not null,
	used_at integer
) strict, without rowid;

create table logins (
	id text primary key,
	user text,
	target text,
	target_digest text not null,
	address_digest text not null,
	network_digest text not null,
	login_type text not null,
	success integer not null,
	reason text,
	ip text, user_agent text, device_id text,
	at integer not null
) strict, without rowid;
create index logins_target on logins (target_digest, at);
create index logins_address on logins (address_digest, at);
create index logins_network on logins (network_digest, at);
create index logins_user on logins (user, at);
create index logins_at on logins (at, id);
create view login_rows as select *, iif(success, 'SUCCESS', 'FAILURE') as result from logins;

create table roles (
	id text primary key,
	org text,
	code text not null,
	name text not null,
	description text,
	type text not null,
	level integer not null,
	permissions text not null,
	scope integer not null,
	rules text not null,
	active integer not null default 1,
	created_at integer not null,
	updated_at integer not null,
	deleted_at integer
) strict, without rowid;
create index roles_code on roles (code);

create table user_roles (
	user text not null,
	role text not null,
	primary key (user, role)
) strict, without rowid;

/* API keys. Of a key that took another's place `rotated_from` says which. */
create table api_keys (
	id text primary key,
	user text not null,
	org text,
	prefix text not null,
	digest text not null,
	last4 text not null,
	name text,
	scopes text not null,
	expires_at integer not null,
	rate_limit integer not null,
	restricted integer not null,
	allowed text,
	rotated_from text,
	revoked_at integer,
	last_used_at integer,
	created_at integer not null,
	updated_at integer not null,
	version integer not null
) strict, without rowid;
create unique index api_keys_prefix on api_keys (prefix);
create index api_keys_user on api_keys (user, created_at, id);
create index api_keys_org on api_keys (org, created_at, id) where org is not null;

/* What a key was used for, by the hour in which that began; for three months, the log has it for good. */
create table api_key_usage (
	key text not null,
	hour integer not null,
	route text not null,
	method text not null,
	status integer not null,
	count integer not null,
	latency_total integer not null,
	latency_max integer not null,
	first_at integer not null,
	last_at integer not null,
	primary key (key, hour, route, method, status)
) strict, without rowid;
create index api_key_usage_hour on api_key_usage (hour);

create view user_rows as
select u.*, case when u.erased_at is not null then 'ERASED' when u.deleted_at is not null then 'DELETED'
		when u.active then 'ACTIVE' else 'DISABLED' end as state, u.deleted_at is not null as is_deleted,
	(select r.code from user_roles as g join roles as r on r.id = g.role where g.user = u.id
		order by r.level, r.code limit 1) as role
from users as u;

/* What people tell of themselves, beside their name. */
create table user_profiles (
	user text primary key,
	avatar text, bio text, first_name text, last_name text, date_of_birth text, gender text,
	address text, city text, country text, zip_code text, website text,
	updated_at integer not null
) strict, without rowid;

/*
 * One-time codes: what became of each, for as long as limits or people may ask. Of one target and purpose at most one
 * is neither over nor past its time. The code itself is there sealed, until its key is destroyed.
 */
create table verifications (
	id text primary key,
	purpose text not null,
	channel text not null,
	target_digest text not null,
	address_digest text not null,
	sealed_code text,
	version integer not null,
	tries integer not null default 0,
	requested_at integer not null,
	expires_at integer not null,
	over_at integer,
	why text,
	ended_at integer
) strict, without rowid;
create unique index verifications_open on verifications (target_digest, purpose) where over_at is null;
create index verifications_target on verifications (target_digest, requested_at);
create index verifications_address on verifications (address_digest, requested_at);
create index verifications_requested on verifications (requested_at);
create index verifications_kept on verifications (expires_at) where ended_at is null;

/* Files of accounts, and what became of each row. Of the file nothing is here: it is in the log, sealed, until the import ends. */
create table user_imports (
	id text primary key,
	actor text not null,
	position integer not null,
	total integer not null,
	done integer not null default 0,
	created integer not null default 0,
	started_at integer not null,
	ended_at integer,
	how text
) strict, without rowid;
create index user_imports_started on user_imports (started_at, id);
create table user_import_rows (
	import text not null,
	number integer not null,
	line integer not null,
	user text, code text, field text,
	primary key (import, number)
) strict, without rowid;
create view user_import_states as select *, case how when 'DONE' then 'DONE' else iif(how is null, 'RUNNING', 'CANCELLED') end
	as state from user_imports;

-- on user_import.started
insert into user_imports (id, actor, position, total, started_at) values (:import_id, :actor, :position, :rows, :time);

-- on user_import.row_done
insert into user_import_rows (import, number, line, user, code, field)
values (:import_id, :row, :line, :user_id, :code, :field);
update user_imports set done = done + 1, created = created + (:outcome = 'CREATED') where id = :import_id;

-- on user_import.ended
update user_imports set ended_at = :time, how = :how where id = :import_id;

-- on user.registered
insert into users (id, username, username_claim, email, email_claim, phone, country_code, phone_claim, legacy_claim,
	display_name, email_verified_at, phone_verified_at, created_at, updated_at, row)
values (:user_id, :username, :username_claim, :email, :email_claim, :phone, :country_code, :phone_claim, :legacy_claim,
	:display_name, iif(:email_verified, :time, null), iif(:phone_verified, :time, null), :time, :time, :position);

-- on user.password_set
update users set password_hash = :hash, password_set_at = :time,
	credentials_version = iif(:how = 'REHASH', credentials_version, :version), updated_at = iif(:how = 'REHASH', updated_at, :time) where id = :user_id;
/* Who changes their own says which log-ins end; one set by somebody else, or with a code, ends all. */
update sessions set closed_at = :time, close_reason = 'PASSWORD'
where user = :user_id and :how in ('OPERATOR', 'RESET') and closed_at is null;

-- on user.enabled, user.disabled
update users set active = :type = 'user.enabled', updated_at = :time where id = :user_id;

-- on user.disabled, user.deleted
/* With the account every log-in ends, for good: nobody is signed in again by its coming back. */
update sessions set closed_at = :time, close_reason = iif(:type = 'user.deleted', 'DELETED', 'DISABLED')
where user = :user_id and closed_at is null;

-- on user.deleted
update users set deleted_at = coalesce(deleted_at, :time), updated_at = :time where id = :user_id;

-- on user.restored
update users set deleted_at = null, updated_at = :time where id = :user_id;

-- on privacy.erasure.requested
/* What was known of them goes from here at once; the file is made anew afterwards, for it still holds it. */
update users set username = null, username_claim = null, email = null, email_claim = null, phone = null, country_code = null,
	phone_claim = null, legacy_claim = null, display_name = null, password_hash = null, deleted_at = coalesce(deleted_at, :time),
	erased_at = coalesce(erased_at, :time), updated_at = :time
where id = :subject_id;
delete from user_profiles where user = :subject_id;
update sessions set device_info = null, device_id = null, user_agent = null, ip = null, closed_at = coalesce(closed_at, :time),
	close_reason = coalesce(close_reason, 'DELETED')
where user = :subject_id;
update logins set target = null, ip = null, user_agent = null, device_id = null where user = :subject_id;

-- on session.opened
insert into sessions (id, user, refresh_digest, login_type, client_type, device_info, device_id, user_agent, ip,
	opened_at, used_at, expires_at, until)
values (:session_id, :user_id, :refresh_digest, :login_type, :client_type, :device_info, :device_id, :user_agent, :ip,
	:time, :time, :expires_at_ms, :until_ms);
/* Somebody was let in while the account was being closed, or by a password or address that it had a moment ago. */
update sessions set closed_at = :time, close_reason = 'DISABLED'
where id = :session_id and exists (select 1 from users where id = :user_id and not (active and deleted_at is null));
update sessions set closed_at = :time, close_reason = 'PASSWORD'
where id = :session_id and closed_at is null
	and exists (select 1 from users where id = :user_id and credentials_version > :credentials_version);
insert into refresh_tokens (digest, session) values (:refresh_digest, :session_id);

-- on session.rotated
/* An access token lives ten minutes, so a client in use comes back within half an hour (integrity.md 20). */
update sessions set idle_at = :time where id = :session_id and idle_at is null and :time - used_at >= 1800000;
update sessions set refresh_digest = :to_digest, used_at = :time, expires_at = :expires_at_ms,
	device_info = coalesce(:device_info, device_info), user_agent = coalesce(:user_agent, user_agent),
	ip = coalesce(:ip, ip)
where id = :session_id;
update refresh_tokens set used_at = :time where digest = :from_digest;
insert into refresh_tokens (digest, session) values (:to_digest, :session_id);

-- on session.closed
update sessions set closed_at = coalesce(closed_at, :time), close_reason = coalesce(close_reason, :reason)
where id = :session_id;

-- on login.succeeded
insert into logins (id, user, target, target_digest, address_digest, network_digest, login_type, success, ip,
	user_agent, device_id, at)
values (row_id('login', :position), :user_id, :target, :target_digest, :address_digest, :network_digest, :login_type, 1,
	:ip, :user_agent, :device_id, :time);
update users set last_login_at = :time where id = :user_id and :login_type <> 'PASSWORD_RESET';

-- on login.failed
insert into logins (id, user, target, target_digest, address_digest, network_digest, login_type, success, reason, ip,
	user_agent, at)
values (row_id('login', :position), :user_id, :target, :target_digest, :address_digest, :network_digest, :login_type, 0,
	:reason, :ip, :user_agent, :time);

-- on role.created
insert into roles (id, org, code, name, description, type, level, permissions, scope, rules, active, created_at, updated_at)
values (:role_id, :org_id, :code, :name, :description, :type, coalesce(:level, 1), :permissions,
	case :data_scope when 'OWN' then 1 when 'DEPARTMENT' then 2 else 3 end, coalesce(:data_rules, '[]'),
	coalesce(:active, 1), :time, :time);

-- on role.changed
update roles set name = :name, description = :description, level = :level, active = :active, permissions = :permissions,
	scope = case :data_scope when 'OWN' then 1 when 'DEPARTMENT' then 2 else 3 end, rules = coalesce(:data_rules, '[]'),
	updated_at = :time
where id = :role_id;

-- on role.deleted
update roles set active = 0, deleted_at = :time, updated_at = :time where id = :role_id;
delete from member_roles where role = :role_id;

-- on role.granted
insert or ignore into user_roles (user, role) select :user_id, :role_id where :member_id is null;
insert or ignore into member_roles (id, member, role, created_at)
select :binding_id, :member_id, :role_id, :time where :member_id is not null;

-- on role.revoked
delete from user_roles where user = :user_id and role = :role_id and :member_id is null;
delete from member_roles where id = :binding_id;

-- on api_key.created
insert into api_keys (id, user, org, prefix, digest, last4, name, scopes, expires_at, rate_limit, restricted, allowed,
	created_at, updated_at, version)
values (:key_id, :user_id, :org_id, :prefix, :digest, :last4, :name, :scopes, :expires_at_ms, :rate_limit, :restricted, :allowed,
	:time, :time, :version);

-- on api_key.rotated
insert into api_keys (id, user, org, prefix, digest, last4, name, scopes, expires_at, rate_limit, restricted, allowed,
	rotated_from, created_at, updated_at, version)
select :key_id, user, org, :prefix, :digest, :last4, name, scopes, expires_at, rate_limit, restricted, allowed, id, :time,
	:time, :version
from api_keys where id = :from_key_id;
update api_keys set revoked_at = coalesce(revoked_at, :time), updated_at = :time where id = :from_key_id;

-- on api_key.revoked
update api_keys set revoked_at = coalesce(revoked_at, :time), updated_at = :time, version = :version where id = :key_id;

-- on api_key.used_first, api_key.used
update api_keys set last_used_at = max(coalesce(last_used_at, 0), :used_at_ms), version = :version where id = :key_id;

-- on api_key.changed
update api_keys set name = :name, scopes = :scopes, expires_at = :expires_at_ms, rate_limit = :rate_limit,
	restricted = :restricted, allowed = :allowed, updated_at = :time, version = :version
where id = :key_id;

-- on api_key.tallied
insert into api_key_usage (key, hour, route, method, status, count, latency_total, latency_max, first_at, last_at)
values (:key_id, :since_ms - :since_ms % 3600000, :route, :method, :status, :count, :latency_us_total, :latency_us_max,
	:since_ms, :until_ms)
on conflict (key, hour, route, method, status) do update set count = count + excluded.count,
	latency_total = latency_total + excluded.latency_total, latency_max = max(latency_max, excluded.latency_max),
	first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);
delete from api_key_usage where hour < :since_ms - 7776000000;

-- on user.profile_changed
update users set display_name = iif(:display_name is null, display_name, nullif(:display_name, '')), updated_at = :time
where id = :user_id;
insert or ignore into user_profiles (user, updated_at) values (:user_id, :time);
update user_profiles set
	avatar = iif(:avatar is null, avatar, nullif(:avatar, '')),
	bio = iif(:bio is null, bio, nullif(:bio, '')),
	first_name = iif(:first_name is null, first_name, nullif(:first_name, '')),
	last_name = iif(:last_name is null, last_name, nullif(:last_name, '')),
	date_of_birth = iif(:date_of_birth is null, date_of_birth, nullif(:date_of_birth, '')),
	gender = iif(:gender is null, gender, nullif(:gender, '')),
	address = iif(:address is null, address, nullif(:address, '')),
	city = iif(:city is null, city, nullif(:city, '')),
	country = iif(:country is null, country, nullif(:country, '')),
	zip_code = iif(:zip_code is null, zip_code, nullif(:zip_code, '')),
	website = iif(:website is null, website, nullif(:website, '')),
	updated_at = :time
where user = :user_id;

-- on user.contact_changed
/* A claim that is given back with none in its place: that name is taken away. */
update users set
	username = iif(coalesce(:username_claim, :old_username_claim) is null, coalesce(:username, username), :username),
	username_claim = iif(coalesce(:username_claim, :old_username_claim) is null, username_claim, :username_claim),
	email = iif(coalesce(:email_claim, :old_email_claim) is null, email, :email),
	email_claim = iif(coalesce(:email_claim, :old_email_claim) is null, email_claim, :email_claim),
	email_verified_at = iif(coalesce(:email_claim, :old_email_claim) is null, email_verified_at, iif(:email_verified, :time, null)),
	phone = iif(coalesce(:phone_claim, :old_phone_claim) is null, phone, :phone),
	phone_claim = iif(coalesce(:phone_claim, :old_phone_claim) is null, phone_claim, :phone_claim),
	country_code = iif(coalesce(:phone_claim, :old_phone_claim) is null, country_code, :country_code),
	phone_verified_at = iif(coalesce(:phone_claim, :old_phone_claim) is null, phone_verified_at, iif(:phone_verified, :time, null)),
	credentials_version = iif(coalesce(:email_claim, :old_email_claim, :phone_claim, :old_phone_claim) is null, credentials_version, :version),
	updated_at = :time
where id = :user_id;

-- on verification.requested
/* A new one ends the old. What is a month old and over is told by the log alone. */
update verifications set over_at = :time, why = iif(expires_at <= :time, 'EXPIRED', 'SUPERSEDED')
where target_digest = :target_digest and purpose = :purpose and over_at is null;
insert into verifications (id, purpose, channel, target_digest, address_digest, sealed_code, version, requested_at, expires_at)
values (:request_id, :purpose, :channel, :target_digest, :address_digest, :sealed_code, :version, :time, :expires_at_ms);
delete from verifications where requested_at < :time - 2592000000 and ended_at is not null;

-- on verification.used
update verifications set version = :version, over_at = coalesce(over_at, :time), why = coalesce(why, 'USED')
where id = :request_id;

-- on verification.failed
/* The fifth wrong one ends it. */
update verifications set version = :version, tries = tries + 1,
	over_at = iif(tries >= 4, coalesce(over_at, :time), over_at), why = iif(tries >= 4, coalesce(why, 'TRIES'), why)
where id = :request_id;

-- on verification.ended
update verifications set version = :version, over_at = coalesce(over_at, :time), why = coalesce(why, :reason),
	sealed_code = null, ended_at = :time
where id = :request_id;

-- query account_by_claim
/* A digest is of one kind of name, so at most one of the three can be meant. */
select id, password_hash as "passwordHash", active as "active:bool", deleted_at is not null as "deleted:bool",
	credentials_version as "credentialsVersion:int"
from users where username_claim = :claim or email_claim = :claim or phone_claim = :claim;

-- query verified_phones
select id, country_code as "countryCode", phone from users
where id > :after and phone is not null and phone_verified_at is not null and deleted_at is null order by id limit :limit;

-- query account_by_legacy_claim
/* For tokens of the system replaced. */
select id from users where legacy_claim = :claim;

-- query account_by_id
select id, username, email, country_code as "countryCode", phone, display_name as "displayName",
	password_hash as "passwordHash", active as "active:bool", deleted_at is not null as "deleted:bool",
	email_verified_at is not null as "emailVerified:bool", phone_verified_at is not null as "phoneVerified:bool",
	last_login_at as "lastLoginAt:time", created_at as "createdAt:time"
from users where id = :id;

-- query failures_of_target
/* Wrong tries since the last success or new password, and when the last one was. */
select count(*) as "failures:int", max(at) as "lastAt:int" from logins
where target_digest = :digest and success = 0 and at > :since
	and at > coalesce((select max(at) from logins where target_digest = :digest and success = 1), 0)
	and at > coalesce((select max(password_set_at) from users
		where username_claim = :digest or email_claim = :digest or phone_claim = :digest), 0);

-- query device_seen
/* A device that somebody signed in from with success: only they know what it calls itself. */
select exists (select 1 from logins where user = :user and device_id = :device and success = 1) as "seen:bool";

-- query failures_of_network
select (select count(*) from logins where address_digest = :address and success = 0 and at > :since) as "address:int",
	(select count(*) from logins where network_digest = :network and success = 0 and at > :since) as "network:int";

-- query session_of_token
select s.id, s.user, s.closed_at is not null as "closed:bool", s.expires_at as "expiresAt:int", s.until as "until:int",
	s.client_type as "clientType", s.device_id as "deviceId", t.used_at as "usedAt:int", u.active as "active:bool",
	u.deleted_at is not null as "deleted:bool"
from refresh_tokens as t join sessions as s on s.id = t.session join users as u on u.id = s.user
where t.digest = :digest;

-- query sessions_of_user
select id, login_type as "loginType", client_type as "clientType", device_info as "deviceInfo", device_id as "deviceId",
	user_agent as "userAgent", ip, opened_at as "createdAt:time", used_at as "lastUsedAt:time",
	expires_at as "expiresAt:time"
from sessions where user = :user and closed_at is null and expires_at > :now order by used_at desc, id;

-- query sessions_too_many
/* All but the newest so many, the oldest first. */
select id from (select id, opened_at from sessions where user = :user and closed_at is null and expires_at > :now
	order by opened_at desc, id desc limit -1 offset :offset)
order by opened_at, id;

-- query logins_like_this
/* Has anything of it been seen in a log-in that succeeded? A device without a name is told by what it says it is. */
select count(*) > 0 as "any:bool",
	coalesce(max(iif(:device = '', device_id is null and user_agent = :agent, device_id = :device)), 0) as "device:bool",
	coalesce(max(network_digest = :network), 0) as "network:bool"
from logins where user = :user and success = 1;

-- query principal_of_user
/*
 * With the session they come by: neither closed nor over. inOrgs has a text for each organisation and reach there:
 * id, reach (1 own, 2 department, 3 organisation), permissions.
 */
select u.id, u.active and u.deleted_at is null as "active:bool", s.closed_at is not null as "closed:bool",
	(select json_group_array(code) from (select r.code from user_roles as g join roles as r on r.id = g.role
		where g.user = u.id and r.active order by r.level, r.code)) as "roles:json",
	(select json_group_array(distinct permission) from effective_permissions
		where user = :user and org is null) as "permissions:json",
	(select json_group_array(line) from (select org || ' ' || reach || ' ' || group_concat(permission, ' ') as line
		from (select org, permission, max(scope) as reach from effective_permissions
			where user = :user and org is not null group by org, permission)
		group by org, reach)) as "inOrgs:json"
from users as u left join sessions as s on s.id = :session and s.user = u.id
where u.id = :user;

-- query api_key_by_prefix
/* For who calls with it. Whose rights it has is the question principal_of_user. */
select id, user, org, digest, scopes as "scopes:json", expires_at as "expiresAt:int", rate_limit as "rateLimit:int",
	restricted as "restricted:bool", allowed, revoked_at is not null as "revoked:bool", last_used_at as "lastUsedAt:int"
from api_keys where prefix = :prefix;

-- query api_key_by_id
select id, user as "userId", org as "orgId", name, prefix, last4,
	case when revoked_at is not null then 'REVOKED' when expires_at <= :now then 'EXPIRED' else 'ACTIVE' end as status,
	scopes as "scopes:json", expires_at as "expiresAt:time", rate_limit as "rateLimit:int", allowed as "allowedIps",
	restricted as "restricted:bool", rotated_from as "rotatedFromId", revoked_at as "revokedAt:time",
	last_used_at as "lastUsedAt:time", created_at as "createdAt:time", expires_at as "expiresAtMs:int",
	version as "version:int"
from api_keys where id = :id;

-- query api_keys_of_user
/* '' is anybody, any organisation or none, and any status. */
select id, user as "userId", org as "orgId", name, prefix, last4, status, scopes as "scopes:json", expires_at as "expiresAt:time",
	rate_limit as "rateLimit:int", allowed as "allowedIps", rotated_from as "rotatedFromId",
	revoked_at as "revokedAt:time", last_used_at as "lastUsedAt:time", created_at as "createdAt:time"
from (select *, case when revoked_at is not null then 'REVOKED' when expires_at <= :now then 'EXPIRED' else 'ACTIVE' end
	as status from api_keys where (:user = '' or user = :user) and (:org = '' or org = :org))
where :status = '' or status = :status
order by created_at desc, id desc limit :limit offset :offset;

-- query api_key_usage_page
with hit as (select * from api_key_usage where key = :key and hour >= :from and hour <= :to and (:status < 0 or status = :status))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select json_object(
	'hour', strftime('%Y-%m-%dT%H:%M:%fZ', hour / 1000.0, 'unixepoch'), 'method', method, 'path', route, 'statusCode', status,
	'count', count, 'latencyMs', round(latency_total / 1000.0 / count, 3), 'latencyMsMax', round(latency_max / 1000.0, 3),
	'firstUsedAt', strftime('%Y-%m-%dT%H:%M:%fZ', first_at / 1000.0, 'unixepoch'),
	'lastUsedAt', strftime('%Y-%m-%dT%H:%M:%fZ', last_at / 1000.0, 'unixepoch')) as object from hit
	order by hour desc, last_at desc, route, method, status limit :limit offset :offset)) as "items:json";

-- query count_of_api_keys
select count(*) as "total:int" from (select case when revoked_at is not null then 'REVOKED'
	when expires_at <= :now then 'EXPIRED' else 'ACTIVE' end as status from api_keys
	where (:user = '' or user = :user) and (:org = '' or org = :org))
where :status = '' or status = :status;

-- query role_by_code
select id, code, name, type, level as "level:int", permissions as "permissions:json" from roles
where code = :code and org is null;

-- query counts_of_accounts
select (select count(*) from users) as "users:int", (select count(*) from roles where type = 'SYSTEM') as "roles:int",
	(select count(*) from user_roles as g join roles as r on r.id = g.role where r.code = 'SUPER_ADMIN') as "admins:int";

-- list logins
--   filter userId = user, loginType = login_type
--   filter result SUCCESS|FAILURE
--   range startDate..endDate = at
--   sort -createdAt = at
select id, user as "userId", target, login_type as "loginType", success as "success:bool", ip, user_agent as "userAgent",
	reason as "failReason", at as "createdAt:time"
from login_rows;

-- query user_by_id
select id, username, email, country_code as "countryCode", phone, display_name as "displayName",
	email_verified_at is not null as "emailVerified:bool", phone_verified_at is not null as "phoneVerified:bool",
	password_hash is not null as "hasPassword:bool", role, state, active as "active:bool",
	last_login_at as "lastLoginAt:time", created_at as "createdAt:time", updated_at as "updatedAt:time",
	deleted_at as "deletedAt:time",
	(select json_object('avatar', avatar, 'bio', bio, 'firstName', first_name, 'lastName', last_name, 'dateOfBirth', date_of_birth,
		'gender', gender, 'address', address, 'city', city, 'country', country, 'zipCode', zip_code, 'website', website)
		from user_profiles where user = :id) as "profile:json"
from user_rows where id = :id;

-- query user_standing
/* What has to be known before somebody changes an account: what its owner may do, and whether it is the last that may all. */
select u.id, u.active as "active:bool", u.deleted_at is not null as "deleted:bool", u.erased_at is not null as "erased:bool",
	u.username, u.email, u.phone, u.country_code as "countryCode", u.display_name as "displayName", u.username_claim as "usernameClaim",
	u.email_claim as "emailClaim", u.phone_claim as "phoneClaim", u.legacy_claim as "legacyClaim",
	(select json_group_array(distinct permission) from effective_permissions where user = u.id and org is null) as "permissions:json",
	u.id in (select g.user from user_roles as g join roles as r on r.id = g.role where r.code = 'SUPER_ADMIN')
		and u.active and u.deleted_at is null and not exists (
			select 1 from user_roles as g join roles as r on r.id = g.role join users as o on o.id = g.user
			where r.code = 'SUPER_ADMIN' and o.id <> u.id and o.active and o.deleted_at is null) as "lastAdmin:bool"
from users as u where u.id = :id;

-- list users
--   filter state ACTIVE|DISABLED|DELETED|ERASED
--   filter deleted = is_deleted bool
--   filter active bool
--   filter role
--   range startDate..endDate = created_at
--   search users_search on row
--   sort -createdAt = created_at, -updatedAt = updated_at
select id, username, email, country_code as "countryCode", phone, display_name as "displayName",
	email_verified_at is not null as "emailVerified:bool", phone_verified_at is not null as "phoneVerified:bool",
	password_hash is not null as "hasPassword:bool", role, state, active as "active:bool",
	last_login_at as "lastLoginAt:time", created_at as "createdAt:time", updated_at as "updatedAt:time",
	deleted_at as "deletedAt:time"
from user_rows;

-- query profile_of_user
select u.id, u.username, u.email, u.country_code as "countryCode", u.phone, u.display_name as "displayName",
	u.username_claim as "usernameClaim", u.email_claim as "emailClaim", u.phone_claim as "phoneClaim",
	u.password_hash as "passwordHash", u.active and u.deleted_at is null as "active:bool",
	u.email_verified_at is not null as "emailVerified:bool", u.phone_verified_at is not null as "phoneVerified:bool",
	u.last_login_at as "lastLoginAt:time", u.created_at as "createdAt:time",
	p.avatar, p.bio, p.first_name as "firstName", p.last_name as "lastName", p.date_of_birth as "dateOfBirth", p.gender,
	p.address, p.city, p.country, p.zip_code as "zipCode", p.website
from users as u left join user_profiles as p on p.user = u.id where u.id = :id;

-- query session_opened
select opened_at as "openedAt:int", used_at as "usedAt:int", idle_at is not null as "wasIdle:bool"
from sessions where id = :id and user = :user;

-- query codes_sent
/* When the codes were asked for that the limits go by: to the target the newest, 5th and 10th newest; by the address the
 * 20th; of all, the one that makes the day full. Null where there were not so many. */
select (select id from verifications where target_digest = :target order by requested_at desc, id desc limit 1) as "newest",
	(select max(requested_at) from verifications where target_digest = :target) as "lastAt:int",
	(select requested_at from verifications where target_digest = :target order by requested_at desc limit 1 offset 4)
		as "fifthAt:int",
	(select requested_at from verifications where target_digest = :target order by requested_at desc limit 1 offset 9)
		as "tenthAt:int",
	(select requested_at from verifications where address_digest = :address order by requested_at desc limit 1 offset 19)
		as "ofAddressAt:int",
	(select requested_at from verifications order by requested_at desc limit 1 offset coalesce(:most, 1) - 1) as "ofAllAt:int";

-- query code_open
select id, sealed_code as "sealedCode", version as "version:int", expires_at as "expiresAt:int" from verifications
where target_digest = :target and purpose = :purpose and over_at is null;

-- query codes_over
/* Those whose key is to be destroyed. */
select id, coalesce(why, 'EXPIRED') as "reason" from verifications
where ended_at is null and (over_at is not null or expires_at <= :now) order by id limit 256;

/* ---- organisations, departments, members, roles, permissions ------------------------------------------------------- */

-- table
create table orgs (
	id text primary key,
	name text not null,
	code text not null,
	description text, logo text,
	parent text,
	sort_order integer not null,
	active integer not null,
	created_at integer not null,
	updated_at integer not null,
	deleted_at integer
) strict, without rowid;
create index orgs_parent on orgs (parent);
create index orgs_created on orgs (created_at, id);

create table departments (
	id text primary key,
	org text not null,
	name text not null,
	code text not null,
	description text,
	parent text,
	leader text,
	sort_order integer not null,
	active integer not null,
	created_at integer not null,
	updated_at integer not null,
	deleted_at integer
) strict, without rowid;
create index departments_org on departments (org);
create index departments_parent on departments (parent);

create table members (
	id text primary key,
	org text not null,
	user text not null,
	type text not null,
	status text not null,
	display_name text, employee_no text, external_company text, title text,
	employee_claim text,
	primary_department text,
	joined_at integer not null,
	created_at integer not null,
	updated_at integer not null,
	deleted_at integer
) strict, without rowid;
create index members_org on members (org, created_at);
create index members_user on members (user);

create table member_departments (
	member text not null,
	department text not null,
	primary key (member, department)
) strict, without rowid;
create index member_departments_department on member_departments (department);

create table member_roles (
	id text primary key,
	member text not null,
	role text not null,
	created_at integer not null
) strict, without rowid;
create index member_roles_member on member_roles (member);
create index member_roles_role on member_roles (role);

/* What a member has beside their roles, or has not whatever these give. */
create table member_permissions (
	id text primary key,
	member text not null,
	permission text not null,
	code text not null,
	granted integer not null,
	created_at integer not null,
	updated_at integer not null
) strict, without rowid;
create unique index member_permissions_code on member_permissions (member, code);

create table permissions (
	id text primary key,
	code text not null,
	name text not null,
	description text,
	resource text not null,
	action text not null,
	type text not null,
	parent text,
	level integer not null,
	sort_order integer not null,
	active integer not null,
	built_in integer not null default 0,
	created_at integer,
	updated_at integer
) strict, without rowid;
create unique index permissions_code on permissions (code);

create table data_rules (
	id text primary key,
	code text not null,
	name text not null,
	description text,
	resource text not null,
	condition text not null,
	scope integer not null,
	active integer not null,
	created_at integer not null,
	updated_at integer not null
) strict, without rowid;
create unique index data_rules_code on data_rules (code);

/* What the program's own routes ask for: there with the program, whatever the log says. */
insert into permissions (id, code, name, resource, action, type, level, sort_order, active, built_in)
select code, code, name, substr(code, 1, instr(code, ':') - 1), substr(code, instr(code, ':') + 1), 'API', 1, 0, 1, 1
from (
	select 'api_keys:manage' as code, 'Manage API keys of others' as name
	union all values ('departments:read', 'See departments'), ('departments:write', 'Change departments'),
	('effects:manage', 'Try effects again, drop them, hold lanes'), ('effects:read', 'See effects'), ('events:read', 'Read the log and its proofs'),
	('lark:manage', 'Decide about rows of Feishu, send messages there'), ('lark:read', 'See rows of Feishu'),
	('identities:read', 'See platform identities'), ('identities:write', 'Link platform identities'),
	('mail:send', 'Have mails sent'), ('meetings:read', 'See meetings'), ('members:read', 'See members'), ('members:write', 'Change memberships'),
	('metrics:read', 'See measurements'), ('orgs:read', 'See organisations'), ('orgs:write', 'Change organisations'),
	('permissions:read', 'See permissions'), ('permissions:write', 'Change permissions'),
	('personal:read', 'See names and contacts of people in events'), ('projections:write', 'Decide about read models'),
	('recordings:read', 'See recordings'), ('roles:grant', 'Give and take roles'), ('roles:read', 'See roles'),
	('roles:write', 'Change roles'), ('storage:read', 'See what is kept in the object storage'), ('tasks:read', 'See tasks'),
	('tasks:write', 'Schedule, change and run tasks'), ('summaries:read', 'See summaries'),
	('summaries:write', 'Have summaries made'), ('users:read', 'See accounts'), ('users:write', 'Change accounts'),
	('webhooks:read', 'See deliveries')
);

/*
 * Who may do what where, and with how much of it: the only place that says so. org null: everywhere.
 * scope: 1 their own, 2 of their departments and those below, 3 of the organisation, 4 all.
 * A membership gives rights while it is ACTIVE, in its own organisation and while that is in use: those of its roles but
 * for what the member is denied, and those that were given to the member alone.
 */
create view effective_permissions as
select g.user as user, null as org, p.value as permission, 4 as scope
from user_roles as g join roles as r on r.id = g.role and r.active, json_each(r.permissions) as p
union all
select m.user, m.org, p.value, coalesce((select max(d.scope) from json_each(r.rules) as x
	join data_rules as d on d.id = x.value and d.active and d.resource = substr(p.value, 1, instr(p.value, ':') - 1)), r.scope)
from members as m join orgs as o on o.id = m.org and o.active and o.deleted_at is null
	join member_roles as b on b.member = m.id
	join roles as r on r.id = b.role and r.active and (r.org = m.org or (r.org is null and r.code <> 'SUPER_ADMIN')),
	json_each(r.permissions) as p
where m.status = 'ACTIVE' and m.deleted_at is null
	and (r.org is null or exists (select 1 from permissions as c where c.code = p.value and c.active))
	and not exists (select 1 from member_permissions as x where x.member = m.id and x.code = p.value and not x.granted)
union all
select m.user, m.org, x.code, 3
from members as m join orgs as o on o.id = m.org and o.active and o.deleted_at is null
	join member_permissions as x on x.member = m.id and x.granted
	join permissions as c on c.id = x.permission and c.active
where m.status = 'ACTIVE' and m.deleted_at is null;

/* The objects that clients see, each as JSON. */
create view org_rows as
select o.*, json_object('id', o.id, 'name', o.name, 'code', o.code, 'logo', o.logo, 'description', o.description,
	'parentId', o.parent, 'level', (with recursive up (id, n) as (select o.id, 1
		union all select p.parent, n + 1 from up join orgs as p on p.id = up.id where p.parent is not null and n < 64)
		select max(n) from up), 'sortOrder', o.sort_order, 'active', json(iif(o.active, 'true', 'false')),
	'createdAt', strftime('%Y-%m-%dT%H:%M:%fZ', o.created_at / 1000.0, 'unixepoch'),
	'updatedAt', strftime('%Y-%m-%dT%H:%M:%fZ', o.updated_at / 1000.0, 'unixepoch'),
	'deletedAt', strftime('%Y-%m-%dT%H:%M:%fZ', o.deleted_at / 1000.0, 'unixepoch')) as object
from orgs as o;

create view department_levels as
select d.id, (with recursive up (id, n) as (select d.id, 1
	union all select p.parent, n + 1 from up join departments as p on p.id = up.id where p.parent is not null and n < 64)
	select max(n) from up) as level
from departments as d;

create view department_rows as
select d.*, l.level, json_object('id', d.id, 'name', d.name, 'code', d.code, 'description', d.description,
	'organizationId', d.org, 'parentId', d.parent, 'level', l.level, 'sortOrder', d.sort_order,
	'active', json(iif(d.active, 'true', 'false')), 'leaderUserId', d.leader,
	'createdAt', strftime('%Y-%m-%dT%H:%M:%fZ', d.created_at / 1000.0, 'unixepoch'),
	'updatedAt', strftime('%Y-%m-%dT%H:%M:%fZ', d.updated_at / 1000.0, 'unixepoch'),
	'deletedAt', strftime('%Y-%m-%dT%H:%M:%fZ', d.deleted_at / 1000.0, 'unixepoch')) as object
from departments as d join department_levels as l on l.id = d.id;

create view member_rows as
select m.*, json_object('id', m.id, 'orgId', m.org, 'userId', m.user, 'type', m.type, 'status', m.status,
	'orgDisplayName', m.display_name, 'employeeNo', m.employee_no, 'primaryDeptId', m.primary_department,
	'externalCompany', m.external_company, 'title', m.title,
	'joinedAt', strftime('%Y-%m-%dT%H:%M:%fZ', m.joined_at / 1000.0, 'unixepoch'),
	'createdAt', strftime('%Y-%m-%dT%H:%M:%fZ', m.created_at / 1000.0, 'unixepoch'),
	'updatedAt', strftime('%Y-%m-%dT%H:%M:%fZ', m.updated_at / 1000.0, 'unixepoch'),
	'deletedAt', strftime('%Y-%m-%dT%H:%M:%fZ', m.deleted_at / 1000.0, 'unixepoch')) as object
from members as m;

create view member_permission_rows as
select x.*, json_object('id', x.id, 'memberId', x.member, 'permissionId', x.permission, 'code', x.code,
	'granted', json(iif(x.granted, 'true', 'false')),
	'createdAt', strftime('%Y-%m-%dT%H:%M:%fZ', x.created_at / 1000.0, 'unixepoch'),
	'updatedAt', strftime('%Y-%m-%dT%H:%M:%fZ', x.updated_at / 1000.0, 'unixepoch')) as object
from member_permissions as x;

create view role_rows as
select r.*, json_object('id', r.id, 'orgId', r.org, 'name', r.name, 'code', r.code, 'description', r.description,
	'type', r.type, 'level', r.level, 'active', json(iif(r.active, 'true', 'false')),
	'dataScope', case when r.org is null then 'ALL' when r.scope = 1 then 'OWN' when r.scope = 2 then 'DEPARTMENT'
		else 'ORGANIZATION' end,
	'dataRuleIds', json(r.rules),
	'permissionIds', json((select json_group_array(coalesce(p.id, c.value))
		from json_each(r.permissions) as c left join permissions as p on p.code = c.value)),
	'createdAt', strftime('%Y-%m-%dT%H:%M:%fZ', r.created_at / 1000.0, 'unixepoch'),
	'updatedAt', strftime('%Y-%m-%dT%H:%M:%fZ', r.updated_at / 1000.0, 'unixepoch')) as object
from roles as r where r.deleted_at is null;

create view permission_rows as
select p.*, json_object('id', p.id, 'name', p.name, 'code', p.code, 'description', p.description,
	'resource', p.resource, 'action', p.action, 'type', p.type, 'parentId', p.parent, 'level', p.level,
	'sortOrder', p.sort_order, 'active', json(iif(p.active, 'true', 'false')),
	'builtIn', json(iif(p.built_in, 'true', 'false')),
	'createdAt', strftime('%Y-%m-%dT%H:%M:%fZ', p.created_at / 1000.0, 'unixepoch'),
	'updatedAt', strftime('%Y-%m-%dT%H:%M:%fZ', p.updated_at / 1000.0, 'unixepoch')) as object
from permissions as p;

create view data_rule_rows as
select d.*, json_object('id', d.id, 'name', d.name, 'code', d.code, 'description', d.description,
	'resource', d.resource, 'condition', d.condition, 'active', json(iif(d.active, 'true', 'false')),
	'createdAt', strftime('%Y-%m-%dT%H:%M:%fZ', d.created_at / 1000.0, 'unixepoch'),
	'updatedAt', strftime('%Y-%m-%dT%H:%M:%fZ', d.updated_at / 1000.0, 'unixepoch')) as object
from data_rules as d;

-- on org.created
insert into orgs (id, name, code, description, logo, parent, sort_order, active, created_at, updated_at)
values (:org_id, :name, :code, :description, :logo, :parent_id, :sort_order, :active, :time, :time);

-- on org.changed
update orgs set name = :name, code = :code, description = :description, logo = :logo, parent = :parent_id,
	sort_order = :sort_order, active = :active, updated_at = :time
where id = :org_id;

-- on org.deleted
update orgs set deleted_at = :time, updated_at = :time where id = :org_id;

-- on department.created
insert into departments (id, org, name, code, description, parent, leader, sort_order, active, created_at, updated_at)
values (:department_id, :org_id, :name, :code, :description, :parent_id, :leader_id, :sort_order, :active, :time, :time);

-- on department.changed
update departments set name = :name, code = :code, description = :description, parent = :parent_id, leader = :leader_id,
	sort_order = :sort_order, active = :active, updated_at = :time
where id = :department_id;

-- on department.deleted
update departments set deleted_at = :time, updated_at = :time where id = :department_id;

-- on member.added
insert into members (id, org, user, type, status, display_name, employee_no, employee_claim, external_company, title,
	primary_department, joined_at, created_at, updated_at)
values (:member_id, :org_id, :user_id, :type, :status, :org_display_name, :employee_no, :employee_claim, :external_company,
	:title, :primary_department_id, :joined_at_ms, :time, :time);
insert into member_departments (member, department) select distinct :member_id, value from json_each(:department_ids);

-- on member.changed
update members set type = :type, status = :status, display_name = :org_display_name, employee_no = :employee_no,
	employee_claim = iif(coalesce(:employee_claim, :employee_released) is null, employee_claim, :employee_claim),
	external_company = :external_company, title = :title, primary_department = :primary_department_id,
	joined_at = :joined_at_ms, updated_at = :time
where id = :member_id;
delete from member_departments where member = :member_id;
insert into member_departments (member, department) select distinct :member_id, value from json_each(:department_ids);

-- on member.removed
update members set deleted_at = :time, updated_at = :time where id = :member_id;
delete from member_departments where member = :member_id;
delete from member_roles where member = :member_id;
delete from member_permissions where member = :member_id;

-- on member.permission_set
insert into member_permissions (id, member, permission, code, granted, created_at, updated_at)
values (:grant_id, :member_id, :permission_id, :code, :granted, :time, :time)
on conflict (id) do update set granted = excluded.granted, updated_at = excluded.updated_at;

-- on member.permission_cleared
delete from member_permissions where member = :member_id and code = :code;

-- on privacy.erasure.requested
update members set display_name = null, employee_no = null, external_company = null, title = null where user = :subject_id;

-- on permission.created
insert into permissions (id, code, name, description, resource, action, type, parent, level, sort_order, active, created_at,
	updated_at)
values (:permission_id, :code, :name, :description, :resource, :action, :type, :parent_id, :level, :sort_order, :active,
	:time, :time);

-- on permission.changed
update permissions set name = :name, description = :description, type = :type, parent = :parent_id, level = :level,
	sort_order = :sort_order, active = :active, updated_at = :time
where id = :permission_id and not built_in;

-- on permission.deleted
delete from permissions where id = :permission_id and not built_in;
delete from member_permissions where permission = :permission_id;
update roles set permissions = (select json_group_array(value) from json_each(roles.permissions) where value <> :code)
where org is not null and exists (select 1 from json_each(roles.permissions) where value = :code);

-- on data_rule.created
insert into data_rules (id, code, name, description, resource, condition, scope, active, created_at, updated_at)
values (:rule_id, :code, :name, :description, :resource, :condition,
	case :data_scope when 'OWN' then 1 when 'DEPARTMENT' then 2 else 3 end, :active, :time, :time);

-- on data_rule.changed
update data_rules set name = :name, description = :description, resource = :resource, condition = :condition,
	scope = case :data_scope when 'OWN' then 1 when 'DEPARTMENT' then 2 else 3 end, active = :active, updated_at = :time
where id = :rule_id;

-- on data_rule.deleted
delete from data_rules where id = :rule_id;
update roles set rules = (select json_group_array(value) from json_each(roles.rules) where value <> :rule_id)
where exists (select 1 from json_each(roles.rules) where value = :rule_id);

-- query right_of_user
/* How far a permission reaches there ('' : everywhere); 0: not at all. Somebody disabled has none. */
select coalesce(max(e.scope), 0) as "scope:int" from effective_permissions as e join users as u on u.id = :user
where e.user = :user and u.active and u.deleted_at is null and (e.org is null or e.org = :org)
	and e.permission in ('*', :permission);

-- query rights_lacking
/* Which of these permissions somebody has not, or not as far as a role with this scope and these rules would give them. */
select p.value as code from json_each(:permissions) as p
where not exists (select 1 from effective_permissions as e join users as u on u.id = e.user and u.active and u.deleted_at is null
	where e.user = :user and (e.org is null or e.org = :org) and e.permission in ('*', p.value)
	and e.scope >= coalesce((select max(d.scope) from json_each(:rules) as x join data_rules as d on d.id = x.value and d.active
		and d.resource = substr(p.value, 1, instr(p.value, ':') - 1)), :scope));

-- query organizations_of_user
select o.id as "orgId", o.name as "orgName", o.code as "orgCode", m.id as "memberId", m.status,
	(select json_group_array(r.code) from member_roles as b join roles as r on r.id = b.role and r.active
		where b.member = m.id) as "roles:json",
	(select json_group_array(distinct e.permission) from effective_permissions as e
		where e.user = :user and e.org = m.org) as "perm:json",
	(select json_group_object(permission, case scope when 1 then 'OWN' when 2 then 'DEPARTMENT' else 'ORGANIZATION' end)
		from (select permission, max(scope) as scope from effective_permissions
			where user = :user and org = m.org group by permission)) as "dataScopes:json"
from members as m join orgs as o on o.id = m.org and o.deleted_at is null
where m.user = :user and m.deleted_at is null order by m.joined_at, m.id;

-- query other_super_admins
/* Who could still do everything if this account could not. */
select count(*) as "n:int" from user_roles as g join roles as r on r.id = g.role and r.org is null and r.code = 'SUPER_ADMIN'
	join users as u on u.id = g.user and u.active and u.deleted_at is null
where g.user <> :user;

-- query orgs_page
/* orgs: those to be seen, as a JSON array; null: all. */
with hit as (select object, created_at, id from org_rows where deleted_at is null
	and (:all or id in (select value from json_each(:orgs)))
	and (:keyword = '' or instr(lower(name), lower(:keyword)) or instr(lower(code), lower(:keyword))))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select object from hit
	order by created_at desc, id limit :limit offset :offset)) as "items:json";

-- query org_by_id
select id, name, code, description, logo, parent, sort_order as "sortOrder:int", active as "active:bool",
	deleted_at is not null as "deleted:bool", object as "object:json"
from org_rows where id = :id;

-- query org_stats
/* API keys are those that count in it, whatever others its members have. */
select (select count(*) from members where org = :id and deleted_at is null) as "totalUsers:int",
	(select count(*) from departments where org = :id and deleted_at is null) as "totalDepartments:int",
	(select count(*) from members as m join users as u on u.id = m.user where m.org = :id and m.deleted_at is null
		and not (u.active and u.deleted_at is null)) as "disabledUsers:int",
	(select count(*) from members as m join users as u on u.id = m.user where m.org = :id and m.deleted_at is null
		and u.active and u.deleted_at is null) as "activeUsers:int",
	(select count(*) from members as m join member_roles as b on b.member = m.id join roles as r on r.id = b.role
		where m.org = :id and m.deleted_at is null and r.code = 'ADMIN' and r.org is null) as "adminUsers:int",
	(select count(*) from api_keys where org = :id) as "totalApiKeys:int",
	(select count(*) from api_keys where org = :id and revoked_at is null and expires_at > :now) as "activeApiKeys:int",
	(select count(*) from orgs where parent = :id and deleted_at is null) as "children:int";

-- query org_line
/* The organisation and those above it, as far as they go: whether a parent makes a circle, and how deep it is. */
with recursive up (id, n) as (select id, 1 from orgs where id = :id
	union all select o.parent, n + 1 from up join orgs as o on o.id = up.id where o.parent is not null and n < 64)
select id, n as "n:int" from up;

-- query org_depth_below
with recursive down (id, n) as (select :id, 1
	union all select o.id, n + 1 from down join orgs as o on o.parent = down.id where n < 64)
select max(n) as "n:int" from down;

-- query departments_page
/* scope 3: all of the organisation's; 2: the caller's and those below; 1: the caller's. */
with recursive own (id) as (select d.department from members as m join member_departments as d on d.member = m.id
	where m.user = :caller and m.org = :org and m.status = 'ACTIVE' and m.deleted_at is null),
reach (id) as (select id from own union select k.id from reach join departments as k on k.parent = reach.id where :scope > 1),
hit as (select object, sort_order, created_at, id from department_rows where org = :org and deleted_at is null
	and (:scope >= 3 or id in (select id from reach)) and (:parent = '' or parent = :parent)
	and (:level = 0 or level = :level))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select object from hit
	order by sort_order, created_at desc, id limit :limit offset :offset)) as "items:json";

-- query departments_tree
with recursive own (id) as (select d.department from members as m join member_departments as d on d.member = m.id
	where m.user = :caller and m.org = :org and m.status = 'ACTIVE' and m.deleted_at is null),
reach (id) as (select id from own union select k.id from reach join departments as k on k.parent = reach.id where :scope > 1)
select id, parent, object as "object:json" from department_rows where org = :org and deleted_at is null
	and (:scope >= 3 or id in (select id from reach)) order by sort_order, created_at desc, id limit 5000;

-- query department_by_id
select id, org, name, code, description, parent, leader, sort_order as "sortOrder:int", active as "active:bool",
	deleted_at is not null as "deleted:bool", object as "object:json"
from department_rows where id = :id;

-- query department_line
with recursive up (id, n) as (select id, 1 from departments where id = :id
	union all select d.parent, n + 1 from up join departments as d on d.id = up.id where d.parent is not null and n < 64)
select d.id, d.name, d.code, l.level as "level:int", up.n as "n:int"
from up join departments as d on d.id = up.id join department_levels as l on l.id = d.id order by up.n desc;

-- query department_depth_below
with recursive down (id, n) as (select :id, 1
	union all select d.id, n + 1 from down join departments as d on d.parent = down.id where n < 64)
select max(n) as "n:int" from down;

-- query department_children
select json_group_array(json(object)) as "items:json" from (select object from department_rows
	where parent = :id and deleted_at is null order by sort_order, created_at desc, id);

-- query department_in_use
with recursive down (id) as (select :id union select d.id from down join departments as d on d.parent = down.id
	where d.deleted_at is null)
select (select count(*) from departments where parent = :id and deleted_at is null) as "children:int",
	(select count(*) from down join member_departments as m on m.department = down.id) as "members:int";

-- query departments_out_of_reach
/* Which of these departments are not the organisation's, or not within the caller's reach of them. */
with recursive own (id) as (select d.department from members as m join member_departments as d on d.member = m.id
	where m.user = :caller and m.org = :org and m.status = 'ACTIVE' and m.deleted_at is null),
reach (id) as (select id from own union select k.id from reach join departments as k on k.parent = reach.id where :scope > 1)
select x.value as id, not exists (select 1 from departments as d where d.id = x.value and d.org = :org
	and d.deleted_at is null) as "missing:bool"
from json_each(:departments) as x
where not exists (select 1 from departments as d where d.id = x.value and d.org = :org and d.deleted_at is null)
	or not (:scope >= 3 or x.value in (select id from reach));

-- query member_in_reach
with recursive own (id) as (select d.department from members as m join member_departments as d on d.member = m.id
	where m.user = :caller and m.org = :org and m.status = 'ACTIVE' and m.deleted_at is null),
reach (id) as (select id from own union select k.id from reach join departments as k on k.parent = reach.id)
select :scope >= 3 or m.user = :caller or (:scope = 2 and exists (select 1 from member_departments as x
	where x.member = m.id and x.department in (select id from reach))) as "within:bool"
from members as m where m.id = :id;

-- query members_page
/* Names of the account itself are looked at only for those who have joined, unless the caller may see all accounts. */
with recursive own (id) as (select d.department from members as m join member_departments as d on d.member = m.id
	where m.user = :caller and m.org = :org and m.status = 'ACTIVE' and m.deleted_at is null),
reach (id) as (select id from own union select k.id from reach join departments as k on k.parent = reach.id),
wanted (id) as (select :department where :department <> '' union
	select k.id from wanted join departments as k on k.parent = wanted.id where :children and k.deleted_at is null),
hit as (select m.object, m.created_at, m.id from member_rows as m left join users as u on u.id = m.user
	and (:scope = 4 or m.status <> 'INVITED')
	where m.org = :org and m.deleted_at is null
	and (:scope >= 3 or m.user = :caller or (:scope = 2 and exists (select 1 from member_departments as x
		where x.member = m.id and x.department in (select id from reach))))
	and (:keyword = '' or instr(lower(coalesce(m.display_name, '') || char(10) || coalesce(m.employee_no, '') || char(10) ||
		coalesce(u.username, '') || char(10) || coalesce(u.email, '') || char(10) || coalesce(u.display_name, '')),
		lower(:keyword)))
	and (:department = '' or exists (select 1 from member_departments as x where x.member = m.id
		and x.department in (select id from wanted)))
	and (:type = '' or m.type = :type) and (:status = '' or m.status = :status))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select object from hit
	order by created_at desc, id limit :limit offset :offset)) as "items:json";

-- query member_by_id
select m.id, m.org, m.user, m.type, m.status, m.display_name as "displayName", m.employee_no as "employeeNo",
	m.employee_claim as "employeeClaim", m.primary_department as "primaryDepartment", m.external_company as "externalCompany", m.title,
	m.joined_at as "joinedAt:int", m.deleted_at is not null as "deleted:bool",
	(select json_group_array(department) from member_departments where member = m.id) as "departments:json",
	m.object as "object:json",
	(select json_object('id', u.id, 'username', u.username, 'email', u.email,
		'profile', json_object('displayName', u.display_name, 'avatar', (select avatar from user_profiles where user = u.id)))
		from users as u where u.id = m.user) as "account:json",
	(select json_object('id', d.id, 'name', d.name, 'code', d.code) from departments as d
		where d.id = m.primary_department) as "primaryDept:json",
	(select json_group_array(json_object('id', d.id, 'name', d.name, 'code', d.code,
		'isPrimary', json(iif(d.id = m.primary_department, 'true', 'false'))))
		from member_departments as x join departments as d on d.id = x.department where x.member = m.id) as "inDepartments:json",
	(select json_group_array(json_object('id', r.id, 'name', r.name, 'code', r.code))
		from member_roles as b join roles as r on r.id = b.role where b.member = m.id) as "roles:json"
from member_rows as m where m.id = :id;

-- query member_of_org
select id from members where org = :org and user = :user and deleted_at is null;

-- query department_members
with recursive own (id) as (select d.department from members as m join member_departments as d on d.member = m.id
	where m.user = :caller and m.org = (select org from departments where id = :id) and m.status = 'ACTIVE'
	and m.deleted_at is null),
reach (id) as (select id from own union select k.id from reach join departments as k on k.parent = reach.id),
wanted (id) as (select :id union
	select k.id from wanted join departments as k on k.parent = wanted.id where :children and k.deleted_at is null),
hit as (select m.*, u.username, u.display_name as name, u.email,
	(select avatar from user_profiles where user = u.id) as avatar, :id in (select department from member_departments
	where member = m.id) and m.primary_department = :id as is_primary
	from members as m left join users as u on u.id = m.user and (:scope = 4 or m.status <> 'INVITED')
	where m.deleted_at is null and exists (select 1 from member_departments as x where x.member = m.id
		and x.department in (select id from wanted))
	and (:scope >= 3 or m.user = :caller or (:scope = 2 and exists (select 1 from member_departments as x
		where x.member = m.id and x.department in (select id from reach)))))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select json_object(
	'userId', user, 'username', username, 'displayName', coalesce(display_name, name), 'avatar', avatar, 'email', email,
	'isPrimary', json(iif(is_primary, 'true', 'false')),
	'joinedAt', strftime('%Y-%m-%dT%H:%M:%fZ', joined_at / 1000.0, 'unixepoch')) as object from hit
	order by joined_at desc, id limit :limit offset :offset)) as "items:json";

-- query roles_of_member
/* And what was given to them alone, each as a role of its own. */
select r.id, r.code, r.permissions as "permissions:json", r.rules as "rules:json", r.scope as "scope:int"
from member_roles as b join roles as r on r.id = b.role where b.member = :id
union all
select id, code, json_array(code), '[]', 3 from member_permissions where member = :id and granted;

-- query member_permissions_page
with hit as (select object, code from member_permission_rows where member = :member)
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select object from hit
	order by code limit :limit offset :offset)) as "items:json";

-- query member_permission_by_id
select id, granted as "granted:bool", object as "object:json" from member_permission_rows where id = :id;

-- query rights_in_org
/* All somebody may there as a member. */
select json_group_array(distinct permission) as "permissions:json" from effective_permissions where user = :user and org = :org;

-- query roles_above
/* What roles that reach down from where their owner is would come to reach this department if it stood below that parent. */
with recursive over (id) as (select parent from departments where id = :id
	union select d.parent from over join departments as d on d.id = over.id where d.parent is not null),
up (id) as (select :parent union select d.parent from up join departments as d on d.id = up.id where d.parent is not null)
select distinct r.permissions as "permissions:json", r.rules as "rules:json", r.scope as "scope:int"
from up join member_departments as x on x.department = up.id join member_roles as b on b.member = x.member
	join roles as r on r.id = b.role and (r.scope = 2 or r.rules <> '[]')
where up.id not in (select id from over where id is not null);

-- query user_import_open
/* The one that is to be gone on with. */
select id, position as "position:int" from user_imports where ended_at is null order by started_at, id limit 1;

-- query user_imports_ended
select id from user_imports where ended_at is not null;

-- query user_import_rights
/* What who sent it, by a key if there was one, may now. */
select u.active and u.deleted_at is null
		and exists (select 1 from effective_permissions where user = u.id and org is null and permission in ('users:write', '*'))
		and (:key = '' or exists (select 1 from api_keys as k, json_each(k.scopes) as s where k.id = :key and k.revoked_at is null
			and k.expires_at > :now and s.value in ('users:write', '*'))) as "write:bool",
	exists (select 1 from effective_permissions where user = u.id and org is null and permission in ('roles:grant', '*'))
		as "grant:bool",
	exists (select 1 from effective_permissions where user = u.id and org is null and permission = '*') as "all:bool"
from users as u where u.id = :user;

-- query user_import_by_id
select id, state, nullif(how, 'DONE') as "reason", actor, total as "total:int", done as "done:int", created as "created:int",
	done - created as "failed:int", started_at as "startedAt:time", ended_at as "endedAt:time"
from user_import_states where id = :id;

-- query user_import_rows
/* from counts from 0. */
select number as "row:int", line as "line:int", user as "userId", code, field from user_import_rows
where import = :id and number > :from order by number limit :limit;

-- list user_imports
--   filter state RUNNING|DONE|CANCELLED
--   range startDate..endDate = started_at
--   sort -startedAt = started_at
select id, state, nullif(how, 'DONE') as "reason", actor, total as "total:int", done as "done:int", created as "created:int",
	done - created as "failed:int", started_at as "startedAt:time", ended_at as "endedAt:time"
from user_import_states;

-- query account_exists
select id, active and deleted_at is null as "usable:bool" from users where id = :id;

-- query roles_page
with hit as (select object, level, code, id from role_rows where (:all or org is null or org in (select value from json_each(:orgs)))
	and (:org = '' or org = :org) and (:name = '' or instr(lower(name), lower(:name))) and (:code = '' or code = :code)
	and (:type = '' or type = :type) and (:active < 0 or active = :active))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select object from hit
	order by level, code, id limit :limit offset :offset)) as "items:json";

-- query role_by_id
select id, org, code, name, description, type, level as "level:int", active as "active:bool",
	permissions as "permissions:json", rules as "rules:json", scope as "scope:int", object as "object:json"
from role_rows where id = :id;

-- query roles_by_code
/* Of the whole system first. */
select id, org, object as "object:json" from role_rows where code = :code order by org is not null, created_at, id;

-- query permissions_of_role
select json_group_array(json(p.object)) as "items:json" from roles as r, json_each(r.permissions) as c
	join permission_rows as p on p.code = c.value
where r.id = :id;

-- query permission_codes
/* Codes of permissions named by id or code; what is neither comes with unknown. */
select coalesce(p.code, x.value) as code, p.id is null as "unknown:bool" from json_each(:names) as x
	left join permissions as p on p.id = x.value or p.code = x.value;

-- query rules_unknown
select x.value as id from json_each(:rules) as x where not exists (select 1 from data_rules as d where d.id = x.value);

-- query binding_by_id
select b.id, b.role, b.member, m.org, m.user, r.code, r.type, r.permissions as "permissions:json", r.rules as "rules:json",
	r.scope as "scope:int", b.created_at as "createdAt:time"
from member_roles as b join members as m on m.id = b.member join roles as r on r.id = b.role where b.id = :id;

-- query grant_of_role
select user from user_roles where user = :user and role = :role;

-- query permissions_page
with hit as (select object, sort_order, code from permission_rows where (:name = '' or instr(lower(name), lower(:name)))
	and (:code = '' or code = :code) and (:resource = '' or resource = :resource) and (:parent = '' or parent = :parent)
	and (:type = '' or type = :type) and (:active < 0 or active = :active))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select object from hit
	order by sort_order, code limit :limit offset :offset)) as "items:json";

-- query permissions_tree
select id, parent, object as "object:json" from permission_rows where active order by sort_order, code limit 5000;

-- query permission_by_name
/* By id or code. */
select id, code, name, description, resource, action, type, parent, level as "level:int", sort_order as "sortOrder:int",
	active as "active:bool", built_in as "builtIn:bool", object as "object:json",
	(select count(*) from permissions as k where k.parent = p.id) as "children:int"
from permission_rows as p where id = :id or code = :id;

-- query permission_line
with recursive up (id, n) as (select id, 1 from permissions where id = :id
	union all select p.parent, n + 1 from up join permissions as p on p.id = up.id where p.parent is not null and n < 64)
select id, n as "n:int" from up;

-- query data_rules_page
with hit as (select object, code from data_rule_rows where (:name = '' or instr(lower(name), lower(:name)))
	and (:code = '' or code = :code) and (:resource = '' or resource = :resource) and (:active < 0 or active = :active))
select (select count(*) from hit) as "total:int", (select json_group_array(json(object)) from (select object from hit
	order by code limit :limit offset :offset)) as "items:json";

-- query data_rule_by_name
select id, code, name, description, resource, condition, scope as "scope:int", active as "active:bool",
	object as "object:json"
from data_rule_rows where id = :id or code = :id;
