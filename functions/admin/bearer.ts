/** The bearer credential of a request (RFC 6750 §2.1): in the header or nowhere, so it never lands in a URL or a log. */

/** `Bearer`, one space, and the characters that RFC 6750 allows, capped well above our longest token. */
const pattern = /^Bearer ([A-Za-z0-9._~+/-]{1,256}=*)$/i;

/** The token of an `Authorization` header, which is whatever a stranger sent; `undefined` unless it has exactly this form. */
export function bearerToken(header: string | null): string | undefined {
  return header === null || header.length > 300 ? undefined : pattern.exec(header)?.[1];
}
