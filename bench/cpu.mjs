import { readdirSync, readFileSync } from 'node:fs';

/**
 * Microseconds of processor time that a process has used, all its threads, user and system: what the operating system
 * counts, in nanoseconds. The kernel's work of sending over loopback is in it, for every server alike.
 */
export function cpuOf(pid) {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    // A thread can end between the list and the look.
    nanoseconds += Number(readOrNothing(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]);
  }
  return nanoseconds > 0 ? nanoseconds / 1_000 : ticksOf(pid);
}

/** The same in steps of a hundredth of a second, for kernels that do not keep the other. */
function ticksOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** How many times a process has written (write, writev, sendmsg); undefined where the kernel does not count. */
export function writesOf(pid) {
  const found = /^syscw: (\d+)$/m.exec(readOrNothing(`/proc/${pid}/io`));
  return found ? Number(found[1]) : undefined;
}

/** Bytes of memory that a process holds. */
export function memoryOf(pid) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1_024;
}

function readOrNothing(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
