/** R32: the shipped KQL, parsed and bound by Microsoft's own parser over the columns of the shipped table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireTool, shipped, skipWithout } from './tools.ts';

const skip = skipWithout('npm');

test('R32 the parser has nothing to say of the shipped function, and much of a wrong one', { skip }, () => {
  const text = shipped('sentinel/HoldfastFindings.kql');
  assert.deepEqual(problems(text), []);
  assert.notDeepEqual(problems(text.replace('hash_sha256(Raw) != Body', 'hash_sha256(Rav) != Body')), []);
  assert.notDeepEqual(problems(text.replace('| summarize', '| sumarize')), []);
});

function problems(text: string): readonly string[] {
  requireTool('@kusto/language-service-next/bridge.min.js');
  requireTool('@kusto/language-service-next/Kusto.Language.Bridge.min.js');
  const { KustoCode, GlobalState, Symbols } = (globalThis as unknown as { Kusto: Kusto }).Kusto.Language;
  const { columns } = JSON.parse(shipped('sentinel/table.json')).properties.schema;
  const schema = columns.map(({ name, type }: { name: string; type: string }) => `${name}:${type}`).join();
  const table = Symbols.TableSymbol.From(`(${schema})`).WithName('Holdfast_CL');
  const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1('workspace', [table]));
  const diagnostics = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  return Array.from({ length: diagnostics.Count }, (_, i) => diagnostics.getItem(i).Message);
}

/** Of what the package has, what is used here; its own types don't say how a database is made. */
type Kusto = {
  readonly Language: {
    readonly KustoCode: {
      ParseAndAnalyze(
        text: string,
        globals: unknown,
      ): {
        GetDiagnostics(): { readonly Count: number; getItem(i: number): { readonly Message: string } };
      };
    };
    readonly GlobalState: { readonly Default: { WithDatabase(database: unknown): unknown } };
    readonly Symbols: {
      readonly TableSymbol: { From(schema: string): { WithName(name: string): unknown } };
      readonly DatabaseSymbol: { readonly $ctor1: new (name: string, members: readonly unknown[]) => unknown };
    };
  };
};
