/** `holdfast compliance`: what an auditor takes away, without a look into the log. */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command } from 'commander';
import type { NodePosture, PostureView } from '../../functions/admin/posture.ts';
import type { DocumentView, EvidenceView } from '../../functions/admin/routes/compliance.ts';
import { isSound, type Verdicts } from '../../lib/audit/verdicts.ts';
import { globalsOf, parseCount, print, withClient } from '../command.ts';
import { CliError } from '../errors.ts';
import { limitOption, printList } from '../list.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { formatVerdicts } from './audit-verify.ts';

export function complianceCommand(terminal: Terminal): Command {
  const compliance = new Command('compliance').description('posture, evidence and documents for auditors');
  for (const make of [
    postureCommand,
    nodesCommand,
    verificationCommand,
    evidenceCommand,
    documentsCommand,
    uploadCommand,
    downloadCommand,
  ])
    compliance.addCommand(make(terminal));
  return compliance;
}

const daysOption = ['--days <n>', 'how many days up to today, 1 to 90 (default 7)', parseCount] as const;
type Counts = { readonly converged: number; readonly drifted: number; readonly failed: number };

const counts = [
  { title: 'converged', cell: (row: Counts) => row.converged },
  { title: 'drifted', cell: (row: Counts) => row.drifted },
  { title: 'failed', cell: (row: Counts) => row.failed },
];

function postureCommand(terminal: Terminal): Command {
  return new Command('posture')
    .description('show how the fleet stood, by day, crate and control')
    .option(...daysOption)
    .addHelpText('after', '\nExample:\n  holdfast compliance posture --days 30\n')
    .action(async ({ days }: { days?: number }, command: Command) => {
      const view = await withClient(command, (client) => client.get<PostureView>('/v1/compliance/posture', { days }));
      print(terminal, command, view, () => formatPosture(view, terminal.width));
    });
}

function formatPosture({ days, crates, cratesOmitted, controls }: PostureView, width: number | undefined): string[] {
  const byDay = formatTable(
    [
      { title: 'day', cell: (row: PostureView['days'][number]) => row.day, whole: true },
      ...counts,
      { title: 'unseen', cell: (row: PostureView['days'][number]) => row.unseen },
    ],
    days,
    width,
  );
  const byCrate = formatTable(
    [
      { title: 'crate', cell: (row: PostureView['crates'][number]) => row.crate },
      ...counts,
      { title: 'controls', cell: (row: PostureView['crates'][number]) => row.controls.join(' ') || undefined },
    ],
    crates,
    width,
  );
  const byControl = formatTable(
    [{ title: 'control', cell: (row: PostureView['controls'][number]) => row.control }, ...counts],
    controls,
    width,
  );
  const omitted = cratesOmitted === 0 ? [] : [`${cratesOmitted} more crates are not shown`];
  return [...byDay, '', ...byCrate, ...omitted, ...(controls.length === 0 ? [] : ['', ...byControl])];
}

function nodesCommand(terminal: Terminal): Command {
  return new Command('nodes')
    .description('show how each node stood, day by day')
    .option(...daysOption)
    .option(...limitOption)
    .addHelpText('after', '\nExample:\n  holdfast compliance nodes --days 14 --json\n')
    .action(({ days, limit }: { days?: number; limit?: number }, command: Command) =>
      printList<NodePosture>(terminal, command, {
        path: '/v1/compliance/nodes',
        query: { days },
        limit,
        columns: [
          { title: 'uuid', cell: (row) => row.uuid, whole: true },
          { title: 'name', cell: (row) => row.name },
          { title: 'now', cell: (row) => row.days.at(-1)?.state, whole: true },
          { title: 'days', cell: (row) => row.days.map(({ state }) => state[0]).join('') },
        ],
      }),
    );
}

