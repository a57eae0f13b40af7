/** The one function of `postject` that is used here; the package has no types of its own. */
declare module 'postject' {
  /** Puts `data` into the executable at `path`, as a resource of that name. */
  export function inject(
    path: string,
    name: string,
    data: Buffer,
    options: { readonly sentinelFuse: string },
  ): Promise<void>;
}
