/** A Lambda environment in small: loads the bundle that it is given, and calls its handler for every message. */
const { handler } = await import(process.argv[2]);

process.on('message', async ({ id, event }) => {
  try {
    process.send({ id, result: (await handler(event, {})) ?? null });
  } catch (error) {
    process.send({ id, error: `${error?.name}: ${error?.message}` });
  }
});
process.once('disconnect', () => process.exit(0));
process.send({ id: 0, result: 'ready' });
