import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from './expression.ts';
import { renderTemplate } from './template.ts';

const scope = {
  facts: { os: { family: 'debian' }, cpu: { count: 4 } },
  vars: { workers: 2, names: ['a', 'b'], flag: false, empty: '', map: { k: 'v' } },
  node: { name: 'web1', uuid: 'u', labels: { role: 'web' } },
};
const text = (source: string) => {
  const rendered = renderTemplate(source, scope, 100);
  return rendered.ok ? rendered.text : `problem: ${rendered.problem.message} (${rendered.problem.line})`;
};

test('a template gives vars, facts and the node; nothing is escaped', () => {
  assert.equal(text('{{ vars.workers }} {{ facts.os.family }} {{ node.labels.role }}'), '2 debian web');
  assert.equal(text('{{ "<a> & \'b\'" }}'), "<a> & 'b'");
  assert.equal(text('{% for n in vars.names %}{{ n }};{% endfor %}{{ vars.names | join: "," }}'), 'a;b;a,b');
  assert.equal(text('{{ vars.map | json }}{{ vars.flag }}'), '{"k":"v"}false');
});

for (const [source, problem] of [
  ['a\n{{ vars.nope }}', /undefined variable: vars.nope \(2\)/],
  ['{{ facts.os.nope }}', /undefined variable/],
  ['{{ vars.constructor }}', /undefined variable/],
  ['{{ vars.map.__proto__ }}', /undefined variable/],
  ['{% increment c %}', /increment/],
  ['{{ vars.map }}', /no text of its own/],
  ['{{ vars.names }}', /no text of its own/],
  ['{% for i in (1..100000000) %}x{% endfor %}', /limit exceeded/],
  [
    '{% for i in (1..9000) %}{% for j in (1..9000) %}{% for k in (1..9000) %}{% endfor %}{% endfor %}{% endfor %}',
    /limit exceeded/,
  ],
] as const) {
  test(`a template that can't be rendered says why: ${source.slice(0, 60)}`, () => {
    assert.match(text(source), problem);
  });
}

test('what gives more bytes than a file may have says how many', () => {
  const source = `{% assign a = "${'x'.repeat(1000)}" %}{% for i in (1..9000) %}{{ a }}{% endfor %}`;
  // With time enough, so that a busy machine does not stop it first.
  const rendered = renderTemplate(source, scope, 100_000);
  assert.match(rendered.ok ? '' : rendered.problem.message, /gives 9000000 bytes, limit/);
});

test('rendering twice gives the same bytes', () => {
  const source = '{% assign vars = 5 %}{% capture facts %}x{% endcapture %}{% cycle "a", "b" %}{{ vars }}{{ facts }}';
  const before = structuredClone(scope);
  assert.equal(text(source), 'a5x');
  assert.equal(text(source), 'a5x');
  assert.deepEqual(scope, before, 'and what it was given is as before');
});

for (const [expression, verdict] of [
  ['facts.cpu.count == 4 && vars.workers < facts.cpu.count', true],
  ['node.labels.role == "db"', false],
  ['vars.names[1] == "b"', true],
  ['facts.memory.bytes > 1', 'No such key: memory'],
  ['node.labels.nope == "x"', 'No such key: nope'],
  ['vars.workers > "a"', 'no such overload: dyn<int> > string'],
  ['vars.workers', 'gives a value other than true or false'],
  ['vars.', 'Expected IDENTIFIER'],
] as const) {
  test(`an expression holds, doesn't, or can't be judged: ${expression}`, () => {
    const judged = judge(expression, scope);
    if (typeof verdict === 'boolean') assert.deepEqual(judged, { ok: true, holds: verdict });
    else assert.ok(!judged.ok && judged.reason.startsWith(verdict), JSON.stringify(judged));
  });
}
