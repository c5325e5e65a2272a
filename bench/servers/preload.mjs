// Loaded into every server that is measured, Parley too: collects garbage when the harness asks for it
// (`regular`, or as `last-resort` all that can be had).
process.on('message', ({ collect }) => {
  if (!collect) return;
  globalThis.gc({ type: 'major', execution: 'sync', flavor: collect });
  process.send({ collected: true });
});
// Else the channel would keep alive a server that stops.
process.channel?.unref();
