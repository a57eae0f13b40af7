/** Guardrails at publish: each resource of a policy judged before anybody signs it, with rule, position and reason. */
import type { Finding } from '../guardrails/finding.ts';
import { normalizePath } from '../guardrails/paths.ts';
import { judgeResource, judgeResourcePath, pathsOf } from '../guardrails/resource.ts';
import { docsAnchor } from '../guardrails/rules.ts';
import type { Scanner } from '../guardrails/scanner.ts';
import type { SourceResource } from './crate-source.ts';
import { errorsInto, type Problem, warningsInto } from './problem.ts';
import { quote } from './yaml.ts';

/**
 * What is dangerous is an error, and nothing can be said for it. What can't be judged by reading is one too, unless the
 * crate accepts it with a reason; then the release needs two operators.
 */
export function findGuarded(scanner: Scanner, resources: readonly SourceResource[]): Problem[] {
  const problems: Problem[] = [];
  const [report, warn] = [errorsInto(problems), warningsInto(problems)];
  const links = linksOf(resources);
  for (const resource of resources) {
    const findings = [...judgeResource(scanner, resource).findings, ...throughOwnLinks(resource, links)];
    for (const finding of findings) {
      const reason = finding.verdict === 'unknown' ? resource.accepted.get(finding.rule)?.reason : undefined;
      if (reason === undefined) report('guardrail', resource.place, messageOf(resource, finding), hintOf(finding));
      else warn('guardrail', resource.place, `accepted: ${messageOf(resource, finding)}`, 'It needs two signatures.');
    }
    for (const [rule, { place }] of resource.accepted) {
      if (findings.some((finding) => finding.rule === rule && finding.verdict === 'unknown')) continue;
      report('guardrail', place, `${quote(resource.key)} accepts ${rule}, by which nothing of it is unknown`, unused);
    }
  }
  return problems;
}

type Links = ReadonlyMap<string, string>;

/** Where the policy itself lets one path lead to another: its symlinks and bind mounts. */
function linksOf(resources: readonly SourceResource[]): Links {
  const links = new Map<string, string>();
  for (const { type, desired } of resources) {
    const { path, target, source, state } = desired;
    const to = type === 'symlink' ? target : type === 'mount' && isBind(desired) ? source : undefined;
    if (typeof path !== 'string' || typeof to !== 'string' || state === 'absent') continue;
    links.set(path, normalizePath(to, path.slice(0, path.lastIndexOf('/')) || '/'));
  }
  return links;
}

function isBind({ options, fstype }: SourceResource['desired']): boolean {
  return fstype === 'bind' || (typeof options === 'string' && /(?:^|,)r?bind(?:,|$)/.test(options));
}

/** What a resource does below such a link, it does at the other end. */
function throughOwnLinks({ type, desired }: SourceResource, links: Links): Finding[] {
  const others = pathsOf(desired).flatMap((path) => otherNames(path, links));
  return others.flatMap((path) => judgeResourcePath(type, path, desired));
}

function otherNames(path: string, links: Links): readonly string[] {
  const names = new Set<string>();
  const open = [path];
  for (let name = open.pop(); name !== undefined && names.size < 16; name = open.pop()) {
    for (const [link, target] of links) {
      const other = name.startsWith(`${link}/`) ? normalizePath(`${target}${name.slice(link.length)}`) : undefined;
      if (other === undefined || names.has(other)) continue;
      names.add(other);
      open.push(other);
    }
  }
  return [...names];
}

const unused = 'Remove it. What is dangerous can not be accepted.';

function messageOf({ key }: SourceResource, { rule, position, reason, excerpt }: Finding): string {
  const where = position.offset === 0 ? '' : `, line ${position.line} column ${position.column} of it`;
  return `${rule}: ${quote(key)} ${reason}: ${quote(excerpt)}${where}`;
}

function hintOf({ rule, verdict }: Finding): string {
  const advice =
    verdict === 'dangerous'
      ? 'Nodes refuse it too.'
      : `Write it so that it can be read before it runs, or say why it may run, as "accepts: {${rule}: reason}".`;
  return `${advice} See ${docsAnchor(rule)}.`;
}
