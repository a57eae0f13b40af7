/** What the identity service answers to an enrollment or a renewal: the certificate, and what the node is enrolled as. */
import { z } from 'zod';
import { fromBase64url, toBase64url, utf8 } from '../crypto/encoding.ts';
import { canonicalize } from '../crypto/jcs.ts';
import { parseBody } from './envelope.ts';
import { IdentityError } from './errors.ts';
import { type Labels, parseHostname, parseLabels } from './names.ts';

export type EnrollAnswer = {
  /** The node certificate, DER. */
  readonly certificate: Uint8Array;
  /** The fleet CA's certificate, DER. The agent compares it with the one that it pinned, and never trusts this one. */
  readonly authority: Uint8Array;
  /** `host:port` of the gateway. */
  readonly gateway: string;
  /** What bindings match: as enrolled, whatever the machine calls itself. */
  readonly node: { readonly name: string; readonly labels: Labels };
};

const shape = z.strictObject({
  certificate: z.string(),
  authority: z.string(),
  gateway: z.string().regex(/^(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]):[0-9]{1,5}$/),
  node: z.strictObject({ name: z.string(), labels: z.record(z.string(), z.string()) }),
});

export function formatEnrollAnswer(answer: EnrollAnswer): Uint8Array {
  return utf8(
    canonicalize({
      certificate: toBase64url(answer.certificate),
      authority: toBase64url(answer.authority),
      gateway: answer.gateway,
      node: answer.node,
    }),
  );
}

/** Throws `IdentityError` `malformed`. Who answered was authenticated by TLS; the certificate still has to be checked. */
export function parseEnrollAnswer(bytes: Uint8Array): EnrollAnswer {
  const parsed = shape.safeParse(parseBody(bytes));
  if (!parsed.success) throw new IdentityError('malformed', 'Not an answer of the identity service.');
  const { certificate, authority, gateway, node } = parsed.data;
  return {
    certificate: fromBase64url(certificate),
    authority: fromBase64url(authority),
    gateway,
    node: { name: parseHostname(node.name), labels: parseLabels(node.labels) },
  };
}
