/** `find`, which acts on whole trees: its `-delete`, `-exec` and files that it writes. */
import { normalizePath } from '../paths.ts';
import { protectedPaths } from '../protected-paths.ts';
import { touch } from '../shell/call.ts';
import { patternOf, plain, star, withGlobs } from '../shell/marks.ts';
import { safeExpression } from '../shell/safe-expression.ts';
import type { Judge, Judges } from './judge.ts';

const find: Judge = (call, again) => {
  const args = call.argv.slice(1);
  const first = args.findIndex((arg) => /^[-(!]/.test(plain(arg)) && !/^-[HLPOD]/.test(plain(arg)));
  const roots = args.slice(0, first === -1 ? args.length : first).filter((arg) => !/^-[HLPOD]/.test(plain(arg)));
  const tests = first === -1 ? [] : args.slice(first);
  const same = tests[tests.findIndex((test) => plain(test) === '-samefile') + 1];
  const isSame = tests.some((test) => plain(test) === '-samefile') && same !== undefined;
  const paths = isSame
    ? [{ path: same, isTree: false }]
    : targetsOf(roots.length === 0 ? ['.'] : roots, tests, call.frame.scope.cwd);
  const isFollowing = args.some((arg) => /^-[LH]$/.test(plain(arg)));
  if (tests.some((test) => plain(test) === '-delete'))
    for (const { path, isTree } of paths)
      touch(call, isFollowing ? `${path}/` : path, isTree ? 'remove tree' : 'remove');
  tests.forEach((test, i) => {
    const name = plain(test);
    if (/^-f(?:print|printf|ls|print0)$/.test(name)) touch(call, tests[i + 1] ?? '', 'empty');
    if (!/^-(?:exec|execdir|ok|okdir)$/.test(name)) return;
    const { scan } = call.frame;
    if (scan.steps <= 0) return;
    scan.steps -= tests.length * 2;
    const stop = tests.findIndex(
      (one, at) => at > i && (plain(one) === ';' || (plain(one) === '+' && plain(tests[at - 1] ?? '') === '{}')),
    );
    const command = tests.slice(i + 1, stop === -1 ? undefined : stop);
    for (const { path, isTree } of paths) {
      if (scan.steps <= 0) break;
      again(
        command.map((word) => word.replaceAll('{}', path)),
        { isForTree: isTree },
      );
    }
    // The files below are not the tree itself.
    for (const { path } of paths.filter(({ isTree }) => isTree)) {
      const root = normalizePath(path, call.frame.scope.cwd);
      if (scan.steps <= 0 || (!path.startsWith('/') && call.frame.scope.cwd === undefined)) continue;
      again(command.map((word) => word.replaceAll('{}', `${root === '/' ? '/etc' : root}/${star}`)));
    }
  });
};

type Target = { readonly path: string; readonly isTree: boolean };

/** Without a test that picks some, all of the tree; with one by name, whatever could have such a name. */
function targetsOf(roots: readonly string[], tests: readonly string[], cwd: string | undefined): Target[] {
  const texts = tests.map(plain);
  const at = texts.findIndex((test) => /^-i?(?:name|path|wholename|regex)$/.test(test));
  const isNegated = at > 0 && /^(?:!|-not)$/.test(texts[at - 1] ?? '');
  const pattern = at === -1 || isNegated ? undefined : withGlobs(tests[at + 1] ?? '');
  const isPicky = texts.some((test) =>
    /^-(?:user|group|nouser|nogroup|uid|gid|empty|newer\w*|inum|samefile|xtype|links|lname)$/.test(test),
  );
  const isByAge = texts.some((test) => /^-(?:[acm]time|[acm]min|size|perm)$/.test(test));
  const depth = (name: string) => Number(texts[texts.indexOf(name) + 1] ?? Number.NaN);
  const isFlat = texts.includes('-maxdepth') && depth('-maxdepth') === 1 && texts.includes('-mindepth') && at === -1;
  if (isFlat && !texts.includes('-delete'))
    return roots.map((root) => ({ path: `${root.replace(/\/+$/, '')}/${star}`, isTree: false }));
  return roots.flatMap((root): Target[] => {
    const normal = normalizePath(root, cwd);
    const isVital =
      (cwd !== undefined || root.startsWith('/')) &&
      /^\/(?:$|(?:etc|usr|s?bin|lib\d*|boot|var|var\/lib|root|home|dev|opt|srv)$)/.test(normal);
    if (isNegated || (pattern === undefined && !isPicky && (!isByAge || isVital)))
      return [{ path: root, isTree: true }];
    if (pattern === undefined) return [{ path: `${plain(root)}/x`, isTree: false }];
    if (pattern.replaceAll(star, '').replaceAll('.', '') === '') return [{ path: root, isTree: true }];
    if (/regex/.test(texts[at] ?? ''))
      return matchesProtected(texts[at + 1] ?? '')
        ? [{ path: root, isTree: true }]
        : [{ path: `${plain(root)}/x`, isTree: false }];
    if (/path|wholename/.test(texts[at] ?? ''))
      return [{ path: pattern.startsWith('/') ? pattern : `${plain(root)}/x`, isTree: true }];
    // At any depth, but the protected names worth the name are in a few places.
    const bases = ['/', '/etc', '/bin', '/sbin', '/lib', '/boot', '/etc/ssh', '/lib/x86_64-linux-gnu', '/lib64'].filter(
      (base) => root.startsWith('/') && base !== normal && (normal === '/' || base.startsWith(`${normal}/`)),
    );
    const isRemoval = tests.length > 0;
    const expression = patternOf(pattern);
    const isOfBoot = bootNames.some((name) => expression.test(name));
    return isRemoval
      ? [normal, ...bases.filter((base) => base !== '/boot' || isOfBoot)].map((base) => ({
          path: `${base === '/' ? '' : base}/${pattern}`,
          isTree: false,
        }))
      : [];
  });
}

/** What is in `/boot`, by the names that it has on most machines. */
const bootNames =
  'vmlinuz vmlinuz-6.1.0-1-amd64 initrd.img initrd.img-6.1.0-1-amd64 initramfs-6.1.0-1.x86_64.img System.map-6.1.0-1-amd64 config-6.1.0-1-amd64 grub grub2 grub.cfg grubenv efi EFI loader grubx64.efi shimx64.efi'.split(
    ' ',
  );

/** Whether a regular expression for whole paths could mean something protected. What can't be read could. */
function matchesProtected(pattern: string): boolean {
  const safe = safeExpression(`^(?:${pattern.replace(/\\([(){}|])/g, '$1')})$`);
  if (safe === undefined) return true;
  return protectedPaths.some(({ path }) =>
    [path, path.replace(/^(?=\/(?:s?bin|lib))/, '/usr'), `${path}/x1`].some(
      (one) => !safe.fits(one) || safe.expression.test(one),
    ),
  );
}

export const findJudges: Judges = { find, gfind: find, bfs: find };
