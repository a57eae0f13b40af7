/**
 * Where an installed agent lies. One folder, root's:
 *
 *     holdfast-agent             the launcher: the build that was installed; it never changes by itself
 *     holdfast-agent.manifest    its signed manifest
 *     slots/a/holdfast-agent     a build that came by self-update, and its manifest beside it
 *     slots/b/…                  the other
 *     update.json                which slot is active, what is on trial, what was run: see state.ts
 */
import { basename, dirname, join } from 'node:path';

export type Slot = 'a' | 'b';
/** `own` is the build that was installed. */
export type BuildPlace = 'own' | Slot;

export const fileName = 'holdfast-agent';
/** Its signed manifest, beside it. */
export const noteFile = `${fileName}.manifest`;
/** Of the one file in an agent's manifest. */
export const artifact = { kind: 'agent', name: 'holdfast-agent' } as const;

/** Where the packages and `holdfast-agent install` put it; guardrails protect it on every machine. */
export const installedRoot = '/opt/holdfast-agent';

export type Layout = {
  readonly root: string;
  readonly stateFile: string;
  program(place: BuildPlace): string;
  manifest(place: BuildPlace): string;
};

export function layoutAt(root: string): Layout {
  const folder = (place: BuildPlace) => (place === 'own' ? root : join(root, 'slots', place));
  return {
    root,
    stateFile: join(root, 'update.json'),
    program: (place) => join(folder(place), fileName),
    manifest: (place) => join(folder(place), noteFile),
  };
}

/** The layout that an executable lies in, and its place there. */
export function locate(executable: string): { readonly layout: Layout; readonly place: BuildPlace } {
  const folder = dirname(executable);
  const slot = basename(folder);
  if (basename(dirname(folder)) === 'slots' && (slot === 'a' || slot === 'b')) {
    return { layout: layoutAt(dirname(dirname(folder))), place: slot };
  }
  return { layout: layoutAt(folder), place: 'own' };
}
