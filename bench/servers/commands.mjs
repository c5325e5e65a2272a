/**
 * Makes a peer carry out the commands of the harness: `deliver(room, event)` is called for each event. Commands are
 * processed in order, so `sync` is answered after the preceding events have been delivered, within one turn of the
 * event loop.
 */
export function obey(deliver) {
  process.on('message', ({ room, event, sync }) => {
    if (event) deliver(String(room), event);
    if (sync) setImmediate(() => process.send({ synced: true }));
  });
  process.channel.ref();
}

// A process killed by the signal would not write its profile.
process.once('SIGTERM', () => process.exit());

/** Reports the port of this peer to the harness when it listens. */
export function tellPort(server) {
  server.on('listening', () => process.send({ port: server.address().port }));
}

/** The text frame in which Parley would send an event. */
export const frameOf = (event) => `{"id":"1","type":"next","payload":{"data":{"messages":${JSON.stringify(event)}}}}`;
