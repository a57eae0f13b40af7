/** Programs that change mode, owner and capabilities of files. */
import { judgePath } from '../judge-path.ts';
import { isWithin, normalizePath } from '../paths.ts';
import { agentTrees, isAgentPath } from '../protected-paths.ts';
import { type Call, programOf, readOptions, reportCall, touch } from '../shell/call.ts';
import { hasHole, plain } from '../shell/marks.ts';
import { isShell } from '../shell/shells.ts';
import type { Judge, Judges } from './judge.ts';

/** Octal or symbolic, as far as it matters here. */
export function judgeMode(call: Call, mode: string, paths: readonly string[], isRecursive: boolean): void {
  const text = plain(mode);
  const digits = /^[0-7]{1,5}$/.test(text) ? text.padStart(4, '0').slice(-4) : undefined;
  const givesSuid =
    digits === undefined
      ? /(?:^|,)[ugoa]*[+=][rwxXt]*s/.test(text)
      : /^[2-7]/.test(digits) &&
        digits[0] !== '1' &&
        /[1357]/.test(digits.slice(1)) &&
        digits.startsWith('2') === false;
  const opens =
    digits === undefined
      ? /(?:^|,)(?:[ugo]*[oa][ugo]*|)[+=][rxXst]*w/.test(text) || /(?:^|,)[ug]*o[ug]*[+=][wxXst]*r/.test(text)
      : /[2367]$/.test(digits);
  // Who may read or run it no more: its owner, whom root is not bound by, or all others.
  const closesRead =
    digits === undefined
      ? /(?:^|,)(?:[uga]*[oa][ugo]*|)-[wstx]*[rX]|(?:^|,)[augo]*[oa]=(?:[wx]*)(?:,|$)/.test(text)
      : !/[4-7]$/.test(digits);
  const closesRun =
    digits === undefined
      ? /(?:^|,)(?:[uga]*[oau][ugo]*|)-[wstr]*[xX]|(?:^|,)[augo]*[oa]=(?:[rw]*)(?:,|$)/.test(text)
      : takesExecution(digits) || !/[1357]$/.test(digits);
  for (const path of paths) {
    const normal = normalizePath(path, call.frame.scope.cwd);
    // What only its owner may write to still works, but for what is there to be shared.
    const isTightened =
      /^[go]+-w$/.test(text) && /^\/(?:etc|usr|boot|root|home|opt|srv|s?bin|lib\d*)(?:\/|$)/.test(normal);
    if (isRecursive && isTightened) continue;
    if (isRecursive) touch(call, path, 'change tree');
    else if (takesExecution(digits) && judgePath(normal, 'break') !== undefined && isProgram(normal))
      touch(call, path, 'break');
    else if (opens || (isProgram(normal) || isTraversed(normal) ? closesRun : closesRead && isReadByAll(normal)))
      breakMode(call, path, normal, digits);
    else if (/^\/etc\/g?shadow$/.test(normal) && digits !== undefined && digits[3] !== '0')
      reportCall(call, 'G0104', path);
    // Without the rights of root it is of no use.
    const losesSuid = digits === undefined ? /(?:^|,)[ua]*-[rwxt]*s/.test(text) : !/^[4-7]/.test(digits);
    if (losesSuid && /^\/bin\/(?:sudo|su|doas)$/.test(normal)) reportCall(call, 'G0104', path);
    if (
      givesSuid &&
      (isShell(call.frame.scan.programs.get(normal) ?? '') ||
        /^\/(?:tmp|var\/tmp|dev\/shm|home)\/|\/(?:(?:ba|da|z|k)?sh|python[\d.]*|perl|ruby|find|vim?|nmap|awk|less|more|cp|mv|dd|tar|env|node|php|nano|tee|cat|sed|docker)$/.test(
          normal,
        ))
    )
      reportCall(call, 'G0108', path);
  }
}

/** A program that nobody may run, root included. */
function takesExecution(digits: string | undefined): boolean {
  return digits !== undefined && !/[1357]/.test(digits.slice(1));
}

/** What every process reads, whoever it belongs to. */
function isReadByAll(path: string): boolean {
  if (agentTrees.some((tree) => isWithin(path, tree)) || isAgentPath(path)) return true;
  return /^\/etc\/pam\.d\/|^\/etc\/(?:passwd|group|nsswitch\.conf|hosts|profile|ld\.so\.(?:cache|conf)|resolv\.conf|shells|login\.defs|pam\.conf|localtime|bash\.bashrc|services|protocols)$|^\/lib\d*\/|^\/dev\/(?:null|zero|full|u?random|tty|ptmx)$/.test(
    path,
  );
}

