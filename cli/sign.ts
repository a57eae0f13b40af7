/** Signatures of operators: made here with an unencrypted key file, by `ssh-keygen` for every other kind, or brought along. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CryptoError } from '../lib/crypto/errors.ts';
import { parseSshPrivateKey } from '../lib/crypto/ssh-key.ts';
import { signSshSignature } from '../lib/crypto/sshsig.ts';
import { releaseNamespace } from '../lib/policy/sign.ts';
import { CliError } from './errors.ts';

const maxKeyBytes = 64 * 1024;

/** One armored SSHSIG for each key file; each is a private key, or the public half of one that an ssh-agent holds. */
export async function signWithKeys(manifest: Uint8Array, keyFiles: readonly string[]): Promise<readonly string[]> {
  const signatures: string[] = [];
  // One after the other: each may ask for a passphrase or a touch.
  for (const file of keyFiles) signatures.push(await signWithKey(manifest, file, releaseNamespace));
  return signatures;
}

/** What a log-in may ask to be signed: nothing that could pass for a release, in text or in namespace. */
const challengePattern = /^[A-Za-z0-9_-]{16,256}$/;

/** Signs the challenge of a log-in, attacker-controlled as is the namespace: a server chose both. */
export async function signChallenge(challenge: string, namespace: string, keyFile: string): Promise<string> {
  if (
    !challengePattern.test(challenge) ||
    !/^[a-z0-9][a-z0-9.:-]{0,63}$/.test(namespace) ||
    namespace === releaseNamespace
  )
    throw new CliError(
      'refused',
      'the server asks for a signature over something that is no log-in; nothing was signed',
    );
  return signWithKey(Buffer.from(challenge), keyFile, namespace);
}

/** Reads signatures that others made with `ssh-keygen -Y sign -n holdfast-release`. */
export async function readSignatures(files: readonly string[]): Promise<readonly string[]> {
  return Promise.all(
    files.map(async (file) => {
      const text = (await readBounded(file)).toString('utf8');
      if (!text.startsWith('-----BEGIN SSH SIGNATURE-----'))
        throw new CliError('failure', `${file} is not an SSH signature`, {
          hint: `make one with: ssh-keygen -Y sign -f KEY -n ${releaseNamespace} release.json`,
        });
      return text;
    }),
  );
}

async function signWithKey(message: Uint8Array, file: string, namespace: string): Promise<string> {
  const text = (await readBounded(file)).toString('utf8');
  if (text.startsWith('-----BEGIN OPENSSH PRIVATE KEY-----')) {
    try {
      return signSshSignature({ message, namespace, ...parseSshPrivateKey(text) });
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      if (error.code !== 'unsupported') throw new CliError('failure', `${file}: ${error.message}`, { cause: error });
    }
  }
  // Encrypted, of another type, on a hardware key, or in an agent: the operator's own tool knows how.
  return signWithSshKeygen(message, file, namespace);
}

/** `ssh-keygen` writes the signature beside the message, so both live in a directory of their own. */
async function signWithSshKeygen(bytes: Uint8Array, keyFile: string, namespace: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-sign-'));
  try {
    const message = join(directory, 'message');
    await writeFile(message, bytes);
    await run('ssh-keygen', ['-q', '-Y', 'sign', '-f', keyFile, '-n', namespace, message], keyFile);
    return await readFile(`${message}.sig`, 'utf8');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** With this terminal's streams, so that it can ask for a passphrase; its chatter goes to standard error. */
function run(program: string, args: readonly string[], keyFile: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['inherit', process.stderr, 'inherit'] });
    child.on('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new CliError('failure', `the key ${keyFile} needs ${program}, which can't be started (${cause.code})`, {
          hint: 'install OpenSSH, or sign elsewhere and bring the signature with --signature FILE',
          cause,
        }),
      ),
    );
    child.on('exit', (code) =>
      code === 0
        ? resolve()
        : reject(
            new CliError('failure', `${program} did not sign with ${keyFile}`, {
              hint: 'is it a key that ssh-keygen can use? certificates and RSA keys are not accepted',
            }),
          ),
    );
  });
}

async function readBounded(file: string): Promise<Buffer> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new CliError('failure', `can't read ${file} (${cause.code})`, { hint: 'check the path', cause });
  });
  if (bytes.length > maxKeyBytes) throw new CliError('failure', `${file} is too large to be a key or a signature`);
  return bytes;
}
