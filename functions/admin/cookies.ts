/** The two cookies: of a session, and of a log-in under way. Both bound to this host by their prefix (RFC 6265bis §4.1.3.2). */

const sessionCookie = '__Host-holdfast';
const loginCookie = '__Host-holdfast-login';
const maxHeaderCharacters = 8192;

/** What the cookie header says, attacker-controlled. A name that comes twice is refused: which one counts would be a guess. */
export function readCookies(header: string | null): { readonly session?: string; readonly login?: string } {
  const session = readCookie(header, sessionCookie);
  const login = readCookie(header, loginCookie);
  return { ...(session === undefined ? {} : { session }), ...(login === undefined ? {} : { login }) };
}

/** Sent with requests of our own pages only. */
export function formatSessionCookie(id: string, maxAgeMs: number): string {
  return `${sessionCookie}=${id}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${Math.floor(maxAgeMs / 1000)}`;
}

/** Lax, because the identity provider sends the browser back from another site: a Strict one would be missing there. */
export function formatLoginCookie(id: string, maxAgeMs: number): string {
  return `${loginCookie}=${id}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${Math.max(1, Math.floor(maxAgeMs / 1000))}`;
}

export function clearedCookie(which: 'session' | 'login'): string {
  const [name, sameSite] = which === 'session' ? [sessionCookie, 'Strict'] : [loginCookie, 'Lax'];
  return `${name}=; Path=/; Secure; HttpOnly; SameSite=${sameSite}; Max-Age=0`;
}

function readCookie(header: string | null, name: string): string | undefined {
  if (header === null || header.length > maxHeaderCharacters) return undefined;
  const values = header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  return values.length === 1 ? values[0] : undefined;
}
