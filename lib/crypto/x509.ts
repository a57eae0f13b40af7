/** X.509 in one fixed profile: a fleet's authority, its nodes' client certificates, its own servers' certificates. P-256 and SHA-256 only. */

import 'reflect-metadata';
import { generateKeyPairSync, type KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { DER_CONTEXT_0, DER_INTEGER, DER_SEQUENCE, DerReader } from './der.ts';
import { equalBytes, fromBase64, toBase64 } from './encoding.ts';
import { CryptoError, parsing } from './errors.ts';
import { assembleCertificate, type CertificateSigner, isP256Spki, P256, parseP256Spki } from './x509-assemble.ts';
import { verifyCsr } from './x509-csr.ts';

export type ServerRole = 'gateway' | 'identity';

export interface P256KeyPair {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeySpki: Uint8Array;
}

/** Times are Unix milliseconds. `notBefore` is the moment of issue: certificates are valid from five minutes before it. */
export interface IssueOptions {
  readonly signer: CertificateSigner;
  readonly fleet: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** 16 to 20 bytes of a positive integer; random by default. */
  readonly serial?: Uint8Array;
}

export interface IssuedByAuthority extends IssueOptions {
  /** DER of the fleet's authority certificate, whose key `signer` holds. */
  readonly authority: Uint8Array;
}

export interface NodeCertificate {
  readonly uuid: string;
  /** Lower-case hex. */
  readonly serial: string;
  /** Unix milliseconds. */
  readonly notAfter: number;
}

export interface ServerCertificate {
  readonly role: ServerRole;
  readonly serial: string;
  readonly notAfter: number;
}

interface Trust {
  readonly fleet: string;
  /** DER of the one authority that may have issued the certificate. */
  readonly authority: Uint8Array;
  /** Unix milliseconds. */
  readonly now: number;
}

const FLEET = /^[a-z][a-z0-9-]{0,62}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const DNS_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const MAX_CERTIFICATE_BYTES = 4096;
/** By the array that holds the DER: callers keep one for as long as they trust it. */
const authorities = new WeakMap<Uint8Array, { readonly certificate: X509Certificate; readonly publicKey: KeyObject }>();

export function generateP256(): P256KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, publicKeySpki: publicKey.export({ format: 'der', type: 'spki' }) };
}

/** A request that proves possession of the key and says nothing else: names are the issuer's to decide. DER. */
export async function createCsr(keyPair: P256KeyPair): Promise<Uint8Array> {
  const publicKey = await webcrypto.subtle.importKey('spki', Buffer.from(keyPair.publicKeySpki), P256, true, [
    'verify',
  ]);
  const privateKey = keyPair.privateKey.toCryptoKey(P256, false, ['sign']);
  const request = await Pkcs10CertificateRequestGenerator.create(
    { keys: { publicKey, privateKey }, signingAlgorithm: { ...P256, hash: 'SHA-256' } },
    webcrypto as webcrypto.Crypto,
  );
  return new Uint8Array(request.rawData);
}

/** The fleet's self-signed root, DER: it signs end certificates and nothing else (pathLen 0, keyCertSign). */
export async function createAuthorityCertificate(options: IssueOptions): Promise<Uint8Array> {
  assertFleet(options.fleet);
  const name = `Holdfast CA ${options.fleet}`;
  const template = { ...options, issuer: name, subject: name, names: [], subjectPublicKey: options.signer.publicKey };
  const der = await assembleCertificate({ ...template, purpose: 'authority' }, options.signer);
  assertSignedBy(der, der);
  return der;
}

