/**
 * The report queue: reports of runs that the control plane hasn't got yet, on disk, so that they survive an outage and
 * a kill. Bounded: when it is full the oldest goes and is counted, and the count goes with the next report.
 */

import { randomBytes } from 'node:crypto';
import { link, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Logger } from 'pino';
import { type RunReport, RunReportSchema } from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { syncDirectory } from './durable.ts';
import { systemCode } from './errors.ts';
import type { StateDirectory } from './state.ts';

const folder = 'queue';
const countFile = `${folder}/dropped`;
const reportName = /^([0-9]{12})\.report$/;

/** About a day of runs at the usual pace. */
export const maxQueuedReports = 64;

export type ReportQueue = {
  /** When this returns, the report survives a kill. */
  add(report: RunReport): Promise<void>;
  /**
   * Sends what waits, oldest first, and forgets each report once `send` has returned; one that the control plane will
   * never take counts as dropped, so that it doesn't hold up the others. Stops at the first error.
   */
  flush(send: (report: RunReport) => Promise<'taken' | 'refused'>): Promise<number>;
  size(): Promise<number>;
};

export async function openReportQueue(
  state: StateDirectory,
  deps: { readonly logger: Logger; readonly maxReports?: number },
): Promise<ReportQueue> {
  const path = await state.folder(folder);
  const maxReports = deps.maxReports ?? maxQueuedReports;
  return { add, flush, size: async () => (await names()).length };

  async function add(report: RunReport): Promise<void> {
    // Named as a left-over of a write, so that one that a kill leaves behind is removed like those.
    const draft = `.report.${randomBytes(4).toString('hex')}.new`;
    await state.write(`${folder}/${draft}`, toBinary(RunReportSchema, report));
    let queued: string[];
    try {
      queued = await takeNumber(draft);
    } finally {
      await rm(join(path, draft), { force: true });
    }
    const surplus = queued.slice(0, Math.max(0, queued.length + 1 - maxReports));
    if (surplus.length > 0) {
      // Counted first: a kill in between counts one too many rather than hiding one.
      await setDropped((await dropped()) + surplus.length);
      for (const name of surplus) {
        await rm(join(path, name), { force: true });
      }
    }
  }

  /** Gives a draft the next number, and returns the names that were there before. */
  async function takeNumber(draft: string): Promise<string[]> {
    for (;;) {
      const queued = await names();
      const last = queued.at(-1);
      const number = last === undefined ? 1 : Number(reportName.exec(last)?.[1]) + 1;
      try {
        // A link never replaces: of two processes that take one number, the second takes the next.
        await link(join(path, draft), join(path, `${String(number).padStart(12, '0')}.report`));
        await syncDirectory(path);
        return queued;
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') {
          throw error;
        }
      }
    }
  }

  async function flush(send: (report: RunReport) => Promise<'taken' | 'refused'>): Promise<number> {
    let sent = 0;
    for (const name of await names()) {
      const report = await readReport(name);
      if (report === undefined) {
        continue;
      }
      const droppedRuns = await dropped();
      const answer = await send(create(RunReportSchema, { ...report, droppedRuns }));
      await rm(join(path, name), { force: true });
      const left = answer === 'taken' ? 0 : droppedRuns + 1;
      if (left !== droppedRuns) {
        await setDropped(left);
      }
      sent += answer === 'taken' ? 1 : 0;
    }
    return sent;
  }

  async function readReport(name: string): Promise<RunReport | undefined> {
    const bytes = await state.read(`${folder}/${name}`);
    if (bytes === undefined) {
      // Sent by another process in the meantime.
      return undefined;
    }
    try {
      return fromBinary(RunReportSchema, bytes);
    } catch (error) {
      const aside = `${name}.damaged`;
      await rename(join(path, name), join(path, aside));
      await setDropped((await dropped()) + 1);
      deps.logger.warn({ file: aside, err: error }, 'A queued report is damaged and was set aside.');
      return undefined;
    }
  }

  /** In the order in which they were added. */
  async function names(): Promise<string[]> {
    return (await readdir(path)).filter((name) => reportName.test(name)).sort();
  }

  async function dropped(): Promise<number> {
    const text = Buffer.from((await state.read(countFile)) ?? []).toString('utf8');
    return /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  }

  async function setDropped(count: number): Promise<void> {
    await state.write(countFile, Buffer.from(String(count)));
  }
}
