/** A signer whose Ed25519 key is in an ssh-agent (draft-ietf-sshm-ssh-agent): the key never comes here. */
import { connect } from 'node:net';
import { type Ed25519PublicKey, parseEd25519PublicKey } from '../lib/crypto/ed25519.ts';
import { concatBytes, u32be } from '../lib/crypto/encoding.ts';
import type { NoteSigner } from '../lib/crypto/note.ts';
import { parseSshPublicKey } from '../lib/crypto/ssh-key.ts';
import { sshString } from '../lib/crypto/ssh-wire.ts';

const signRequest = 13;
const signResponse = 14;
const maxAnswerBytes = 64 * 1024;

/** `line` is the public key as in a `.pub` file. An SSH signature of Ed25519 is the plain one (RFC 8709 §6). */
export function agentSigner(socket: string, line: string): NoteSigner {
  const { blob } = parseSshPublicKey(line);
  return {
    publicKey: sshArtifactKey(line),
    async sign(message) {
      const body = concatBytes(Uint8Array.of(signRequest), sshString(blob), sshString(message), u32be(0));
      const answer = await ask(socket, sshString(body));
      if (answer[0] !== signResponse) throw new Error('the ssh-agent did not sign: is the key loaded in it?');
      const [signature] = fields(answer.subarray(1));
      const [type, raw] = fields(signature ?? new Uint8Array());
      if (Buffer.from(type ?? []).toString() !== 'ssh-ed25519' || raw?.length !== 64) {
        throw new Error('the ssh-agent gave no Ed25519 signature');
      }
      return raw;
    },
  };
}

/** The key of such a line, which has to be of Ed25519. */
export function sshArtifactKey(line: string): Ed25519PublicKey {
  const [type, key] = fields(parseSshPublicKey(line).blob);
  if (Buffer.from(type ?? []).toString() !== 'ssh-ed25519')
    throw new Error('an artifact key has to be of type ssh-ed25519');
  return parseEd25519PublicKey(key ?? new Uint8Array());
}

function ask(path: string, request: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(path, () => socket.write(request));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the ssh-agent hung up')));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const all = Buffer.concat(chunks);
      const length = all.length < 4 ? undefined : all.readUInt32BE();
      if (all.length > maxAnswerBytes) reject(new Error('the ssh-agent answered without end'));
      if (length !== undefined && all.length >= 4 + length) resolve(all.subarray(4, 4 + length));
      else if (all.length <= maxAnswerBytes) return;
      socket.end();
    });
  });
}

/** Each a `string` of RFC 4251 §5. */
function fields(bytes: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = Buffer.from(bytes.buffer, bytes.byteOffset + at, 4).readUInt32BE();
    if (at + 4 + length > bytes.length) throw new Error('malformed SSH data');
    found.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}
