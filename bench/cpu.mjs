import { readdirSync, readFileSync } from 'node:fs';

/**
 * The CPU time of a process in microseconds: all threads, user and system, as counted by the kernel in nanoseconds. It
 * includes the kernel's work of sending over loopback, for every server alike.
 */
export function cpuOf(pid) {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    // A thread can end after it was listed.
    nanoseconds += Number(readOrNothing(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]);
  }
  return nanoseconds > 0 ? nanoseconds / 1_000 : ticksOf(pid);
}

/** The same in steps of 10 ms, for kernels without schedstat. */
function ticksOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** The number of write calls of a process (write, writev, sendmsg); undefined if the kernel does not count them. */
export function writesOf(pid) {
  const found = /^syscw: (\d+)$/m.exec(readOrNothing(`/proc/${pid}/io`));
  return found ? Number(found[1]) : undefined;
}

/** The memory of a process in bytes. */
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
