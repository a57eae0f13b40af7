/** A path below the address that a destination is configured with, which may have a path and a query of its own. */
export function baseUrl(base: string, path: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${path}`;
  return url;
}
