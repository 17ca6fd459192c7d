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
	active integer not null default 1,
	created_at integer not null
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
insert into roles (id, org, code, name, description, type, level, permissions, created_at)
values (:role_id, :org_id, :code, :name, :description, :type, coalesce(:level, 1), :permissions, :time);

-- on role.granted
insert or ignore into user_roles (user, role) values (:user_id, :role_id);

-- on role.revoked
delete from user_roles where user = :user_id and role = :role_id;

-- on api_key.created
insert into api_keys (id, user, prefix, digest, last4, name, scopes, expires_at, rate_limit, restricted, allowed,
	created_at, updated_at, version)
values (:key_id, :user_id, :prefix, :digest, :last4, :name, :scopes, :expires_at_ms, :rate_limit, :restricted, :allowed,
	:time, :time, :version);

-- on api_key.rotated
insert into api_keys (id, user, prefix, digest, last4, name, scopes, expires_at, rate_limit, restricted, allowed,
	rotated_from, created_at, updated_at, version)
select :key_id, user, :prefix, :digest, :last4, name, scopes, expires_at, rate_limit, restricted, allowed, id, :time,
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
update users set username = coalesce(:username, username), username_claim = coalesce(:username_claim, username_claim),
	email = coalesce(:email, iif(:email_claim is null, email, null)), email_claim = coalesce(:email_claim, email_claim),
	email_verified_at = iif(:email_claim is null, email_verified_at, iif(:email_verified, :time, null)),
	phone = coalesce(:phone, iif(:phone_claim is null, phone, null)), phone_claim = coalesce(:phone_claim, phone_claim),
	country_code = coalesce(:country_code, iif(:phone_claim is null, country_code, null)),
	phone_verified_at = iif(:phone_claim is null, phone_verified_at, iif(:phone_verified, :time, null)),
	credentials_version = iif(:email_claim is null and :phone_claim is null, credentials_version, :version), updated_at = :time
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
/* With the session they come by: neither closed nor over. */
select u.id, u.active and u.deleted_at is null as "active:bool", s.closed_at is not null as "closed:bool",
	(select json_group_array(code) from (select r.code from user_roles as g join roles as r on r.id = g.role
		where g.user = u.id and r.active order by r.level, r.code)) as "roles:json",
	(select json_group_array(distinct p.value) from user_roles as g join roles as r on r.id = g.role,
		json_each(r.permissions) as p where g.user = u.id and r.active) as "permissions:json"
from users as u left join sessions as s on s.id = :session and s.user = u.id
where u.id = :user;

-- query api_key_by_prefix
/* For who calls with it. Whose rights it has is the question principal_of_user. */
select id, user, digest, scopes as "scopes:json", expires_at as "expiresAt:int", rate_limit as "rateLimit:int",
	restricted as "restricted:bool", allowed, revoked_at is not null as "revoked:bool", last_used_at as "lastUsedAt:int"
from api_keys where prefix = :prefix;

-- query api_key_by_id
select id, user as "userId", name, prefix, last4,
	case when revoked_at is not null then 'REVOKED' when expires_at <= :now then 'EXPIRED' else 'ACTIVE' end as status,
	scopes as "scopes:json", expires_at as "expiresAt:time", rate_limit as "rateLimit:int", allowed as "allowedIps",
	restricted as "restricted:bool", rotated_from as "rotatedFromId", revoked_at as "revokedAt:time",
	last_used_at as "lastUsedAt:time", created_at as "createdAt:time", expires_at as "expiresAtMs:int",
	version as "version:int"
from api_keys where id = :id;

-- query api_keys_of_user
/* '' is anybody, and any status. */
select id, user as "userId", name, prefix, last4, status, scopes as "scopes:json", expires_at as "expiresAt:time",
	rate_limit as "rateLimit:int", allowed as "allowedIps", rotated_from as "rotatedFromId",
	revoked_at as "revokedAt:time", last_used_at as "lastUsedAt:time", created_at as "createdAt:time"
from (select *, case when revoked_at is not null then 'REVOKED' when expires_at <= :now then 'EXPIRED' else 'ACTIVE' end
	as status from api_keys where :user = '' or user = :user)
where :status = '' or status = :status
order by created_at desc, id desc limit :limit offset :offset;

-- query count_of_api_keys
select count(*) as "total:int" from (select case when revoked_at is not null then 'REVOKED'
	when expires_at <= :now then 'EXPIRED' else 'ACTIVE' end as status from api_keys where :user = '' or user = :user)
where :status = '' or status = :status;

-- query role_by_code
select id, code, name, type, level as "level:int", permissions as "permissions:json" from roles
where code = :code and org is null;

-- query counts_of_accounts
select (select count(*) from users) as "users:int", (select count(*) from roles where type = 'SYSTEM') as "roles:int",
	(select count(*) from user_roles as g join roles as r on r.id = g.role where r.code = 'SUPER_ADMIN') as "admins:int";

-- list logins
--   filter userId = user, loginType = login_type, result
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
	deleted_at as "deletedAt:time"
from user_rows where id = :id;

-- query user_standing
/* What has to be known before somebody changes an account: what its owner may do, and whether it is the last that may all. */
select u.id, u.active as "active:bool", u.deleted_at is not null as "deleted:bool", u.erased_at is not null as "erased:bool",
	u.username, u.email, u.phone, u.display_name as "displayName", u.username_claim as "usernameClaim",
	u.email_claim as "emailClaim", u.phone_claim as "phoneClaim",
	(select json_group_array(distinct p.value) from user_roles as g join roles as r on r.id = g.role,
		json_each(r.permissions) as p where g.user = u.id and r.active) as "permissions:json",
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
select opened_at as "openedAt:int" from sessions where id = :id and user = :user;

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
