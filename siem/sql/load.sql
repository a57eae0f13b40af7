-- Makes holdfast_events of NDJSON objects with mapping "raw" or "ocsf", as the s3 destination writes them (DuckDB; for a
-- bucket, INSTALL httpfs and use s3://…/**/*.ndjson.gz). Set the place first: SET VARIABLE holdfast_files = '…';
create or replace table holdfast_events as
with line as (
  select json from read_ndjson_objects(getvariable('holdfast_files'))
), place as (
  select json, coalesce(json->'$.unmapped.holdfast', json->'$.holdfast', json) as p from line
)
select
  p->>'$.kind' as kind,
  p->>'$.id' as id,
  p->>'$.log' as log,
  (p->>'$.seq')::bigint as seq,
  (p->>'$.dseq')::bigint as dseq,
  p->>'$.body' as body,
  case when p->>'$.kind' in ('entry', 'stub') then p->>'$.chain' end as chain,
  p->>'$.previous' as previous,
  coalesce(json->>'$.raw_data', json->>'$.event.original', json->>'$.raw') as raw,
  case
    when json->>'$.metadata.uid' is not null then epoch_ms((json->>'$.time')::bigint)::timestamptz
    else coalesce(json->>'$."@timestamp"', json->>'$.time')::timestamptz
  end as time,
  p->>'$.destination' as destination,
  (p->>'$.generation')::bigint as generation,
  (p->>'$.head.size')::bigint as head_size,
  (p->>'$.next')::bigint as next,
  (p->>'$.since')::bigint as since,
  case when p->>'$.kind' = 'heartbeat' then p->>'$.chain' end as heartbeat_chain
from place;
