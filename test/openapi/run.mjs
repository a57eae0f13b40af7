/**
 * `npm run test:openapi`: others judge the API of a running server. openapi-spec-validator reads its OpenAPI document,
 * openapi-typescript makes a client of it that is compiled and used, and Schemathesis fuzzes every route by it. What they
 * need goes into .venv/openapi and .cache/openapi; where it can't be had, that part is skipped, loudly.
 */
import { launch } from '../../cli/launch.mjs';

await launch(new URL('./judge.ts', import.meta.url));
