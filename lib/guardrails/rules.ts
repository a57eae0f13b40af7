/**
 * The rules: one row for everything that a guardrail refuses or can't see. An id is for ever: it stands in releases,
 * reports and audit entries, so a row may be reworded, never renumbered or reused.
 */

/** `dangerous` is refused; `unknown` can't be judged by reading and is refused unless the crate says why. */
export type Verdict = 'allowed' | 'unknown' | 'dangerous';

export type Rule = {
  readonly verdict: Exclude<Verdict, 'allowed'>;
  readonly title: string;
  /** Why it is refused, as a person is told. */
  readonly reason: string;
};

export const rules = {
  G0101: { verdict: 'dangerous', title: 'Recursive removal', reason: 'removes a tree that the machine needs to run' },
  G0102: { verdict: 'dangerous', title: 'Removal', reason: 'removes a file that the machine needs to run' },
  G0103: {
    verdict: 'dangerous',
    title: 'Recursive mode or owner',
    reason: 'changes mode or owner of a whole system tree',
  },
  G0104: {
    verdict: 'dangerous',
    title: 'Mode or owner',
    reason: 'opens or breaks a protected file by its mode or owner',
  },
  G0105: {
    verdict: 'dangerous',
    title: 'Move or replacement',
    reason: 'moves away or replaces what the machine needs to run',
  },
  G0106: { verdict: 'dangerous', title: 'Protected write', reason: 'writes to or empties a protected file' },
  G0107: { verdict: 'dangerous', title: 'Mount', reason: 'mounts over, or takes away, a tree that the machine needs' },
  G0108: { verdict: 'dangerous', title: 'Privilege left behind', reason: 'gives everybody the rights of root' },

  G0201: { verdict: 'dangerous', title: 'Raw device', reason: 'writes to a disk or to memory below its file system' },
  G0202: {
    verdict: 'dangerous',
    title: 'Erased file system',
    reason: 'makes a new file system on a device, or wipes the old one',
  },
  G0203: { verdict: 'dangerous', title: 'Partition table', reason: 'changes the partitions of a disk' },
  G0204: {
    verdict: 'dangerous',
    title: 'Volume',
    reason: 'destroys a volume, a pool, an array or an encryption header',
  },

  G0301: { verdict: 'dangerous', title: 'Shutdown', reason: 'stops or restarts the machine' },
  G0302: { verdict: 'dangerous', title: 'Fork bomb', reason: 'starts processes without end' },
  G0303: {
    verdict: 'dangerous',
    title: 'Kill of all or of init',
    reason: 'ends all processes, or one that all others need',
  },
  G0304: { verdict: 'dangerous', title: 'Kernel', reason: 'changes or stops the running kernel' },
  G0305: { verdict: 'dangerous', title: 'Boot', reason: 'changes how the machine starts, so that it may not' },

  G0401: { verdict: 'dangerous', title: 'The agent', reason: 'stops, disables, removes or changes the Holdfast agent' },
  G0402: {
    verdict: 'dangerous',
    title: 'Remote access',
    reason: 'ends the SSH service, by which the machine is reached',
  },
  G0403: { verdict: 'dangerous', title: 'Network', reason: 'takes the network down' },
  G0404: {
    verdict: 'dangerous',
    title: 'Firewall',
    reason: 'closes the firewall for those who administer the machine',
  },
  G0405: {
    verdict: 'dangerous',
    title: 'Essential package',
    reason: 'removes a package that the machine needs to run or to be reached',
  },
  G0406: { verdict: 'dangerous', title: 'Essential service', reason: 'stops a service that the machine needs to run' },
  G0407: {
    verdict: 'dangerous',
    title: 'System account',
    reason: 'removes, locks or opens an account or group of the system',
  },
  G0408: { verdict: 'dangerous', title: 'Schedule', reason: "drops all of root's scheduled jobs" },

  G0501: { verdict: 'dangerous', title: 'Downloaded code', reason: 'runs what it downloads, unseen' },
  G0502: { verdict: 'dangerous', title: 'Decoded code', reason: 'runs what it decodes, unseen' },
  G0503: { verdict: 'dangerous', title: 'Remote shell', reason: 'gives a shell to the network' },
  G0504: {
    verdict: 'dangerous',
    title: 'Injected library',
    reason: 'loads a library from a place that anybody can write to',
  },
  G0505: { verdict: 'unknown', title: 'Not shell', reason: "can't be parsed, so nobody can say what it does" },

  G0601: { verdict: 'unknown', title: 'Unknown command', reason: 'the name of the command is known only when it runs' },
  G0602: { verdict: 'unknown', title: 'Unknown code', reason: 'the code that is run is known only when it runs' },
  G0603: {
    verdict: 'unknown',
    title: 'Unknown target',
    reason: 'what it removes or changes is known only when it runs',
  },
  G0604: { verdict: 'dangerous', title: 'Downloaded program', reason: 'runs a program that it downloaded before' },
  G0605: {
    verdict: 'unknown',
    title: 'Too much to read',
    reason: 'is too long, too deep or has too many branches to be judged',
  },
  G0606: {
    verdict: 'unknown',
    title: 'Dangerous text',
    reason: 'holds the text of a dangerous command, and nobody can say whether it is run',
  },
  G0607: {
    verdict: 'unknown',
    title: 'Unknown program',
    reason: 'hands a protected file to a program that nobody here knows',
  },
} as const satisfies Record<string, Rule>;

export type RuleId = keyof typeof rules;

/** Where the documentation explains a rule. */
export function docsAnchor(rule: RuleId): string {
  return `docs/guardrails.md#${rule.toLowerCase()}`;
}

/** The table of docs/guardrails.md, which a test compares. */
export function formatRuleTable(): string {
  const rows = Object.entries(rules).map(
    ([id, { verdict, title, reason }]) =>
      `| <a id="${id.toLowerCase()}"></a>${id} | ${verdict} | ${title} | ${reason} |`,
  );
  return ['| rule | verdict | what | it |', '|---|---|---|---|', ...rows].join('\n');
}
