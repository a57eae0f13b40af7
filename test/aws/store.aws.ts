/** The store conformance suite, unchanged, on DynamoDB over the real SDK; the runner says which emulator. */
import { storeConformance } from '../conformance/store.ts';
import { type EmulatorName, makeDynamoStore } from './emulator.ts';

const emulator = process.env['HOLDFAST_EMULATOR'] as EmulatorName;

storeConformance(`dynamodb on ${emulator}`, () => makeDynamoStore(emulator));
