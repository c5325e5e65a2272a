/** Milliseconds without a delivery after which something is broken. */
const PATIENCE_MS = 20_000;

/**
 * Sends to a room for `seconds`, never more than `inFlight` that not all subscribers have yet.
 * @returns how many were sent and delivered, and the seconds that it took.
 */
export function drive(subject, subscribers, { room = 'full', inFlight, seconds }) {
  const began = performance.now();
  const until = began + seconds * 1_000;
  let sent = 0;
  let delivered = 0;
  let moved = began;
  subscribers.countBy(subscribers.count);
  return new Promise((resolve, reject) => {
    const over = (settle, value) => {
      clearInterval(watch);
      subscribers.news.off('delivered', onDelivered);
      settle(value);
    };
    const fail = (error) => over(reject, error);
    const watch = setInterval(() => {
      if (performance.now() - moved > PATIENCE_MS)
        fail(new Error(`${subject.name}: ${delivered} of ${sent} delivered`));
    }, 1_000);
    const pump = () => {
      while (sent - delivered < inFlight && performance.now() < until) {
        sent += 1;
        subject.send(room).catch(fail);
      }
      if (sent === delivered) over(resolve, { sent, seconds: (performance.now() - began) / 1_000 });
    };
    const onDelivered = (count) => {
      delivered = Number(count);
      moved = performance.now();
      pump();
    };
    subscribers.news.on('delivered', onDelivered);
    subscribers.failed.catch(fail);
    pump();
  });
}

/** Sends so many to a room where nobody listens, `inFlight` at a time; resolves when they are done. */
export async function sendToNobody(subject, { room = 'empty', inFlight, count }) {
  let left = count;
  const work = async () => {
    while (left > 0) {
      left -= 1;
      await subject.send(room);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  await subject.settle();
}
