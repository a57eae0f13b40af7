/** Guardrails at publish: each resource of a policy judged before anybody signs it, with rule, position and reason. */
import type { Finding } from '../guardrails/finding.ts';
import { judgeResource } from '../guardrails/resource.ts';
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
  for (const resource of resources) {
    const { findings } = judgeResource(scanner, resource);
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
