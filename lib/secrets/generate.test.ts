/** Generated values: length, characters, no bias, and nothing that could be guessed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretsError } from './errors.ts';
import { type CharacterSet, characterSets, generateSecret } from './generate.ts';

for (const characters of Object.keys(characterSets) as CharacterSet[]) {
  test(`a generated value has the wanted length and only characters of its set: ${characters}`, () => {
    const value = Buffer.from(generateSecret({ length: 4096, characters })).toString();
    assert.equal(value.length, 4096);
    assert.deepEqual(
      [...new Set(value)].filter((char) => !characterSets[characters].includes(char)),
      [],
    );
    assert.ok(new Set(value).size > characterSets[characters].length * 0.9, 'nearly all of them occur');
    assert.equal(new Set(characterSets[characters]).size, characterSets[characters].length, 'each once');
  });
}

test('a length that could be guessed is refused', () => {
  for (const [length, characters] of [
    [10, 'alphanumeric'],
    [15, 'hex'],
    [19, 'digits'],
    [0, 'hex'],
    [4097, 'hex'],
    [20.5, 'hex'],
  ] as const) {
    assert.throws(() => generateSecret({ length, characters }), SecretsError, `${length} ${characters}`);
  }
  assert.equal(generateSecret({ length: 16, characters: 'hex' }).length, 16);
});
