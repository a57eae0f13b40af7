/**
 * A policy directory: `holdfast.yaml`, and `crates/NAME.yaml` or `crates/NAME/crate.yaml` with `files/`. Loading it
 * reads everything there is to read and keeps going after a problem, so that one look shows all of them.
 */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { scanner } from '../guardrails/scanner.ts';
import { type Contents, readPlainFile } from './contents.ts';
import { type CrateSource, parseCrateSource, type Scan } from './crate-source.ts';
import { PolicyError } from './errors.ts';
import { findGuarded } from './guardrails.ts';
import { type HoldfastSource, noHoldfast, parseHoldfast } from './holdfast-source.ts';
import { resolveIncludes } from './includes.ts';
import { crateNamePattern, maxCrates } from './names.ts';
import { findPlainSecrets } from './plain-secrets.ts';
import { errorsInto, type Place, type Problem, type Report, warningsInto } from './problem.ts';
import type { ResourceTypes } from './resource-types.ts';
import { maxYamlBytes, parseYaml, quote, type YamlNode } from './yaml.ts';

export type PolicyDirectory = {
  readonly holdfast: HoldfastSource;
  /** Sorted by name. Crates that could not be read as YAML are missing; `crateNames` has them. */
  readonly crates: readonly CrateSource[];
  readonly crateNames: ReadonlySet<string>;
  /** What was found while reading. `checkPolicy` adds what shows only when the parts are seen together. */
  readonly problems: readonly Problem[];
};

type CrateFile = { readonly name: string; readonly file: string; readonly folder?: string };

/**
 * Loads a policy directory. Throws `PolicyError` `unreadable` when there is none; everything that is wrong inside is
 * in `problems`.
 */
export async function loadPolicyDirectory(root: string, types: ResourceTypes): Promise<PolicyDirectory> {
  await assertPolicyDirectory(root);
  const problems: Problem[] = [];
  const report = errorsInto(problems);
  const scan = scannerInto(problems);
  const top = await loadYaml(join(root, 'holdfast.yaml'), 'holdfast.yaml', report, scan);
  const holdfast = top === undefined ? noHoldfast : parseHoldfast(top, report);
  const found = await findCrates(root, report, warningsInto(problems));
  const boundVars = new Set(holdfast.bindings.flatMap((binding) => [...binding.vars.keys()]));
  const crates: CrateSource[] = [];
  for (const { name, file, folder } of found) {
    const node = await loadYaml(join(root, file), file, report, scan);
    if (node === undefined) continue;
    crates.push(
      await parseCrateSource({
        name,
        root: node,
        types,
        report,
        scan,
        fleetVars: holdfast.vars,
        boundVars,
        ...(folder === undefined ? {} : { folder }),
      }),
    );
  }
  const crateNames = new Set(found.map((crate) => crate.name));
  problems.push(
    ...findGuarded(
      scanner,
      crates.flatMap((crate) => crate.resources),
    ),
  );
  return { holdfast: resolveIncludes(holdfast, crates, crateNames, report), crates, crateNames, problems };
}

/** Looks for secrets in each file once, however often it is used. */
function scannerInto(problems: Problem[]): Scan {
  const [report, warn] = [errorsInto(problems), warningsInto(problems)];
  const seen = new Set<string>();
  return (bytes, file) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { place, what, isCertain } of findPlainSecrets(bytes, file)) {
      const hint =
        'Store it with "holdfast secret set", refer to it as secret:PATH, and replace the one that was here.';
      const tell = isCertain ? report : warn;
      tell('plain_secret', place, `${what} in plain sight`, hint);
    }
  };
}

/** One clear error for the commonest slip: the wrong folder. */
async function assertPolicyDirectory(root: string): Promise<void> {
  const hint = 'A policy directory holds holdfast.yaml and a folder crates/.';
  let names: readonly string[];
  try {
    names = await readdir(root);
  } catch (cause) {
    throw new PolicyError('unreadable', `${quote(root)} ${reasonOf(cause)}`, { cause, hint, file: root });
  }
  if (names.includes('holdfast.yaml')) return;
  const what = names.length === 0 ? 'is empty' : 'has no holdfast.yaml';
  throw new PolicyError('unreadable', `${quote(root)} ${what}`, { hint, file: root });
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'does not exist';
    case 'ENOTDIR':
      return 'is not a directory';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this user';
    default:
      return `can't be read (${String(code)})`;
  }
}

async function loadYaml(path: string, file: string, report: Report, scan: Scan): Promise<YamlNode | undefined> {
  const place = { file, line: 1, column: 1 };
  const read: Contents = await readPlainFile(path, file, maxYamlBytes);
  if (!read.ok) {
    report(read.code, place, read.message, read.hint);
    return undefined;
  }
  scan(read.bytes, file);
  try {
    return parseYaml(read.bytes, file);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    report('syntax', { file, line: error.line ?? 1, column: error.column ?? 1 }, error.message, error.hint);
    return undefined;
  }
}

async function findCrates(root: string, report: Report, warn: Report): Promise<readonly CrateFile[]> {
  const place: Place = { file: 'crates', line: 1, column: 1 };
  const crates = new Map<string, CrateFile>();
  let entries: Awaited<ReturnType<typeof listFolder>>;
  try {
    if ((await lstat(join(root, 'crates'))).isSymbolicLink()) {
      report('bad_path', place, 'the folder crates is a symbolic link', 'Put the folder itself there.');
      return [];
    }
    entries = await listFolder(join(root, 'crates'));
  } catch (cause) {
    report(
      'unreadable_file',
      place,
      `the folder crates ${reasonOf(cause)}`,
      'Create it, with one file a crate: crates/motd.yaml.',
    );
    return [];
  }
  for (const entry of entries) {
    // Editors' and version control's own files.
    if (entry.name.startsWith('.') || entry.name.endsWith('~')) continue;
    const at = { ...place, file: `crates/${entry.name}` };
    const isFolder = entry.isDirectory();
    const name = isFolder ? entry.name : entry.name.replace(/\.yaml$/, '');
    if (entry.isSymbolicLink()) {
      report('bad_path', at, 'a symbolic link', 'Put the file or folder itself there.');
    } else if (!isFolder && name === entry.name) {
      const hint = /\.yml$/.test(name)
        ? 'Rename it: crates end in .yaml.'
        : 'Crates are NAME.yaml, or NAME/crate.yaml.';
      warn('misplaced', at, 'not a crate, and ignored', hint);
    } else if (!crateNamePattern.test(name)) {
      report('bad_value', at, `${quote(name)} is not a crate name`, `It must match ${crateNamePattern.source}.`);
    } else if (crates.has(name)) {
      report('misplaced', at, `crate "${name}" exists both as a file and as a folder`, 'Keep one of them.');
    } else if (isFolder) {
      crates.set(name, { name, file: `crates/${name}/crate.yaml`, folder: join(root, 'crates', name) });
    } else {
      crates.set(name, { name, file: `crates/${entry.name}` });
    }
  }
  if (crates.size > maxCrates) {
    report('too_large', place, `${crates.size} crates, limit ${maxCrates}`);
    return [];
  }
  return [...crates.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Sorted: file systems list in their own order. */
async function listFolder(path: string) {
  const entries = await readdir(path, { withFileTypes: true });
  return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
