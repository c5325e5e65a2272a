import { writesOf } from './cpu.mjs';
import { drive, sendToNobody } from './drive.mjs';

/** Slices that a measurement is made of; a server whose backlog takes long has fewer. */
const SLICES = 4;

/**
 * What a delivery costs, over `seconds` of sending: in slices, each followed by as many sends to nobody, whose cost is
 * subtracted. The two are close neighbours in time, so that what else the machine does is much the same for both.
 * @throws when not everything came to everyone, once and in order.
 */
export async function measureDeliveries(subject, subscribers, { inFlight, seconds }) {
  const { server } = subject;
  await subscribers.stats();
  const sum = { sent: 0, seconds: 0, cpu: 0, sends: 0, client: 0, writes: 0 };
  while (sum.seconds < seconds) {
    // Each part begins without the garbage of the one before, which would be collected at its expense.
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
    // Where the kernel does not count writes: what a read of the client found together.
    perWrite: deliveries / (Number.isNaN(sum.writes) ? stats.reads : sum.writes),
  };
}
