import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { executors } from '../../agent/executors/registry.ts';
import { notes } from './resource-notes.ts';
import { formatReference, page } from './resources.ts';

describe('docs/resources.md', () => {
  test('is what the schemas say: node test/docs/resources.ts writes it', () => {
    assert.equal(readFileSync(page, 'utf8'), formatReference());
  });

  for (const { name, schema } of executors.values()) {
    test(`the example of ${name} is one`, () => {
      const example = parse(notes[name]?.example ?? '');
      // What a crate's text and files become in a release.
      const blob = { sha256: 'a'.repeat(64), bytes: 1 };
      const isBlob = name === 'file' || name === 'archive';
      const { source: _source, ...rest } = example;
      const key = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.alloc(36)]).toString('base64')}`;
      const built = {
        ...(isBlob ? rest : example),
        ...(isBlob ? { content: blob } : {}),
        ...(name === 'authorized_key' ? { key } : {}),
      };
      const parsed = schema.safeParse(built);
      assert.ok(parsed.success, JSON.stringify(parsed.error?.issues));
    });
  }
});
