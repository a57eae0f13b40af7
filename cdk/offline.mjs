/** Preloaded by a test of the synthesis: whoever asks the network or starts a program fails, with its name. */
import childProcess from 'node:child_process';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

function refuse(what) {
  return () => {
    throw new Error(`offline: ${what} was asked for`);
  };
}

net.Socket.prototype.connect = refuse('a connection');
for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6']) dns[name] = refuse(`dns.${name}`);
for (const name of ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork']) {
  childProcess[name] = refuse(`child_process.${name}`);
}
globalThis.fetch = refuse('fetch');
syncBuiltinESMExports();
