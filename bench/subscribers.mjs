import { execFileSync, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cpuOf } from './cpu.mjs';
import { atEnd } from './ending.mjs';
import { works } from './machine.mjs';

const here = (name) => fileURLToPath(new URL(`client/${name}`, import.meta.url));

/** The client to use: the compiled one if a compiler is installed. */
export const clientKind = process.env.BENCH_CLIENT !== 'node' && works('cc') ? 'compiled' : 'Node';
let compiled;

/** Milliseconds after which waiting for the subscribers fails. */
const PATIENCE_MS = 120_000;

function command() {
  if (clientKind === 'Node') return [process.execPath, [here('subscribers.mjs')]];
  if (!compiled) {
    const folder = mkdtempSync(join(tmpdir(), 'parley-bench-'));
    atEnd(() => rmSync(folder, { recursive: true }));
    compiled = join(folder, 'subscribers');
    execFileSync('cc', ['-O2', '-o', compiled, here('subscribers.c')]);
  }
  return [compiled, []];
}

/**
 * Starts subscribers in one process (see client/protocol.md). Each of `plans` has `count` sockets that go through the
 * same steps: `{ send }` sends a text, `{ await }` waits for a frame that contains a text. Resolves when all sockets
 * have completed their steps.
 * Emits `delivered` with the number of multiples of `every` events received so far, and `event` with the number of the
 * socket.
 */
export async function subscribe(plans, { marker = '"SENT"', inFlight = 256 } = {}) {
  const [program, args] = command();
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let ending = false;
  const stop = async () => {
    ending = true;
    child.stdin.end();
    await exited;
  };
  atEnd(stop);
  const news = new EventEmitter();
  const failed = exited.then(() => {
    if (!ending) throw new Error('the subscribers broke');
  });
  failed.catch(() => {});
  createInterface({ input: child.stdout }).on('line', (line) => {
    const space = line.indexOf(' ');
    news.emit(line.slice(0, space), line.slice(space + 1));
  });
  const answer = async (name) =>
    (await Promise.race([once(news, name, { signal: AbortSignal.timeout(PATIENCE_MS) }), failed]))?.[0];
  const tell = (...lines) => child.stdin.write(`${lines.join('\n')}\n`);

  tell(`marker ${marker}`);
  for (const [index, { port, path, protocol = '-', steps = [], count }] of plans.entries()) {
    tell(`script ${index} ${port} ${path} ${protocol}`, ...steps.map((step) => Object.entries(step)[0].join(' ')));
    tell(`open ${index} ${count}`);
  }
  tell(`connect ${inFlight}`);
  const [count, ms] = (await answer('connected')).split(' ').map(Number);
  return {
    count,
    /** Milliseconds from the first connection to the last subscription. */
    connectMs: ms,
    news,
    /** Rejects if the subscribers fail. */
    failed,
    cpu: () => cpuOf(child.pid),
    /** From now on `delivered` is emitted after every `every` events; the count restarts. */
    countBy: (every) => tell(`every ${every}`),
    /** Sets whether `event` is emitted for every event. */
    tellEach: (on) => tell(`each ${Number(on)}`),
    /**
     * The statistics since the previous call: events, reads that contained some, disorder, lost sockets, latencies in
     * µs.
     */
    async stats() {
      tell('stats');
      return JSON.parse(await answer('stats'));
    },
    stop,
  };
}
