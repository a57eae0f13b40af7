/** The conformance suite of the store port: every adapter passes it unchanged. */
import { describe } from 'node:test';
import type { MakeStore } from './store-cases.ts';
import { conditionCases } from './store-conditions.ts';
import { feedCases } from './store-feed.ts';
import { limitCases } from './store-limits.ts';
import { modelCases } from './store-model.ts';
import { queryCases } from './store-query.ts';
import { raceCases } from './store-races.ts';
import { writeCases } from './store-writes.ts';

export function storeConformance(name: string, make: MakeStore): void {
  describe(`store conformance: ${name}`, () => {
    writeCases(make);
    conditionCases(make);
    limitCases(make);
    queryCases(make);
    raceCases(make);
    feedCases(make);
    modelCases(make);
  });
}
