/** Milliseconds without a delivery after which a run fails. */
const PATIENCE_MS = 120_000;

/**
 * Sends to a room for `seconds`, with at most `inFlight` messages that not all subscribers have received yet.
 * @returns the numbers of sent and delivered messages, and the duration in seconds.
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

/** Sends `count` messages to a room without subscribers, `inFlight` at a time. Resolves when all are done. */
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

/** The maximum number of messages in flight in a steady stream, so that a slow server is not overloaded. */
const STEADY_IN_FLIGHT = 256;

/**
 * Sends at a steady rate to the rooms in turn. Resolves when the whole `audience` of each room has received everything.
 * @returns the number of sent messages.
 */
export async function sendSteadily(subject, subscribers, { rooms, audience, perSecond, seconds }) {
  const count = Math.round(perSecond * seconds);
  let done;
  const delivered = new Promise((resolve, reject) => {
    done = (number) => Number(number) >= count && resolve();
    subscribers.failed.catch(reject);
  });
  if (audience > 0) {
    subscribers.countBy(audience);
    subscribers.news.on('delivered', done);
  }
  const began = performance.now();
  const underWay = new Set();
  for (let number = 0; number < count; number += 1) {
    const wait = began + (number / perSecond) * 1_000 - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    while (underWay.size >= STEADY_IN_FLIGHT) await Promise.race(underWay);
    const sending = subject.send(rooms[number % rooms.length]);
    underWay.add(sending);
    void sending.then(() => underWay.delete(sending));
  }
  await Promise.all(underWay);
  await subject.settle();
  if (audience > 0) {
    await delivered;
    subscribers.news.off('delivered', done);
  }
  return count;
}
