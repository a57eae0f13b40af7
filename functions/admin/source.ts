/** Where a request comes from, as the socket says: for limits on load, and never a reason to trust or to believe a header. */

export function sourceAddress(environment: unknown): string {
  const { incoming } = (environment ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } };
  return incoming?.socket?.remoteAddress ?? 'unknown';
}
