import { destinationConformance } from '../../../test/conformance/destination.ts';
import { httpFixtures } from '../../../test/fakes/siem-receivers.ts';

for (const [name, fixture] of Object.entries(httpFixtures)) destinationConformance(name, fixture);
