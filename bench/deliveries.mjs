import { writesOf } from './cpu.mjs';
import { drive, sendToNobody } from './drive.mjs';

/** The number of slices of a measurement. A server with a long backlog has fewer. */
const SLICES = 4;

/**
 * Measures the cost of a delivery during `seconds` of sending. Each slice of sending to subscribers is followed by as
 * many sends without subscribers, whose cost is subtracted. Both happen shortly after each other, so that other load on
 * the machine affects them equally.
 * @throws if not every subscriber received every event once and in order.
 */
export async function measureDeliveries(subject, subscribers, { inFlight, seconds }) {
  const { server } = subject;
  await subscribers.stats();
  const sum = { sent: 0, seconds: 0, cpu: 0, sends: 0, client: 0, writes: 0 };
  while (sum.seconds < seconds) {
    // Collects garbage first, so that a part does not pay for the garbage of the previous one.
    await server.collectGarbage();
    const before = { cpu: server.cpu(), client: subscribers.cpu(), writes: writesOf(server.pid) };
    const drove = await drive(subject, subscribers, { inFlight, seconds: seconds / SLICES });
    await subject.settle();
    sum.cpu += server.cpu() - before.cpu;
    sum.writes += writesOf(server.pid) - before.writes;
    sum.client += subscribers.cpu() - before.client;
    sum.sent += drove.sent;
    sum.seconds += drove.seconds;
    await server.collectGarbage();
    const beforeSends = server.cpu();
    await sendToNobody(subject, { inFlight, count: drove.sent });
    sum.sends += server.cpu() - beforeSends;
  }
  const deliveries = sum.sent * subscribers.count;
  const stats = await subscribers.stats();
  if (stats.events !== deliveries || stats.disorder > 0 || stats.lost > 0) {
    throw new Error(`${subject.name}: ${deliveries} expected, came: ${JSON.stringify(stats)}`);
  }
  return {
    cpu: (sum.cpu - sum.sends) / deliveries,
    cpuPerSend: sum.sends / sum.sent,
    clientCpu: sum.client / deliveries,
    perSecond: deliveries / sum.seconds,
    // If the kernel does not count writes, the reads of the client are counted instead.
    perWrite: deliveries / (Number.isNaN(sum.writes) ? stats.reads : sum.writes),
  };
}
