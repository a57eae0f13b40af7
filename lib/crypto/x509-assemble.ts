/** Turns the fixed profile into DER: @peculiar/x509 writes the certificate, a key that may live in KMS signs it. */

import 'reflect-metadata';
import { createPublicKey, randomBytes, webcrypto } from 'node:crypto';
import {
  AsnEcSignatureFormatter,
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { equalBytes, toHex } from './encoding.ts';
import { CryptoError, parsing } from './errors.ts';

/** The signer port's shape (`lib/keys`), as far as certificates need it. */
export interface CertificateSigner {
  readonly algorithm: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** ECDSA over SHA-256, DER (RFC 3279 §2.2.3). */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export type CertificatePurpose = 'authority' | 'client' | 'server';

export interface CertificateTemplate {
  readonly purpose: CertificatePurpose;
  readonly issuer: string;
  readonly subject: string;
  readonly names: readonly JsonGeneralName[];
  readonly subjectPublicKey: Uint8Array;
  /** When the certificate is issued, Unix milliseconds; it is valid from five minutes before. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** 16 to 20 bytes, the first from 0x01 to 0x7f. Random by default. */
  readonly serial?: Uint8Array;
}

/** WebCrypto's name for the only kind of key there is here. */
export const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** SubjectPublicKeyInfo of an uncompressed P-256 point up to the point (RFC 5480 §2). */
const P256_SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const P256_SPKI_BYTES = 91;
/** Clocks of machines that have not yet synchronised lag by minutes, not hours. */
const BACKDATE_MS = 5 * 60 * 1000;

/** Writes and signs one certificate of the profile. Throws `TypeError` for a template that no caller may ask for. */
export async function assembleCertificate(
  template: CertificateTemplate,
  signer: CertificateSigner,
): Promise<Uint8Array> {
  if (signer.algorithm !== 'ecdsa-p256-sha256') throw new TypeError('certificates are signed with ECDSA P-256');
  if (!(template.notAfter > template.notBefore)) throw new TypeError('a certificate ends after it begins');
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: toHex(checkSerial(template.serial ?? newSerial())),
      issuer: [{ CN: [template.issuer] }],
      subject: [{ CN: [template.subject] }],
      notBefore: new Date(Math.floor((template.notBefore - BACKDATE_MS) / 1000) * 1000),
      notAfter: new Date(Math.floor(template.notAfter / 1000) * 1000),
      publicKey: parseP256Spki(template.subjectPublicKey),
      extensions: await profileExtensions(template, signer.publicKey),
      signingKey: { algorithm: P256 } as unknown as webcrypto.CryptoKey,
      signingAlgorithm: { ...P256, hash: 'SHA-256' } as webcrypto.EcdsaParams,
    },
    signingCrypto(signer),
  );
  return new Uint8Array(certificate.rawData);
}

/**
 * Reads an attacker-controlled SubjectPublicKeyInfo. Throws `CryptoError` `unsupported` unless it is P-256 by name with
 * an uncompressed point, `malformed` when the point is not on the curve.
 */
export function parseP256Spki(spki: Uint8Array): Buffer {
  const der = Buffer.from(spki);
  if (!isP256Spki(der)) {
    throw new CryptoError('unsupported', 'the public key is not an uncompressed ECDSA P-256 key');
  }
  parsing('point on P-256', () => createPublicKey({ key: der, format: 'der', type: 'spki' }));
  return der;
}

/** True for the form that is in the profile; says nothing about whether the point is on the curve. */
export function isP256Spki(spki: Uint8Array): boolean {
  return spki.length === P256_SPKI_BYTES && equalBytes(spki.subarray(0, P256_SPKI_PREFIX.length), P256_SPKI_PREFIX);
}

/** 16 random bytes that DER writes as a positive INTEGER of 16 bytes (RFC 5280 §4.1.2.2). */
function newSerial(): Uint8Array {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] as number) & 0x3f) | 0x40;
  return serial;
}

function checkSerial(serial: Uint8Array): Uint8Array {
  const first = serial[0] ?? 0;
  if (serial.length < 16 || serial.length > 20 || first === 0 || first > 0x7f) {
    throw new TypeError('a serial number is 16 to 20 bytes of a positive integer');
  }
  return serial;
}

async function profileExtensions(template: CertificateTemplate, issuerKey: Uint8Array): Promise<Extension[]> {
  const subjectKeyId = await SubjectKeyIdentifierExtension.create(Buffer.from(template.subjectPublicKey));
  const authorityKeyId = await AuthorityKeyIdentifierExtension.create(Buffer.from(issuerKey));
  if (template.purpose === 'authority') {
    return [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      subjectKeyId,
      authorityKeyId,
    ];
  }
  const usage = template.purpose === 'client' ? ExtendedKeyUsage.clientAuth : ExtendedKeyUsage.serverAuth;
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([usage], true),
    new SubjectAlternativeNameExtension([...template.names]),
    subjectKeyId,
    authorityKeyId,
  ];
}

/** WebCrypto as the library sees it, reduced to the one thing that it does here: sign the TBSCertificate with our key. */
function signingCrypto(signer: CertificateSigner): webcrypto.Crypto {
  const subtle = {
    async sign(_algorithm: unknown, _key: unknown, tbs: ArrayBuffer): Promise<ArrayBuffer> {
      const der = await signer.sign(new Uint8Array(tbs));
      const raw = new AsnEcSignatureFormatter().toWebSignature(P256, Buffer.from(der));
      if (raw === null) throw new TypeError('the signer did not return an ECDSA signature');
      return raw;
    },
  };
  return { subtle, getRandomValues: webcrypto.getRandomValues.bind(webcrypto) } as unknown as webcrypto.Crypto;
}
