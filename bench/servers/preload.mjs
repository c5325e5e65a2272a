// Loaded into every measured server, including Parley. Collects garbage when the harness asks for it (`regular`, or
// `last-resort` to free as much memory as possible).
process.on('message', ({ collect }) => {
  if (!collect) return;
  globalThis.gc({ type: 'major', execution: 'sync', flavor: collect });
  process.send({ collected: true });
});
// Otherwise the channel would keep a stopping server alive.
process.channel?.unref();
