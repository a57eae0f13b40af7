/** Configuration managers and orchestrators, told on their command line what to do to this machine. */
import { type Call, quote, reportCall, touch } from '../shell/call.ts';
import { hole, plain } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import { runCode } from '../shell/shells.ts';
import type { Judge, Judges } from './judge.ts';

function removed(call: Call, text: string, pattern: RegExp): void {
  for (const match of text.matchAll(pattern)) {
    const path = match.slice(1).find((one) => one !== undefined);
    if (path !== undefined) touch(call, path, 'remove tree');
  }
}

const ansible: Judge = (call, again) => {
  const text = call.argv.map(plain).join(' ');
  const isHere = /\blocalhost\b|\b127\.0\.0\.1\b|-c\s*local|connection[= ]local|^ansible\s+all\b/.test(text);
  if (!isHere) return;
  const args = call.argv.map(plain);
  const given = args[args.findIndex((one) => /^(?:-a|--args)$/.test(one)) + 1] ?? '';
  if (/state=absent/.test(given)) removed(call, given, /(?:path|dest|name)=["']?(\/[^\s"']+)/g);
  const module = args[args.findIndex((one) => /^(?:-m|--module-name)$/.test(one)) + 1] ?? '';
  const [, unit] = /name=(\S+)/.exec(given) ?? [];
  if (/service|systemd/.test(module) && unit !== undefined) {
    if (/state=stopped/.test(given)) again(['systemctl', 'stop', unit]);
    if (/enabled=(?:no|false)|masked=(?:yes|true)/.test(given)) again(['systemctl', 'disable', unit]);
  }
  if (/^(?:ansible\.builtin\.)?reboot$/.test(module)) again(['reboot']);
  if (/apt|yum|dnf|package|zypper|apk/.test(module) && unit !== undefined && /state=(?:absent|removed)/.test(given))
    again(['apt-get', 'remove', unit]);
};

const puppet: Judge = (call, again) => {
  const text = call.argv.map(plain).join(' ');
  for (const [, type = '', name = '', body = ''] of text.matchAll(
    /\b(file|service|package|exec|user|cron)\s*\{\s*['"]([^'"]+)['"]\s*:([^}]*)\}/g,
  )) {
    const isAbsent = /ensure\s*=>\s*['"]?(?:absent|purged)/.test(body);
    if (type === 'file' && /\b(?:content|source)\s*=>|ensure\s*=>\s*['"]?\//.test(body)) touch(call, name, 'replace');
    if (type === 'file' && isAbsent)
      touch(call, name, /(?:force|recurse)\s*=>\s*true/.test(body) ? 'remove tree' : 'remove');
    if (type === 'service' && /ensure\s*=>\s*['"]?(?:stopped|false)|enable\s*=>\s*false/.test(body))
      again(['systemctl', 'stop', name]);
    if (type === 'package' && isAbsent) again(['apt-get', 'remove', name]);
    if (type === 'user' && isAbsent) again(['userdel', name]);
    if (type === 'exec') runCode(call, name);
    const command = /command\s*=>\s*['"]([^'"]+)/.exec(body)?.[1];
    if (command !== undefined) runCode(call, command);
  }
  const resource = /\bresource\s+file\s+(\/\S+)[^|]*ensure=absent/.exec(text)?.[1];
  if (resource !== undefined) touch(call, resource, 'remove tree');
};

const salt: Judge = (call, again) => {
  const texts = call.argv.slice(1).map(plain);
  const at = texts.findIndex((one) => /^[a-z_]+\.[a-z_]+$/.test(one));
  const rest = call.argv.slice(at + 2);
  switch (texts[at]) {
    case 'file.remove':
      return again(['rm', '-rf', ...rest]);
    case 'file.truncate':
      return again(['truncate', '-s0', ...rest]);
    case 'service.stop':
    case 'service.disable':
    case 'service.mask':
      return again(['systemctl', 'stop', ...rest]);
    case 'system.reboot':
    case 'system.shutdown':
    case 'system.poweroff':
    case 'system.halt':
      return again(['reboot']);
    case 'pkg.remove':
    case 'pkg.purge':
      return again(['apt-get', 'remove', ...rest]);
    case 'user.delete':
      return again(['userdel', ...rest]);
    default:
      return undefined;
  }
};

const chef: Judge = (call) => {
  const text = [...call.argv.map(plain), plain(call.frame.stdin)].join(' ');
  removed(call, text, /\b(?:directory|file)\s*\(?\s*['"]([^'"]+)['"]\s*\)?\s*(?:\{|do)[^}]*?action\s+:delete/g);
  for (const [, command = ''] of text.matchAll(/\b(?:execute|bash|script)\s*\(?\s*['"]([^'"]+)['"]/g))
    runCode(call, command);
};

/** A shell in a pod or container that has the machine's own root in it. */
const pod: Judge = (call, again) => {
  const texts = call.argv.slice(1).map(plain);
  const at = texts.findIndex((one) => /^(?:chroot|nsenter)$/.test(one));
  if (at >= 0 && /\bdebug\b|hostPID|--privileged|\bnode\//.test(texts.join(' ')))
    again(call.argv.slice(at + 1), { frame: { ...call.frame, stdin: hole } });
  else if (/\bdebug\b.*\bnode\//.test(texts.join(' '))) {
    const dashes = texts.indexOf('--');
    if (dashes >= 0) runCode(call, quote(call.argv.slice(dashes + 2)).replaceAll('/host/', '/'));
  }
};

/** A playbook that the source has written. */
const playbook: Judge = (call) => {
  for (const arg of call.argv.slice(1).filter((one) => /\.ya?ml$/.test(plain(one)))) {
    const text = plain(contentOf(call.frame, arg));
    for (const task of text.split(/^\s*- (?=name:|[\w.]+:)/m).slice(0, 100))
      if (/\bstate:\s*["']?absent/.test(task)) removed(call, task, /\b(?:path|dest|name):\s*["']?(\/[^\s"']+)/g);
  }
};

/** A dump of the database goes where it is told. */
const redis: Judge = (call) => {
  const text = call.argv.slice(1).map(plain).join(' ').toLowerCase();
  const [, directory = ''] = /\bconfig set dir (\/\S*)/.exec(text) ?? [];
  if (/^\/(?:etc|root|boot|usr|s?bin|lib|var\/spool\/cron)(?:\/|$)/.test(directory))
    reportCall(call, 'G0603', directory, 'unknown');
};

export const managerJudges: Judges = {
  'ansible-playbook': playbook,
  'redis-cli': redis,
  'valkey-cli': redis,
  'keydb-cli': redis,
  ansible,
  puppet,
  'salt-call': salt,
  salt,
  'chef-apply': chef,
  'chef-client': chef,
  'chef-solo': chef,
  kubectl: pod,
  oc: pod,
  crictl: pod,
};
