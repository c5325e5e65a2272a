/**
 * Has a peer do what the harness tells it: `deliver(room, event)` for each event. The channel is read in order, so
 * `sync` is answered when the events before it were delivered as far as one turn of the event loop goes.
 */
export function obey(deliver) {
  process.on('message', ({ room, event, sync }) => {
    if (event) deliver(String(room), event);
    if (sync) setImmediate(() => process.send({ synced: true }));
  });
  process.channel.ref();
}

// Killed by the signal itself it would leave no profile.
process.once('SIGTERM', () => process.exit());

/** Tells the harness where this peer listens, as soon as it does. */
export function tellPort(server) {
  server.on('listening', () => process.send({ port: server.address().port }));
}

/** The text frame that Parley would send of an event. */
export const frameOf = (event) => `{"id":"1","type":"next","payload":{"data":{"messages":${JSON.stringify(event)}}}}`;
