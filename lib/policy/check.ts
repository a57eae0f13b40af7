/**
 * The check of a whole policy: everything that shows only when crates and bindings are seen together. Collects all
 * problems; needs no network, no node and no key.
 */
import { utf8 } from '../crypto/encoding.ts';
import { assembleContent } from './assemble.ts';
import { covers, mayOverlap } from './bindings.ts';
import { checkVars, checkWhens } from './check-vars.ts';
import type { CrateSource, SourceResource } from './crate-source.ts';
import type { PolicyDirectory } from './directory.ts';
import type { SourceBinding } from './holdfast-source.ts';
import { formatContent } from './model.ts';
import { maxCrateBytes, maxManifestBytes, parseReference } from './names.ts';
import { formatCycle, orderResources } from './order.ts';
import { errorsInto, type Problem, type Report, sortProblems, warningsInto } from './problem.ts';
import { claimOf } from './resource-types.ts';
import { suggestionHint } from './suggest.ts';
import { quote } from './yaml.ts';

/** What a manifest holds besides bindings and crates: fleet, number, digest and times. */
const maxEnvelopeBytes = 512;

/** Every problem of the policy, by place. Without an error among them, `buildRelease` builds it. */
export function checkPolicy(directory: PolicyDirectory): readonly Problem[] {
  const problems: Problem[] = [...directory.problems];
  const report = errorsInto(problems);
  const warn = warningsInto(problems);
  checkBindings(directory, report, warn);
  for (const crate of directory.crates) checkDuplicates(crate, report);
  checkOverlaps(directory, report, warn);
  checkReferences(directory, report);
  checkCycles(directory, report);
  checkVars(directory, report);
  checkWhens(directory, report, warn);
  if (!hasErrors(problems)) checkSizes(directory, report);
  return sortProblems(problems);
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === 'error');
}

function checkBindings({ holdfast, crates, crateNames }: PolicyDirectory, report: Report, warn: Report): void {
  const bound = new Set<string>();
  for (const { name, place } of holdfast.bindings.flatMap((binding) => binding.crates)) {
    bound.add(name);
    if (!crateNames.has(name)) {
      report('unknown_crate', place, `there is no crate ${quote(name)}`, suggestionHint(name, [...crateNames]));
    }
  }
  for (const crate of crates) {
    if (bound.has(crate.name)) continue;
    const message = `no binding gives crate "${crate.name}" to any node, so it is left out of the release`;
    warn('unbound_crate', crate.place, message, 'Bind it in holdfast.yaml, or remove it.');
  }
}

function checkDuplicates(crate: CrateSource, report: Report): void {
  const claims = new Map<string, SourceResource>();
  for (const resource of crate.resources) {
    const claim = claimOf(resource.type, resource.id);
    const first = claims.get(claim);
    if (first === undefined) claims.set(claim, resource);
    else {
      const message = `${quote(resource.key)} claims what ${quote(first.key)} on line ${first.place.line} has`;
      report('duplicate_resource', resource.place, message, 'Keep one of them.');
    }
  }
}

/**
 * The same thing claimed by two crates is an error when some node certainly gets both, and a warning when that depends
 * on the names and labels that nodes will have; such a node refuses to choose between them.
 */
function checkOverlaps({ holdfast, crates }: PolicyDirectory, report: Report, warn: Report): void {
  const claims = new Map<string, SourceResource[]>();
  for (const resource of crates.flatMap((crate) => crate.resources)) {
    const claim = claimOf(resource.type, resource.id);
    const others = claims.get(claim) ?? [];
    for (const other of others.slice(0, 10)) {
      if (other.crate === resource.crate) continue;
      const meeting = meet(holdfast.bindings, other.crate, resource.crate);
      if (meeting === 'never') continue;
      const where = `${other.place.file}:${other.place.line}`;
      const message = `${quote(resource.key)} is claimed by crate "${other.crate}" too (${where}), and ${
        meeting === 'certain' ? 'a binding gives both to one node' : 'some node may get both'
      }`;
      const tell = meeting === 'certain' ? report : warn;
      tell(
        'overlapping_resource',
        resource.place,
        message,
        'Move it to one crate, or make the bindings exclude each other.',
      );
    }
    claims.set(claim, [...others, resource]);
  }
}

