/** The sign-in page and its files: the same bytes for everybody, without data, under a policy that lets nothing else run. */
import { z } from 'zod';
import { programFile } from '../../../lib/crypto/program.ts';
import { type OpenRoute, openRoute } from '../open-route.ts';
import { Problem } from '../problem.ts';

/** Content Security Policy Level 3. The only other place that it may speak to is the operator's own signing helper. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self' http://127.0.0.1:7890",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const files: ReadonlyMap<string, string> = new Map([
  ['page.js', 'text/javascript; charset=utf-8'],
  ['page.css', 'text/css; charset=utf-8'],
]);

export function webPageRoutes(): OpenRoute[] {
  return [
    openRoute({
      method: 'GET',
      path: '/',
      produces: 'text/html',
      handler: async () => send('index.html', 'text/html; charset=utf-8'),
    }),
    openRoute({
      method: 'GET',
      path: '/assets/:file',
      produces: 'application/octet-stream',
      schema: { params: z.strictObject({ file: z.string().max(100) }) },
      handler: async ({ params }) => {
        // A lookup, not a path: what is not in the list is nowhere.
        const type = files.get(params.file);
        if (type === undefined) throw new Problem('not-found', 'there is no such file');
        return send(params.file, type);
      },
    }),
  ];
}

function send(name: string, type: string): Response {
  const bytes = programFile(`page/${name}`, () => new URL(`../page/${name}`, import.meta.url));
  return new Response(new Uint8Array(bytes), {
    headers: { 'content-type': type, 'content-security-policy': policy },
  });
}
