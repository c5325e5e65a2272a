import { readdirSync, readFileSync } from 'node:fs';
import { WebSocket } from 'ws';
import type { NodeProcess } from './fleet.js';
import { freePort } from './servers.js';

/** The environment of a node whose heap `heapOf` can inspect. */
export async function inspected(): Promise<{ NODE_OPTIONS: string; INSPECTED_AT: string }> {
  const place = `127.0.0.1:${await freePort()}`;
  return { NODE_OPTIONS: `--inspect=${place}`, INSPECTED_AT: place };
}

/** The used heap of an inspected node in bytes, after a garbage collection. */
export async function heapOf({ INSPECTED_AT }: { INSPECTED_AT: string }): Promise<number> {
  const targets = (await (await fetch(`http://${INSPECTED_AT}/json/list`)).json()) as {
    webSocketDebuggerUrl: string;
  }[];
  const socket = new WebSocket(targets[0]?.webSocketDebuggerUrl ?? '');
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const call = (id: number, method: string) =>
    new Promise<{ usedSize: number }>((resolve) => {
      socket.on('message', (data) => {
        const answer = JSON.parse(String(data)) as { id: number; result: { usedSize: number } };
        if (answer.id === id) resolve(answer.result);
      });
      socket.send(JSON.stringify({ id, method }));
    });
  try {
    await call(1, 'HeapProfiler.collectGarbage');
    await call(2, 'HeapProfiler.collectGarbage');
    return (await call(3, 'Runtime.getHeapUsage')).usedSize;
  } finally {
    socket.terminate();
  }
}

/** The number of open sockets of a node; undefined if the system does not report it. */
export function descriptorsOf({ child }: NodeProcess): number | undefined {
  try {
    return readdirSync(`/proc/${child.pid}/fd`).length;
  } catch {
    return undefined;
  }
}

/** The peak memory of a node in megabytes; undefined if the system does not report it. */
export function peakMemoryOf({ child }: NodeProcess): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
    return Math.round(Number(kilobytes) / 1024);
  } catch {
    return undefined;
  }
}
