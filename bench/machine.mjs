import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';

/** Whether processes can be bound to one core each. */
export const pinning = cpus().length >= 2 && works('taskset', ['-c', '0', 'true']);

/** The measured server has a core of its own; its clients, including this process, share another one. */
const cores = { server: '0', client: '1' };

/** A command line that runs a program on one of the cores, or unchanged if binding is not possible. */
export function onCore(which, program, args) {
  return pinning ? ['taskset', ['-c', cores[which], program, ...args]] : [program, args];
}

/** Binds this process, and the processes it starts later, to the core of the clients. */
export function moveToClientCore() {
  if (pinning) execFileSync('taskset', ['-acp', cores.client, String(process.pid)], { stdio: 'ignore' });
}

/** Whether a program can be run on this machine. */
export function works(program, args = ['--version']) {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Describes the machine, one property per line. */
export function describeMachine(clientKind) {
  const [cpu] = cpus();
  return [
    `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split('-')[0]}, Node ${process.version}`,
    pinning
      ? 'server on core 0, clients and harness on core 1 (taskset); PostgreSQL and Redis on both cores'
      : 'no CPU pinning: taskset is missing, or there is only one core',
    `subscribers: the ${clientKind} client`,
    `load averages at the start: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(', ')}`,
  ];
}