function meet(bindings: readonly SourceBinding[], a: string, b: string): 'certain' | 'possible' | 'never' {
  let answer: 'possible' | 'never' = 'never';
  for (const one of bindings.filter((binding) => gives(binding, a))) {
    for (const other of bindings.filter((binding) => gives(binding, b))) {
      if (covers(one.match, other.match) || covers(other.match, one.match)) return 'certain';
      if (mayOverlap(one.match, other.match)) answer = 'possible';
    }
  }
  return answer;
}

function gives(binding: SourceBinding, crate: string): boolean {
  return binding.crates.some(({ name }) => name === crate);
}

function checkReferences(directory: PolicyDirectory, report: Report): void {
  // A crate with resources that could not be read is left out: what refers to those is not the mistake.
  const whole = directory.crates.filter((crate) => crate.isWhole);
  const keys = new Map(whole.map((crate) => [crate.name, crate.resources.map((resource) => resource.key)]));
  const known = new Set(directory.crates.flatMap((crate) => crate.resources.map((r) => `${crate.name}:${r.key}`)));
  for (const resource of directory.crates.flatMap((crate) => crate.resources)) {
    for (const [text, place] of resource.referencePlaces) {
      const reference = parseReference(text);
      if (reference === undefined) continue;
      const crate = reference.crate ?? resource.crate;
      if (!directory.crateNames.has(crate)) {
        const hint = suggestionHint(crate, [...directory.crateNames]);
        report('dangling_reference', place, `${quote(text)}: there is no crate "${crate}"`, hint);
      } else if (keys.has(crate) && !known.has(`${crate}:${reference.key}`)) {
        const hint = suggestionHint(reference.key, keys.get(crate) ?? []);
        report('dangling_reference', place, `crate "${crate}" has no resource ${quote(reference.key)}`, hint);
      } else if (crate !== resource.crate) {
        const lacking = directory.holdfast.bindings.find(
          (b) => gives(b, resource.crate) && !isGivenWith(directory, b, crate),
        );
        if (lacking === undefined) continue;
        const where = `${lacking.place.file}:${lacking.place.line}`;
        const message = `the binding at ${where} gives crate "${resource.crate}" without "${crate}", which ${quote(text)} needs`;
        report('unbound_reference', place, message, `Add "${crate}" to that binding.`);
      }
    }
  }
}

/** Whether every node of the binding certainly gets the crate. */
function isGivenWith({ holdfast }: PolicyDirectory, binding: SourceBinding, crate: string): boolean {
  return holdfast.bindings.some((other) => gives(other, crate) && covers(other.match, binding.match));
}

/** Over all crates at once: a circle that leads through two crates stops every node that gets both. */
function checkCycles({ crates }: PolicyDirectory, report: Report): void {
  let resources = crates.flatMap((crate) => crate.resources);
  for (let found = 0; found < 20; found += 1) {
    const order = orderResources(resources);
    if (order.ok) return;
    const [first] = order.cycle;
    if (first === undefined) return;
    const message = `resources wait for each other in a circle: ${formatCycle(order.cycle)}`;
    report('cycle', first.place, message, 'Remove one of the requires, notify or before between them.');
    const inCycle = new Set(order.cycle);
    resources = resources.filter((resource) => !inCycle.has(resource));
  }
}

/** Only for a policy that can be assembled, which one with a circle can't. */
function checkSizes(directory: PolicyDirectory, report: Report): void {
  const { vars, bindings, crates, blobs } = assembleContent(directory);
  for (const { name, sha256 } of crates) {
    const size = blobs.get(sha256)?.length ?? 0;
    const place = directory.crates.find((crate) => crate.name === name)?.place;
    if (size <= maxCrateBytes || place === undefined) continue;
    report('too_large', place, `crate "${name}" has ${size} bytes, limit ${maxCrateBytes}`, 'Split it.');
  }
  const size = utf8(formatContent({ vars, bindings, crates })).length + maxEnvelopeBytes;
  if (size <= maxManifestBytes) return;
  const message = `a manifest of these bindings, crates and files has ${size} bytes, limit ${maxManifestBytes}`;
  const hint = 'Each file of other content takes 67 bytes: leave out crates and files that no node needs.';
  report('too_large', { file: 'holdfast.yaml', line: 1, column: 1 }, message, hint);
}