function verificationCommand(terminal: Terminal): Command {
  return new Command('verification')
    .description('show what the server finds in its own audit log: a verdict for each question, and no entry')
    .addHelpText(
      'after',
      '\nExit code 5 when one of them is FAIL. It is the word of the server: verify its evidence with other tools too.\n' +
        '\nExample:\n  holdfast compliance verification --json\n',
    )
    .action(async (_options: object, command: Command) => {
      const verdicts = await withClient(command, (client) => client.get<Verdicts>('/v1/compliance/verification'));
      print(terminal, command, verdicts, () => formatVerdicts(verdicts));
      if (!isSound(verdicts))
        throw new CliError('verification', 'the audit log does not verify', {
          hint: 'tell the administrators; docs/audit.md says what each verdict means',
        });
    });
}

function evidenceCommand(terminal: Terminal): Command {
  return new Command('evidence')
    .description('print the evidence bundle as JSON: posture, verdicts on the log, its checkpoint, documents')
    .option(...daysOption)
    .addHelpText(
      'after',
      '\nTaking it leaves an entry in the audit log.\n\nExample:\n  holdfast compliance evidence --days 90 > evidence.json\n',
    )
    .action(async ({ days }: { days?: number }, command: Command) => {
      const body = days === undefined ? {} : { days };
      const evidence = await withClient(command, (client) =>
        client.post<EvidenceView>('/v1/compliance/evidence', body),
      );
      terminal.out(`${JSON.stringify(evidence, undefined, 2)}\n`);
    });
}

function documentsCommand(terminal: Terminal): Command {
  return new Command('documents')
    .description('list the supporting documents, by name')
    .option(...limitOption)
    .addHelpText('after', '\nExamples:\n  holdfast compliance documents\n  holdfast compliance documents --json\n')
    .action(({ limit }: { limit?: number }, command: Command) =>
      printList<DocumentView>(terminal, command, {
        path: '/v1/compliance/documents',
        limit,
        columns: [
          { title: 'name', cell: (row) => row.name },
          { title: 'bytes', cell: (row) => row.bytes },
          { title: 'uploaded', cell: (row) => `${row.uploaded} by ${row.uploadedBy}` },
          { title: 'sha-256', cell: (row) => row.sha256 },
        ],
      }),
    );
}

function uploadCommand(terminal: Terminal): Command {
  return new Command('upload')
    .description('add a supporting document, under its file name; what is there is never replaced')
    .argument('<file>', 'at most 16 MiB')
    .addHelpText('after', '\nExample:\n  holdfast compliance upload penetration-test-2026.pdf\n')
    .action(async (file: string, _options: object, command: Command) => {
      const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
        throw new CliError('failure', `can't read ${file} (${cause.code})`, { cause });
      });
      const path = `/v1/compliance/documents/${encodeURIComponent(basename(file))}`;
      const document = await withClient(command, (client) => client.put<DocumentView>(path, bytes));
      print(terminal, command, document, () => [document.sha256]);
      if (!globalsOf(command).json) terminal.err(`kept as ${document.name}\n`);
    });
}

function downloadCommand(terminal: Terminal): Command {
  return new Command('download')
    .description('fetch a supporting document into a new file; what is there is never replaced')
    .argument('<name>', 'as `compliance documents` shows it')
    .argument('[file]', 'where to (default: a file of that name here)')
    .addHelpText('after', '\nExample:\n  holdfast compliance download penetration-test-2026.pdf report.pdf\n')
    .action(async (name: string, file: string | undefined, _options: object, command: Command) => {
      const path = file ?? basename(name);
      const bytes = await withClient(command, (client) =>
        client.getBytes(`/v1/compliance/documents/${encodeURIComponent(name)}`),
      );
      if (bytes === undefined)
        throw new CliError('failure', `there is no document ${JSON.stringify(name)}`, {
          hint: 'list them with: holdfast compliance documents',
        });
      await writeFile(path, bytes, { flag: 'wx' }).catch((cause: NodeJS.ErrnoException) => {
        const why = cause.code === 'EEXIST' ? 'it is there already' : cause.code;
        throw new CliError('failure', `can't write ${path} (${why})`, { hint: 'name another file', cause });
      });
      print(terminal, command, { name, file: path, bytes: bytes.length }, () => [path]);
    });
}
