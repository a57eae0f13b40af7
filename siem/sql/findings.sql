-- What a copy of the audit log at a receiver says of its own completeness: no row, or one for each thing that is wrong.
--
-- Over a table holdfast_events(kind, id, log, seq, dseq, body, chain, previous, raw, time, destination, generation,
-- head_size, next, since, heartbeat_chain), which load.sql makes of NDJSON objects. In other engines than DuckDB replace
-- the one macro: Snowflake sha2(text, 256), BigQuery to_hex(sha256(text)), Athena lower(to_hex(sha256(to_utf8(text)))),
-- PostgreSQL encode(sha256(convert_to(text, 'UTF8')), 'hex').
create or replace macro holdfast_sha256(text) as sha256(text);

create or replace view holdfast_placed as
  select distinct log, seq, dseq, body, chain, previous, raw, kind
  from holdfast_events where kind in ('entry', 'stub');

create or replace view holdfast_linked as
  select *,
    lag(seq) over (partition by log order by seq) as before_seq,
    lag(dseq) over (partition by log order by seq) as before_dseq,
    lag(chain) over (partition by log order by seq) as before_chain
  from holdfast_placed;

create or replace view holdfast_heartbeats as
  select log, destination, max(generation) as generation, arg_max(next, time) as next, arg_max(since, time) as since,
    arg_max(heartbeat_chain, time) as chain, arg_max(dseq, time) as dseq, max(time) as time
  from holdfast_events where kind = 'heartbeat' group by log, destination;

create or replace view holdfast_findings as
  -- Tampering: the bytes are not those that were hashed, or the hash is not that of its place in the chain.
  select 'tampered' as finding, log, seq, 'the bytes do not have the hash that was sent with them' as detail
  from holdfast_placed where raw is not null and holdfast_sha256(raw) <> body
union all
  select 'tampered', log, seq, 'the chain hash is not that of this entry in this place'
  from holdfast_placed
  where holdfast_sha256('holdfast/chain/v1|' || log || '|' || seq || '|' || body || '|' || previous) <> chain
union all
  select 'tampered', log, seq, 'the previous hash is not that of the entry before'
  from holdfast_linked where seq = before_seq + 1 and previous <> before_chain
union all
  select 'tampered', log, seq, 'the first entry does not begin the chain'
  from holdfast_placed where seq = 0 and previous <> holdfast_sha256('holdfast/chain/v1|' || log)
union all
  select 'tampered', log, seq, 'two different events have the same place'
  from holdfast_placed group by log, seq having count(*) > 1
union all
  select 'tampered', h.log, h.next - 1, 'the newest heartbeat has another hash for this entry'
  from holdfast_heartbeats h join holdfast_placed p on p.log = h.log and p.seq = h.next - 1 where p.chain <> h.chain
union all
  -- Loss: in a whole feed seq has no gap, in a filtered one dseq has none.
  select 'gap', log, before_seq + 1, (seq - before_seq - 1) || ' entries are missing'
  from holdfast_linked where dseq is null and seq > before_seq + 1
union all
  select 'gap', log, seq, (dseq - before_dseq - 1) || ' entries are missing before this one'
  from holdfast_linked where dseq is not null and dseq > before_dseq + 1
union all
  select 'gap', h.log, coalesce(max(p.seq) + 1, h.since), 'the newest heartbeat counts entries that are not here'
  from holdfast_heartbeats h left join holdfast_placed p on p.log = h.log
  group by h.log, h.next, h.since, h.dseq
  having (h.dseq is null and coalesce(max(p.seq), h.since - 1) < h.next - 1)
    or (h.dseq is not null and coalesce(max(p.dseq), -1) < h.dseq - 1)
union all
  select 'gap', h.log, h.since, 'the feed begins later than its heartbeat says'
  from holdfast_heartbeats h join holdfast_placed p on p.log = h.log
  where h.dseq is null group by h.log, h.since having min(p.seq) > h.since
union all
  -- Delivery is at least once: an identical event that came twice is no attack, but worth dropping.
  select 'duplicate', log, seq, count(*) || ' copies'
  from holdfast_events where kind in ('entry', 'stub') group by log, seq, id having count(*) > 1
union all
  -- Heartbeats come every 60 seconds.
  select 'silence', log, null, 'nothing for five minutes'
  from holdfast_events group by log having max(time) < now() - interval 5 minutes;
