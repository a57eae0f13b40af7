/**
 * Starts a program of this checkout through its startup gate: a build of the sources as they are now, verified like any
 * release. Plain JavaScript, because it is what an old Node is given to run; see cli/launch.mjs.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNewEnough, launch, runIn } from '../cli/launch.mjs';

/** EX_CONFIG of sysexits.h: what is installed here can't run this program. */
const exitConfig = 78;

/**
 * @param {string} self URL of the calling script, which an old Node runs again in a newer one
 * @param {string} loader such as `agent/holdfast-agent.mjs`, within a build
 * @param {string} [cache] directory for builds; the checkout's own when left out
 * @returns {Promise<void>}
 */
export async function launchVerified(self, loader, cache) {
  if (!isNewEnough(process.versions.node)) {
    await launch(new URL(self));
    return;
  }
  let build;
  const { checkLoader, developmentBuild, sharedCache } = await import('./develop.ts');
  try {
    build = await developmentBuild(cache ?? sharedCache, Date.now());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `error: this checkout can't be built: ${reason.split('\n')[0]}\n` +
        `hint: run \`npm ci\` in ${fileURLToPath(new URL('..', import.meta.url))}, as a user who may write where builds go\n`,
    );
    process.exitCode = exitConfig;
    return;
  }
  try {
    checkLoader(build, loader);
  } catch (error) {
    (await import('../gate/refusal.ts')).refuse(error);
  }
  const args = ['--disable-sigusr1', join(build, loader), ...process.argv.slice(2)];
  // Replaces this process: signals, exit code and process id are the program's own.
  if (process.execve !== undefined && process.platform !== 'win32') {
    process.execve(process.execPath, [process.execPath, ...process.execArgv, ...args], process.env);
  }
  await runIn(process.execPath, args);
}
