import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliveryConformance } from '../../../test/conformance/delivery.ts';
import { runningKinds } from '../../../test/fakes/siem-kinds.ts';
import { destinationKinds } from '../config.ts';

test('every kind is among those that the faults are tried on', () => {
  const tried = new Set(Object.values(runningKinds).map(({ kind }) => kind));
  assert.deepEqual([...tried].sort(), [...destinationKinds].sort());
});

for (const [name, kind] of Object.entries(runningKinds)) deliveryConformance(name, kind, kind.kind !== 'syslog');
