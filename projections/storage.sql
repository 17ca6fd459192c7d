-- What is kept in the object storage, and which files of recordings those objects are.
--
-- An object that was removed stays as a row: whoever looks for it is told since when it is gone. A file of a recording is an
-- object that names the recording; what recording.stored says of it comes with that event, in the same append.

-- table
create table storage_objects (
	id text primary key,
	provider text not null,
	bucket text not null,
	object_key text not null,
	content_type text,
	size_bytes integer not null,
	checksum_sha256 text not null,
	kind text not null,
	recording text,
	created_at integer not null,
	created_by text,
	deleted_at integer,
	is_deleted text as (iif(deleted_at is null, 'NO', 'YES')) virtual
) strict;
create index storage_objects_created on storage_objects (created_at, id);
create index storage_objects_recording on storage_objects (recording, created_at);

create table files (
	object text primary key,
	id text not null,
	duration_ms integer,
	resolution text
) strict, without rowid;
create index files_id on files (id);

create view recording_files as
select coalesce(f.id, o.id) as id, o.recording, o.kind, f.duration_ms, f.resolution, o.id as object, o.content_type,
	o.size_bytes, o.checksum_sha256, o.created_at, coalesce(o.deleted_at, o.created_at) as updated_at, o.deleted_at,
	o.is_deleted
from storage_objects as o left join files as f on f.object = o.id
where o.recording is not null;

-- on object.stored
insert into storage_objects (id, provider, bucket, object_key, content_type, size_bytes, checksum_sha256, kind, recording,
	created_at, created_by)
values (:object_id, :provider, :bucket, :key, :content_type, :size, :sha256, :kind, :recording_id, :time, :created_by)
on conflict (id) do update set provider = excluded.provider, bucket = excluded.bucket, object_key = excluded.object_key,
	content_type = excluded.content_type, size_bytes = excluded.size_bytes, checksum_sha256 = excluded.checksum_sha256,
	kind = excluded.kind, recording = excluded.recording, deleted_at = null;

-- on object.deleted
update storage_objects set deleted_at = :time where id = :object_id and deleted_at is null;

-- on recording.stored
insert into files (object, id, duration_ms, resolution)
values (:object_id, :file_id, :duration_ms, iif(:width is null or :height is null, null, :width || 'x' || :height))
on conflict (object) do update set id = excluded.id, duration_ms = excluded.duration_ms, resolution = excluded.resolution;

-- query storage_object
select o.id, o.provider, o.bucket, o.object_key as "objectKey", o.content_type as "contentType",
	o.size_bytes as "sizeBytes:int", o.checksum_sha256 as "checksumSha256", o.kind, o.recording as "recordingId",
	o.created_at as "createdAt:time", o.created_by as "createdBy", o.deleted_at as "deletedAt:time"
from storage_objects as o where o.id = :id;

-- query recording_file
select o.id as "object", o.provider, o.bucket, o.object_key as "key", o.content_type as "contentType",
	o.checksum_sha256 as "sha256", (o.deleted_at is not null) as "deleted:bool"
from storage_objects as o
where o.recording = :recording and (o.id = :file or o.id in (select f.object from files as f where f.id = :file));

-- list storage_objects
--   filter provider = o.provider LOCAL|OSS|COS|S3
--   filter kind = o.kind VIDEO|AUDIO|TRANSCRIPT|CHAT|THUMBNAIL|SUMMARY|OTHER
--   filter recordingId = o.recording
--   filter deleted = o.is_deleted YES|NO
--   range startDate..endDate = o.created_at
--   sort -createdAt = o.created_at
--   key o.id
select o.id, o.provider, o.bucket, o.object_key as "objectKey", o.content_type as "contentType",
	o.size_bytes as "sizeBytes:int", o.checksum_sha256 as "checksumSha256", o.kind, o.recording as "recordingId",
	o.created_at as "createdAt:time", o.created_by as "createdBy", o.deleted_at as "deletedAt:time"
from storage_objects as o;

-- list recording_files
--   filter recordingId = r.recording
--   filter fileType = r.kind VIDEO|AUDIO|TRANSCRIPT|CHAT|THUMBNAIL|SUMMARY|OTHER
--   filter deleted = r.is_deleted YES|NO
--   sort -createdAt = r.created_at
--   key r.id
select r.id, r.kind as "fileType", r.duration_ms as "durationMs:int", r.resolution, r.recording as "recordingId",
	r.object as "fileObjectId", r.content_type as "contentType", r.size_bytes as "sizeBytes:int",
	r.checksum_sha256 as "checksumSha256", r.created_at as "createdAt:time", r.updated_at as "updatedAt:time",
	r.deleted_at as "deletedAt:time"
from recording_files as r;
