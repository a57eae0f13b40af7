import 'reflect-metadata';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign, webcrypto, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import fc from 'fast-check';
import { concatBytes, equalBytes, fromHex, toHex, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';
import {
  createAuthorityCertificate,
  createCsr,
  generateP256,
  issueNodeCertificate,
  issueServerCertificate,
  parseNodeCertificate,
  parseServerCertificate,
  pemDecode,
  pemEncode,
} from './x509.ts';
import { assembleCertificate, type CertificateSigner, type CertificateTemplate } from './x509-assemble.ts';

const FLEET = 'acme';
const UUID = '01890a5d-ac96-774b-bcce-b302099a8057';
const NOW = Date.parse('2030-01-02T03:04:05Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const URI = `spiffe://${FLEET}/node/${UUID}`;
const noOpenssl = spawnSync('openssl', ['version']).error ? 'openssl is not installed' : false;

interface Authority {
  readonly signer: CertificateSigner;
  readonly der: Uint8Array;
}

function signerOf(pair: { readonly privateKey: KeyObject; readonly publicKeySpki: Uint8Array }): CertificateSigner {
  return {
    algorithm: 'ecdsa-p256-sha256',
    publicKey: pair.publicKeySpki,
    sign: async (message) => sign('sha256', message, pair.privateKey),
  };
}

async function createAuthority(pair = generateP256()): Promise<Authority> {
  const signer = signerOf(pair);
  const der = await createAuthorityCertificate({ fleet: FLEET, signer, notBefore: NOW, notAfter: NOW + 3650 * DAY });
  return { signer, der };
}

const authorityPair = generateP256();
const authority = await createAuthority(authorityPair);
const keyPair = generateP256();
const csr = await createCsr(keyPair);
const issueOptions = {
  authority: authority.der,
  signer: authority.signer,
  fleet: FLEET,
  notBefore: NOW,
  notAfter: NOW + DAY,
};
const node = await issueNodeCertificate({ ...issueOptions, uuid: UUID, csr });
const server = await issueServerCertificate({
  ...issueOptions,
  role: 'gateway',
  publicKey: keyPair.publicKeySpki,
  dnsNames: ['gateway.example.com', 'localhost'],
  ipAddresses: ['127.0.0.1', '::1'],
});
/** SubjectPublicKeyInfo of kinds that are not in the profile. */
const foreign = [
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
  generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  generateKeyPairSync('ed25519'),
].map(({ publicKey }) => publicKey.export({ format: 'der', type: 'spki' }));
const trust = { fleet: FLEET, authority: authority.der, now: NOW };

function assertCode(action: () => unknown, code: string): void {
  assert.throws(action, (error) => error instanceof CryptoError && error.code === code);
}

const hasCode = (code: string) => (error: unknown) => error instanceof CryptoError && error.code === code;

describe('node certificates', () => {
  it('say who the node is', () => {
    const { uuid, serial, notAfter } = parseNodeCertificate(node, trust);
    assert.equal(uuid, UUID);
    assert.match(serial, /^[4-7][0-9a-f]{31}$/);
    assert.equal(notAfter, NOW + DAY);
  });

  it('have exactly the profile, as node:crypto sees it', () => {
    const certificate = new X509Certificate(node);
    assert.equal(certificate.subject, `CN=${UUID}`);
    assert.equal(certificate.issuer, `CN=Holdfast CA ${FLEET}`);
    assert.equal(certificate.subjectAltName, `URI:${URI}`);
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2']);
    assert.equal(certificate.ca, false);
    assert.equal(Date.parse(certificate.validFrom), NOW - 5 * 60_000);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    assert.ok(equalBytes(certificate.publicKey.export({ format: 'der', type: 'spki' }), keyPair.publicKeySpki));
  });

  it('take a given serial, and a random one each time otherwise', async () => {
    const serial = fromHex(`01${'ff'.repeat(19)}`);
    const given = await issueNodeCertificate({ ...issueOptions, uuid: UUID, csr, serial });
    assert.equal(parseNodeCertificate(given, trust).serial, toHex(serial));
    const again = await issueNodeCertificate({ ...issueOptions, uuid: UUID, csr });
    assert.notEqual(parseNodeCertificate(again, trust).serial, parseNodeCertificate(node, trust).serial);
    for (const bad of ['00'.repeat(16), 'ff'.repeat(16), '01'.repeat(15), '01'.repeat(21)]) {
      await assert.rejects(issueNodeCertificate({ ...issueOptions, uuid: UUID, csr, serial: fromHex(bad) }), TypeError);
    }
  });

  it('are valid from five minutes before their issue to their end, in whole seconds, and not outside', () => {
    for (const now of [NOW - 300_000, NOW, NOW + DAY]) parseNodeCertificate(node, { ...trust, now });
    for (const now of [NOW - 300_001, NOW + DAY + 1, Number.NaN]) {
      assert.throws(() => parseNodeCertificate(node, { ...trust, now }), hasCode('not_authentic'), String(now));
    }
  });

  it('the issuer refuses what no caller may ask for', async () => {
    const bad = [{ uuid: UUID.toUpperCase() }, { uuid: '../x' }, { fleet: 'Acme' }, { fleet: '' }, { notAfter: NOW }];
    for (const options of bad) {
      await assert.rejects(issueNodeCertificate({ ...issueOptions, uuid: UUID, csr, ...options }), TypeError);
    }
    const stranger = signerOf(generateP256());
    await assert.rejects(issueNodeCertificate({ ...issueOptions, uuid: UUID, csr, signer: stranger }), TypeError);
    const ed25519 = { ...authority.signer, algorithm: 'ed25519' };
    await assert.rejects(issueNodeCertificate({ ...issueOptions, uuid: UUID, csr, signer: ed25519 }), TypeError);
  });
});

describe('what is no node certificate is refused', () => {
  const template: CertificateTemplate = {
    purpose: 'client',
    issuer: `Holdfast CA ${FLEET}`,
    subject: UUID,
    names: [{ type: 'url', value: URI }],
    subjectPublicKey: keyPair.publicKeySpki,
    notBefore: NOW,
    notAfter: NOW + DAY,
  };
  const forged = (changes: Partial<CertificateTemplate>, signer = authority.signer) =>
    assembleCertificate({ ...template, ...changes }, signer);

  it('the template of these tests makes a good one', async () => {
    assert.equal(parseNodeCertificate(await forged({}), trust).uuid, UUID);
  });

  it('another CA with the same name', async () => {
    const other = await createAuthority();
    const theirs = await forged({}, other.signer);
    assertCode(() => parseNodeCertificate(theirs, trust), 'not_authentic');
    parseNodeCertificate(theirs, { ...trust, authority: other.der });
    assertCode(() => parseNodeCertificate(node, { ...trust, authority: other.der }), 'not_authentic');
  });

  it('self-signed, with the issuer’s name or its own', async () => {
    const self = signerOf(keyPair);
    for (const issuer of [template.issuer, UUID]) {
      const der = await forged({ issuer }, self);
      assertCode(() => parseNodeCertificate(der, trust), 'not_authentic');
      assertCode(() => parseNodeCertificate(der, { ...trust, authority: der }), 'not_authentic');
    }
  });

  it('issued by a node instead of the authority', async () => {
    const der = await forged({ issuer: UUID }, signerOf(keyPair));
    assertCode(() => parseNodeCertificate(der, { ...trust, authority: node }), 'not_authentic');
  });

  it('the authority itself, and a server of the fleet', () => {
    assertCode(() => parseNodeCertificate(authority.der, trust), 'not_authentic');
    assertCode(() => parseNodeCertificate(server, trust), 'not_authentic');
  });

  it('the right name for the wrong purpose', async () => {
    for (const purpose of ['server', 'authority'] as const) {
      const der = await forged({ purpose });
      assertCode(() => parseNodeCertificate(der, trust), 'not_authentic');
    }
  });

  it('signed by the authority, but a CA, for more or other purposes, or for another kind of key', async () => {
    const signingKey = authorityPair.privateKey.toCryptoKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
    const make = async (ca: boolean, usages: string[], publicKey: Uint8Array) => {
      const certificate = await X509CertificateGenerator.create(
        {
          issuer: [{ CN: [template.issuer] }],
          subject: [{ CN: [UUID] }],
          notBefore: new Date(NOW),
          notAfter: new Date(NOW + DAY),
          publicKey: Buffer.from(publicKey),
          signingKey,
          signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
          extensions: [
            new BasicConstraintsExtension(ca, undefined, true),
            ...(usages.length > 0 ? [new ExtendedKeyUsageExtension(usages)] : []),
            new SubjectAlternativeNameExtension([{ type: 'url', value: URI }]),
          ],
        },
        webcrypto as webcrypto.Crypto,
      );
      return new Uint8Array(certificate.rawData);
    };
    const { clientAuth, serverAuth } = ExtendedKeyUsage;
    const spki = keyPair.publicKeySpki;
    assert.equal(parseNodeCertificate(await make(false, [clientAuth], spki), trust).uuid, UUID);
    const bad = [make(true, [clientAuth], spki), make(false, [], spki), make(false, [serverAuth], spki)];
    bad.push(make(false, [clientAuth, serverAuth], spki), make(false, ['2.5.29.37.0'], spki));
    for (const der of await Promise.all(bad)) assertCode(() => parseNodeCertificate(der, trust), 'not_authentic');
    for (const publicKey of foreign) {
      const der = await make(false, [clientAuth], publicKey);
      assertCode(() => parseNodeCertificate(der, trust), 'unsupported');
    }
  });

  it('another issuer name under the right key', async () => {
    const der = await forged({ issuer: 'Holdfast CA other' });
    assertCode(() => parseNodeCertificate(der, trust), 'not_authentic');
  });

  it('another fleet', () => {
    for (const fleet of ['acm', 'acme2', 'other', '']) {
      assertCode(() => parseNodeCertificate(node, { ...trust, fleet }), 'not_authentic');
    }
  });

  for (const uri of [
    `${URI}x`,
    `${URI}/`,
    `${URI}?x`,
    `${URI}#x`,
    `x${URI}`,
    ` ${URI}`,
    `${URI} `,
    `${URI}\n`,
    `${URI}\u0000`,
    `${URI}\u0000.example.com`,
    URI.toUpperCase(),
    URI.replace('spiffe', 'SPIFFE'),
    URI.replace('acme', 'ACME'),
    URI.replace('acme', 'acme.example.com'),
    URI.replace('acme', 'x@acme'),
    URI.replace('acme', 'acme:443'),
    URI.replace('node', 'Node'),
    URI.replace('/node/', '/node//'),
    URI.replace('/node/', '/node/../node/'),
    URI.replace('node/', 'node/%30'),
    URI.replace(UUID, UUID.toUpperCase()),
    URI.replace(UUID, UUID.replaceAll('-', '')),
    URI.replace(UUID, `{${UUID}}`),
    URI.replace(UUID, ''),
    URI.replace('node', 'gateway'),
    `spiffe://${FLEET}/gateway`,
    `${URI}, URI:${URI}`,
    `spiffe://other/node/${UUID}, URI:${URI}`,
    '',
  ]) {
    it(`the name ${JSON.stringify(uri)}`, async () => {
      const der = await forged({ names: [{ type: 'url', value: uri }] });
      assertCode(() => parseNodeCertificate(der, trust), 'not_authentic');
    });
  }

  it('two names, of whatever kind, in whatever order; the right name as another kind; no name', async () => {
    const url = { type: 'url', value: URI } as const;
    const others = [
      { type: 'url', value: URI },
      { type: 'url', value: `spiffe://${FLEET}/node/${UUID.replace('0', '1')}` },
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
      { type: 'email', value: 'a@example.com' },
    ] as const;
    for (const other of others) {
      for (const names of [
        [url, other],
        [other, url],
      ]) {
        const der = await forged({ names });
        assertCode(() => parseNodeCertificate(der, trust), 'not_authentic');
      }
    }
    for (const names of [
      [],
      [{ type: 'dns', value: URI } as const],
      [{ type: 'dns', value: `x, URI:${URI}` } as const],
    ]) {
      const der = await forged({ names });
      assertCode(() => parseNodeCertificate(der, trust), 'not_authentic');
    }
  });

  it('PEM, trailing bytes, cut-off bytes, too many bytes', () => {
    assertCode(() => parseNodeCertificate(utf8(pemEncode('CERTIFICATE', node)), trust), 'malformed');
    assertCode(() => parseNodeCertificate(concatBytes(node, Uint8Array.of(0)), trust), 'malformed');
    assertCode(() => parseNodeCertificate(concatBytes(node, node), trust), 'malformed');
    assertCode(() => parseNodeCertificate(node.subarray(0, -1), trust), 'malformed');
    assertCode(() => parseNodeCertificate(new Uint8Array(0), trust), 'malformed');
    assertCode(() => parseNodeCertificate(new Uint8Array(5000), trust), 'malformed');
  });

  it('any flipped bit, and arbitrary bytes: only CryptoError comes out', () => {
    fc.assert(
      fc.property(fc.nat(node.length * 8 - 1), (bit) => {
        const changed = Uint8Array.from(node);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        assert.throws(() => parseNodeCertificate(changed, trust), CryptoError);
      }),
      { numRuns: 600 },
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => assert.throws(() => parseNodeCertificate(bytes, trust), CryptoError)),
    );
  });
});

describe('server certificates', () => {
  it('name their role, and the addresses that clients dial', () => {
    assert.equal(parseServerCertificate(server, { ...trust, role: 'gateway' }).role, 'gateway');
    const certificate = new X509Certificate(server);
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
    assert.ok(
      certificate.checkHost('gateway.example.com') && certificate.checkIP('127.0.0.1') && certificate.checkIP('::1'),
    );
    assert.equal(certificate.checkHost('example.com'), undefined);
  });

  it('are for one role of one fleet at one time', async () => {
    assertCode(() => parseServerCertificate(server, { ...trust, role: 'identity' }), 'not_authentic');
    assertCode(() => parseServerCertificate(server, { ...trust, role: 'gateway', fleet: 'other' }), 'not_authentic');
    assertCode(
      () => parseServerCertificate(server, { ...trust, role: 'gateway', now: NOW + 2 * DAY }),
      'not_authentic',
    );
    assertCode(() => parseServerCertificate(node, { ...trust, role: 'gateway' }), 'not_authentic');
    const other = await createAuthority();
    assertCode(
      () => parseServerCertificate(server, { ...trust, role: 'gateway', authority: other.der }),
      'not_authentic',
    );
  });

  it('are issued only for P-256 keys, DNS names and addresses', async () => {
    const options = { ...issueOptions, role: 'gateway' as const, publicKey: keyPair.publicKeySpki };
    for (const name of [
      '',
      'A.example.com',
      'a b',
      '*.example.com',
      'a..b',
      '-a',
      'a, DNS:b',
      'x\u0000',
      'a'.repeat(64),
    ]) {
      await assert.rejects(issueServerCertificate({ ...options, dnsNames: [name] }), TypeError);
    }
    await assert.rejects(issueServerCertificate({ ...options, ipAddresses: ['localhost'] }), TypeError);
    for (const spki of foreign) {
      await assert.rejects(issueServerCertificate({ ...options, publicKey: spki }), hasCode('unsupported'));
    }
  });
});

describe('PEM', () => {
  it('comes back, and is one block of one label', () => {
    const pem = pemEncode('CERTIFICATE', node);
    assert.ok(equalBytes(pemDecode('CERTIFICATE', pem), node));
    assert.ok(equalBytes(new X509Certificate(pem).raw, node));
    for (const bad of [pem + pem, pem.slice(1), pem.replace('END', 'BEGIN'), '', pem.replace('\nM', '\n M')]) {
      assertCode(() => pemDecode('CERTIFICATE', bad), 'malformed');
    }
    assertCode(() => pemDecode('PRIVATE KEY', pem), 'malformed');
  });
});

describe('with openssl', { skip: noOpenssl }, () => {
  const files: Record<string, string> = {};
  let directory = '';

  after(() => rmSync(directory, { recursive: true }));
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'holdfast-x509-'));
    for (const [name, der] of Object.entries({ authority: authority.der, node, server })) {
      files[name] = join(directory, `${name}.pem`);
      writeFileSync(files[name], pemEncode('CERTIFICATE', der));
    }
  });

  const verify = (file: string, purpose: string) =>
    spawnSync('openssl', [
      'verify',
      '-x509_strict',
      ...['-attime', String(NOW / 1000)],
      ...['-purpose', purpose],
      ...['-CAfile', files['authority'] as string],
      files[file] as string,
    ]).status === 0;

  it('each certificate verifies for its own purpose only', () => {
    assert.ok(verify('node', 'sslclient') && verify('server', 'sslserver'));
    assert.ok(!verify('node', 'sslserver') && !verify('server', 'sslclient'));
  });

  it('the text shows the profile, criticality included', () => {
    const text = (file: string) =>
      spawnSync('openssl', ['x509', '-noout', '-text', '-in', files[file] as string], {
        encoding: 'utf8',
      }).stdout.replace(/\s+/g, ' ');
    const leaf = text('node');
    assert.match(leaf, /Version: 3 .*Signature Algorithm: ecdsa-with-SHA256/);
    assert.match(
      leaf,
      /Basic Constraints: critical CA:FALSE X509v3 Key Usage: critical Digital Signature X509v3 Extended Key Usage: critical TLS Web Client Authentication X509v3 Subject Alternative Name: URI:spiffe/,
    );
    assert.match(leaf, /Subject Key Identifier: .*Authority Key Identifier:/);
    assert.match(
      text('authority'),
      /Basic Constraints: critical CA:TRUE, pathlen:0 X509v3 Key Usage: critical Certificate Sign X509v3 Subject/,
    );
  });
});