/** A node's client certificate, DER. The CSR is attacker-controlled; only its public key is used. Throws `CryptoError` for a bad one. */
export async function issueNodeCertificate(
  options: IssuedByAuthority & { readonly uuid: string; readonly csr: Uint8Array },
): Promise<Uint8Array> {
  assertFleet(options.fleet);
  if (!UUID.test(options.uuid)) throw new TypeError(`${JSON.stringify(options.uuid)} is not a lower-case UUID`);
  const subjectPublicKey = verifyCsr(options.csr);
  const uri = `spiffe://${options.fleet}/node/${options.uuid}`;
  return issue(options, 'client', options.uuid, [{ type: 'url', value: uri }], subjectPublicKey);
}

/** The certificate of one of our own servers, DER, with the names that clients dial beside the URI of its role. */
export async function issueServerCertificate(
  options: IssuedByAuthority & {
    readonly role: ServerRole;
    /** SubjectPublicKeyInfo, DER. */
    readonly publicKey: Uint8Array;
    readonly dnsNames?: readonly string[];
    readonly ipAddresses?: readonly string[];
  },
): Promise<Uint8Array> {
  assertFleet(options.fleet);
  const dnsNames = options.dnsNames ?? [];
  const ipAddresses = options.ipAddresses ?? [];
  for (const name of dnsNames)
    if (!DNS_NAME.test(name)) throw new TypeError(`${JSON.stringify(name)} is not a DNS name`);
  for (const address of ipAddresses) {
    if (isIP(address) === 0) throw new TypeError(`${JSON.stringify(address)} is not an IP address`);
  }
  const names = [
    { type: 'url' as const, value: `spiffe://${options.fleet}/${options.role}` },
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...ipAddresses.map((value) => ({ type: 'ip' as const, value })),
  ];
  return issue(options, 'server', options.role, names, parseP256Spki(options.publicKey));
}

/**
 * Reads an attacker-controlled client certificate: who is this node? Throws `CryptoError`: `malformed` for anything but
 * one DER certificate of exactly our profile, `not_authentic` unless this authority issued it, for this fleet, for now.
 */
export function parseNodeCertificate(der: Uint8Array, trust: Trust): NodeCertificate {
  const certificate = parseIssued(der, trust, CLIENT_AUTH);
  const names = certificate.subjectAltName ?? '';
  const prefix = `URI:spiffe://${trust.fleet}/node/`;
  const uuid = names.slice(prefix.length);
  // One comparison of the whole text: a second name of any kind would be appended to it.
  if (!names.startsWith(prefix) || !UUID.test(uuid)) {
    throw new CryptoError('not_authentic', 'the certificate does not name exactly one node of this fleet');
  }
  return { uuid, ...identify(certificate) };
}

/** Reads an attacker-controlled server certificate, as `parseNodeCertificate` does; DNS names and addresses are left to TLS. */
export function parseServerCertificate(
  der: Uint8Array,
  trust: Trust & { readonly role: ServerRole },
): ServerCertificate {
  const certificate = parseIssued(der, trust, SERVER_AUTH);
  const [uri, ...names] = (certificate.subjectAltName ?? '').split(', ');
  if (uri !== `URI:spiffe://${trust.fleet}/${trust.role}` || names.some((name) => !/^(DNS|IP Address):/.test(name))) {
    throw new CryptoError('not_authentic', `the certificate does not name the ${trust.role} of this fleet`);
  }
  return { role: trust.role, ...identify(certificate) };
}

