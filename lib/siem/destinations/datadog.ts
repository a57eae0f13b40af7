/** Datadog's log intake, v2 (Datadog docs, "Send logs"): a JSON array; 202 means that it is taken. */
import type { ConfigOf } from '../config.ts';
import type { Destination } from '../destination.ts';
import type { FeedEvent } from '../event.ts';
import { createHttpClient, resultOfStatus, sendAndJudge } from '../http.ts';
import { safeJson } from '../mappings/escape.ts';
import { contextOf, mapToDocument } from '../mappings/map.ts';
import { type Context, levelOf, messageOf, placeOf, timeOf } from '../mappings/place.ts';
import { mappingOf } from '../mappings/table.ts';
import { baseUrl } from './url.ts';

type Config = ConfigOf<'datadog'>;

export function openDatadog(config: Config): Destination {
  const client = createHttpClient(config.network);
  return {
    // The intake takes 1000 logs and 5 MB.
    limits: { maxEvents: 500, maxBytes: 1024 * 1024 },
    send(batch, credentials, signal) {
      const sent = {
        method: 'POST' as const,
        url: baseUrl(config.url, 'api/v2/logs'),
        headers: { 'dd-api-key': credentials['apiKey']?.reveal() ?? '', 'content-type': 'application/json' },
        body: `[${batch.events.map((event, i) => formatEvent(config, event, contextOf(batch, i))).join(',\n')}]`,
      };
      return sendAndJudge(client, sent, signal, resultOfStatus);
    },
    async close() {
      client.close();
    },
  };
}

const statuses = ['info', 'info', 'notice', 'warning', 'error'];

/** Reserved attributes first; the event is under the name of its schema, and where it stands under `holdfast`. */
function formatEvent({ mapping, service, tags }: Config, event: FeedEvent, context: Context): string {
  const own = event.kind === 'entry' ? mappingOf(event.entry.op.type) : undefined;
  return safeJson({
    ddsource: 'holdfast',
    ddtags: tags.join(','),
    hostname: context.log,
    service,
    status: statuses[levelOf(event, own?.level ?? 1)],
    message: event.kind === 'entry' ? own?.message : messageOf(event),
    timestamp: timeOf(event),
    holdfast: placeOf(event, context),
    [mapping]: mapToDocument(mapping, event, context),
  });
}
