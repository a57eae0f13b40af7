/** The conformance suite of listings, unchanged, on DynamoDB over the real SDK. */
import { listingConformance } from '../conformance/listing.ts';
import { makeDynamoStore } from './emulator.ts';

listingConformance('dynamodb', () => makeDynamoStore('ministack'));