/** RFC 7468: base64 in lines of 64 between BEGIN and END, with a line end. */
export function pemEncode(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** Reads exactly one block of exactly that label, with nothing but white space around it. */
export function pemDecode(label: string, pem: string): Uint8Array {
  const lines = pem.trim().split(/\r?\n/);
  if (lines.shift() !== `-----BEGIN ${label}-----` || lines.pop() !== `-----END ${label}-----`) {
    throw new CryptoError('malformed', `not one PEM block of ${JSON.stringify(label)}`);
  }
  return fromBase64(lines.join(''));
}

async function issue(
  options: IssuedByAuthority,
  purpose: 'client' | 'server',
  subject: string,
  names: readonly { readonly type: 'url' | 'dns' | 'ip'; readonly value: string }[],
  subjectPublicKey: Uint8Array,
): Promise<Uint8Array> {
  const issuer = `Holdfast CA ${options.fleet}`;
  const { notBefore, notAfter, serial } = options;
  const template = { purpose, issuer, subject, names, subjectPublicKey, notBefore, notAfter };
  const der = await assembleCertificate(serial === undefined ? template : { ...template, serial }, options.signer);
  assertSignedBy(der, options.authority);
  return der;
}

/** What both kinds have in common. The cheap checks stand before the signature, and nothing is believed before all of them. */
function parseIssued(der: Uint8Array, trust: Trust, usage: string): X509Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new CryptoError('malformed', 'the certificate is too long');
  const certificate = parsing('certificate', () => new X509Certificate(der));
  // The parser also reads PEM and skips what follows the certificate; one certificate has one encoding here.
  if (!equalBytes(certificate.raw, der)) throw new CryptoError('malformed', 'not exactly one certificate in DER');
  const authority = authorityOf(trust.authority);
  if (!certificate.checkIssued(authority.certificate) || !certificate.verify(authority.publicKey)) {
    throw new CryptoError('not_authentic', "the certificate was not issued by this fleet's authority");
  }
  const usages = certificate.keyUsage ?? [];
  if (certificate.ca || usages.length !== 1 || usages[0] !== usage) {
    throw new CryptoError('not_authentic', 'the certificate is not for this purpose');
  }
  if (!isP256Spki(readSubjectPublicKey(certificate.raw))) {
    throw new CryptoError('unsupported', 'the certificate is not for an ECDSA P-256 key');
  }
  // Comparisons that a clock without a value (NaN) fails.
  if (!(trust.now >= Date.parse(certificate.validFrom))) {
    throw new CryptoError('not_authentic', 'the certificate is not yet valid');
  }
  if (!(trust.now <= Date.parse(certificate.validTo))) {
    throw new CryptoError('not_authentic', 'the certificate has expired');
  }
  return certificate;
}

/** Reading the authority anew would be a fifth of the work for each connection; it is ours and does not change. */
function authorityOf(der: Uint8Array): { readonly certificate: X509Certificate; readonly publicKey: KeyObject } {
  let held = authorities.get(der);
  if (held === undefined) {
    const certificate = parsing('certificate of the authority', () => new X509Certificate(der));
    held = { certificate, publicKey: certificate.publicKey };
    authorities.set(der, held);
  }
  return held;
}

/** SubjectPublicKeyInfo of a certificate (RFC 5280 §4.1). Asking node:crypto for its curve costs as much as a signature. */
function readSubjectPublicKey(der: Uint8Array): Uint8Array {
  const certificate = new DerReader(der, 'certificate').read(DER_SEQUENCE).content;
  const tbs = new DerReader(new DerReader(certificate, 'certificate').read(DER_SEQUENCE).content, 'certificate');
  tbs.read(DER_CONTEXT_0); // version
  tbs.read(DER_INTEGER); // serialNumber
  for (let skipped = 0; skipped < 4; skipped += 1) tbs.read(DER_SEQUENCE); // signature, issuer, validity, subject
  return tbs.read(DER_SEQUENCE).encoded;
}

function identify(certificate: X509Certificate): { readonly serial: string; readonly notAfter: number } {
  return { serial: certificate.serialNumber.toLowerCase(), notAfter: Date.parse(certificate.validTo) };
}

/** A signer that is not the authority's would make certificates that nobody accepts: fail here, not on every node. */
function assertSignedBy(der: Uint8Array, authority: Uint8Array): void {
  const issuer = new X509Certificate(authority);
  const certificate = new X509Certificate(der);
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
    throw new TypeError("the signer does not hold the key of the fleet's authority");
  }
}

function assertFleet(fleet: string): void {
  if (!FLEET.test(fleet)) throw new TypeError(`${JSON.stringify(fleet)} is not a fleet name`);
}
