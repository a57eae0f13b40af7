/** A signed build that runs, heeds nothing, and never checks in. */
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
setInterval(() => undefined, 60_000);