/** Directories through which everybody goes. */
function isTraversed(path: string): boolean {
  return /^\/(?:|etc|usr(?:\/(?:local|share|libexec))?|s?bin|lib\d*|var(?:\/(?:lib|spool))?|run|home|dev|proc|sys|opt|srv|tmp)$/.test(
    path,
  );
}

function isProgram(path: string): boolean {
  return /^\/s?bin\//.test(path);
}

function breakMode(call: Call, path: string, normal: string, digits: string | undefined): void {
  // A directory that all may write to is usual under /tmp alone; the sticky bit tells those apart.
  if (
    /^\/(?:var\/)?tmp$/.test(normal) ||
    (digits?.startsWith('1') === true && /^\/(?:var\/)?(?:tmp|run\/lock)/.test(normal))
  )
    return;
  touch(call, path, 'break');
}

const chmod: Judge = (call) => {
  const raw = call.argv.slice(1);
  const isMode = (arg: string) =>
    /^[-+=]?[ugoa]*[-+=][rwxXstugo,+=-]*$|^[0-7]{1,5}$/.test(plain(arg)) && !/^-[Rvcf]+$/.test(plain(arg));
  const at = raw.findIndex(isMode);
  const { flags, operands, values } = readOptions(
    raw.filter((_, i) => i !== at),
    ['--reference'],
  );
  const mode = at === -1 ? (values.has('--reference') ? '644' : (operands[0] ?? '')) : (raw[at] ?? '');
  const paths = at === -1 && !values.has('--reference') ? operands.slice(1) : operands;
  judgeMode(call, mode, paths, call.isForTree === true || flags.has('-R') || flags.has('--recursive'));
  if (flags.has('-R')) judgeMode(call, mode, paths, false);
};

const chown: Judge = (call) => {
  const { flags, operands, values } = readOptions(call.argv.slice(1), ['--reference', '--from']);
  const paths = values.has('--reference') ? operands : operands.slice(1);
  const owner = plain(operands[0] ?? '').split(/[:.]/)[0] ?? '';
  const isRecursive = call.isForTree === true || flags.has('-R') || flags.has('--recursive');
  for (const path of paths) {
    if (isRecursive) touch(call, path, 'change tree');
    else if (
      programOf(call.argv[0] ?? '') === 'chown' &&
      owner !== '' &&
      !/^(?:root|0|\+0)$/.test(owner) &&
      !hasHole(owner)
    )
      touch(call, path, 'own');
  }
};

const setfacl: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), [
    '-m',
    '-x',
    '-M',
    '-X',
    '--modify',
    '--remove',
    '--set',
  ]);
  for (const path of operands) {
    if (flags.has('-R') || flags.has('--recursive')) touch(call, path, 'change tree');
    else if (flags.has('-m') && /shadow|sudoers/.test(plain(path))) touch(call, path, 'break');
  }
};

const chattr: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1));
  const paths = operands.filter((arg) => !/^[-+=]/.test(plain(arg)));
  if (flags.has('-R')) for (const path of paths) touch(call, path, 'change tree');
  const isFixed = call.argv.some((arg) => /^\+\w*[ia]/.test(plain(arg)));
  // The system's own tools can't write it any more, nor can the agent be updated.
  for (const path of paths)
    if (isFixed && (isAgentPath(plain(path)) || /^\/etc\/(?:passwd|g?shadow|group|sudoers)$/.test(plain(path))))
      touch(call, path, 'break');
};

const setcap: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (
    args.some((arg) =>
      /cap_(?:setuid|setgid|sys_admin|dac_override|dac_read_search|sys_ptrace|sys_module|chown|fowner|setfcap)\b.*[+=]/i.test(
        arg,
      ),
    ) &&
    args.some((arg) => /python|perl|ruby|node|bash|\/sh$|vim|php|gdb|tar|\/tmp\//.test(arg))
  ) {
    reportCall(call, 'G0108', args.at(-1));
  }
};

export const modeJudges: Judges = { chmod, chown, chgrp: chown, setfacl, chattr, setcap };
