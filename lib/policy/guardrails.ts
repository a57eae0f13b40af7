/** Guardrails at publish: each resource of a policy judged before anybody signs it, with rule, position and reason. */
import type { Finding } from '../guardrails/finding.ts';
import { judgeResource } from '../guardrails/resource.ts';
import { docsAnchor } from '../guardrails/rules.ts';
import type { Scanner } from '../guardrails/scanner.ts';
import type { SourceResource } from './crate-source.ts';
import { errorsInto, type Problem, warningsInto } from './problem.ts';
import { quote } from './yaml.ts';

/** What is dangerous is an error. What can't be judged by reading is a warning: nodes run it. */
export function findGuarded(scanner: Scanner, resources: readonly SourceResource[]): Problem[] {
  const problems: Problem[] = [];
  const [report, warn] = [errorsInto(problems), warningsInto(problems)];
  for (const resource of resources) {
    for (const finding of judgeResource(scanner, resource).findings) {
      const tell = finding.verdict === 'dangerous' ? report : warn;
      tell('guardrail', resource.place, messageOf(resource, finding), hintOf(finding));
    }
  }
  return problems;
}

function messageOf({ key }: SourceResource, { rule, position, reason, excerpt }: Finding): string {
  const where = position.offset === 0 ? '' : `, line ${position.line} column ${position.column} of it`;
  return `${rule}: ${quote(key)} ${reason}: ${quote(excerpt)}${where}`;
}

function hintOf({ rule, verdict }: Finding): string {
  const advice = verdict === 'dangerous' ? 'Nodes refuse it too.' : 'Write it so that it can be read before it runs.';
  return `${advice} See ${docsAnchor(rule)}.`;
}
