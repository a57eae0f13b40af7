/** What a node says that it found in its own process: attacker-controlled, so known kinds and bounded text only. */
import { type Finding, findingSchema } from '../../lib/hardening/finding.ts';
import { RequestRefused } from './refusals.ts';

const maxFindings = 16;

/** Throws `RequestRefused`. */
export function parseFindings(findings: readonly unknown[]): Finding[] {
  if (findings.length === 0 || findings.length > maxFindings) throw invalid();
  return findings.map((each) => {
    const { kind, what } = each as { kind?: unknown; what?: unknown };
    const parsed = findingSchema.safeParse({ kind, what });
    if (!parsed.success) throw invalid();
    return parsed.data;
  });
}

function invalid(): RequestRefused {
  return new RequestRefused('INVALID_REPORT', 'The findings are not of a known kind, or too many.');
}
