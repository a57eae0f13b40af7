/** R32: CEF and syslog with hostile names, read by parsers of other people: the same fields whatever anybody is called. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ConfigOf, destinationConfig } from '../../lib/siem/config.ts';
import { formatFrame } from '../../lib/siem/destinations/syslog-frame.ts';
import { mapToText } from '../../lib/siem/mappings/map.ts';
import { hostileText } from '../fakes/hostile-text.ts';
import { logins, testLog } from '../fakes/siem-events.ts';
import { judge, requireTool, skipWithout } from './tools.ts';

const names = ['ada', ...fc.sample(hostileText, { numRuns: 2000, seed: 33 })];
const eventOf = (name: string) => logins(1, name)[0]!;

test('R32 CEF: pycef finds the fields of any other event, and the name as it is', { skip: skipWithout('cef') }, () => {
  const lines = names.map((name) => mapToText('cef', eventOf(name), { log: testLog }));
  const parsed = JSON.parse(judge('cef', JSON.stringify(lines))) as readonly (Record<string, string> | null)[];
  // The bytes are in one field or another, by what they are.
  const fieldsOf = (fields: Record<string, string> | null) =>
    Object.keys(fields ?? {}).filter((name) => !name.startsWith('hfRaw'));
  const expected = fieldsOf(parsed[0]!);
  assert.ok(expected.length > 25);
  for (const [i, fields] of parsed.entries()) {
    assert.deepEqual(fieldsOf(fields), expected, lines[i]);
    assert.equal(fields?.['Name'], 'session.create');
    assert.equal(fields?.['hfId'], `${testLog}:0`);
    if (/^[\w.]+$/.test(names[i]!)) assert.equal(fields?.['suser'], names[i]);
  }
});

test('R32 syslog: nsyslog-parser finds one message with the parameters of any other', {
  skip: skipWithout('npm'),
}, () => {
  type Message = { readonly type: string; readonly structuredData?: readonly Record<string, string>[] };
  const parse = requireTool('nsyslog-parser') as (text: string) => Message;
  const network = { allow: [], pins: [] };
  for (const mapping of ['cef', 'leef', 'raw'] as const) {
    const config = destinationConfig.parse({
      kind: 'syslog',
      name: 'test',
      host: 'receiver.example',
      mapping,
      network,
    });
    const messages = names.map((name) => {
      const frame = formatFrame(config as ConfigOf<'syslog'>, eventOf(name), { log: testLog })!;
      return parse(frame.toString('utf8', frame.indexOf(32) + 1));
    });
    const parametersOf = ({ structuredData = [] }: Message) => structuredData.map((each) => Object.keys(each).sort());
    for (const [i, message] of messages.entries()) {
      assert.deepEqual(parametersOf(message), parametersOf(messages[0]!), names[i]);
      assert.equal(message.structuredData?.[0]?.['$id'], 'holdfast@32473');
      assert.equal(message.structuredData?.[0]?.['seq'], '0');
    }
  }
});
