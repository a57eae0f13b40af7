/** Which operations a destination is sent. What its filter leaves out is counted, and told in each heartbeat. */
import type { FilterConfig } from './config.ts';

/** Of an operation such as `node.enroll`. `exclude` wins. */
export function matchesFilter(filter: FilterConfig | undefined, type: string): boolean {
  if (filter === undefined) return true;
  if (filter.exclude.some((pattern) => matchesPattern(pattern, type))) return false;
  return filter.include === undefined || filter.include.some((pattern) => matchesPattern(pattern, type));
}

/** Whether anything can be left out: then the feed has sequence numbers of its own. */
export function isFiltered(filter: FilterConfig | undefined): boolean {
  return filter !== undefined && (filter.include !== undefined || filter.exclude.length > 0);
}

/** The same for filters that leave out the same; '' for none. */
export function filterKey(filter: FilterConfig | undefined): string {
  if (filter === undefined || !isFiltered(filter)) return '';
  return JSON.stringify([filter.include?.toSorted() ?? '*', filter.exclude.toSorted()]);
}

function matchesPattern(pattern: string, type: string): boolean {
  return pattern.endsWith('.*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}
