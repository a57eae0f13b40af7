/**
 * One event as a syslog message (RFC 5424) in an octet-counted frame (RFC 5425 §4.3). The message has no byte order mark:
 * it is JSON or CEF, whose readers would trip over it; what it is encoded in, UTF-8, RFC 5424 allows as MSG-ANY.
 */
import type { ConfigOf } from '../config.ts';
import type { FeedEvent } from '../event.ts';
import { sdParam, syslogWord } from '../mappings/escape.ts';
import { mapToText } from '../mappings/map.ts';
import { type Context, levelOf, placeOf, timeOf } from '../mappings/place.ts';
import { mappingOf } from '../mappings/table.ts';

/** What every receiver of RFC 5425 §4.3.1 should take. */
const maxMessageBytes = 8192;
/** SD-ID with the enterprise number that is set aside for examples (RFC 5612), since there is none of our own. */
const structureId = 'holdfast@32473';
/** Severities of RFC 5424 §6.2.1: informational, notice, warning, error. */
const severities = [6, 6, 5, 4, 3];

/** Undefined when it is too long. A checkpoint that does not fit beside the event is left out. */
export function formatFrame(config: ConfigOf<'syslog'>, event: FeedEvent, context: Context): Buffer | undefined {
  const whole = formatMessage(config, event, context);
  if (whole.length <= maxMessageBytes) return frame(whole);
  if (context.checkpoint === undefined) return undefined;
  const message = formatMessage(config, event, { log: context.log });
  return message.length <= maxMessageBytes ? frame(message) : undefined;
}

function frame(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${message.length} `, 'latin1'), message]);
}

function formatMessage({ facility, appName, mapping }: ConfigOf<'syslog'>, event: FeedEvent, context: Context): Buffer {
  const type = event.kind === 'entry' ? event.entry.op.type : event.kind;
  const level = levelOf(event, event.kind === 'entry' ? mappingOf(type).level : 1);
  const priority = facility * 8 + (severities[level] ?? 6);
  const { kind, id, log, seq, dseq, body, chain, previous } = placeOf(event, context);
  const params = Object.entries({ kind, id, log, seq, dseq, body, chain, previous })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${sdParam(`${value}`)}"`);
  const fields = [
    `<${priority}>1`,
    timeOf(event),
    syslogWord(context.log, 255),
    syslogWord(appName, 48),
    '-',
    syslogWord(type, 32),
    `[${structureId}${params.join('')}]`,
    mapToText(mapping, event, context),
  ];
  return Buffer.from(fields.join(' '), 'utf8');
}
