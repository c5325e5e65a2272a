import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpuOf } from './cpu.mjs';
import { atEnd } from './ending.mjs';
import { onCore } from './machine.mjs';

const preload = new URL('servers/preload.mjs', import.meta.url).href;

let profiling = [];

/** Makes every server write a CPU profile to this directory when it ends. Profiling slows servers down. */
export function profileInto(folder) {
  profiling = ['--cpu-prof', '--cpu-prof-dir', folder];
}

/**
 * Starts a Node process on the server's core, or on that of the clients if it belongs to those. Resolves when `ready`
 * finds the address in a line of its output or in a message it sends.
 */
export async function startServer(file, { env = {}, core = 'server', ready = ({ message }) => message?.port }) {
  const [program, args] = onCore(core, process.execPath, [...profiling, '--expose-gc', '--import', preload, file]);
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(timer);
  };
  atEnd(stop);
  const place = await new Promise((resolve, reject) => {
    const look = (seen) => {
      const found = ready(seen);
      if (found) resolve(found);
    };
    child.stdout.on('data', (chunk) => look({ line: String(chunk) }));
    child.on('message', (message) => look({ message }));
    void exited.then(([code]) => reject(new Error(`${file} ended with ${code} before it was ready`)));
  });
  const request = (command, answer) => {
    const answered = new Promise((resolve) => {
      child.on('message', function hear(message) {
        if (message[answer] === undefined) return;
        child.off('message', hear);
        resolve(message[answer]);
      });
    });
    child.send(command);
    return answered;
  };
  return {
    pid: child.pid,
    place,
    cpu: () => cpuOf(child.pid),
    /** Sends a command without waiting for a response. */
    tell: (command) => child.send(command),
    /** Sends a command and resolves with the named part of the response. */
    request,
    /** Resolves when all previous commands have been carried out. */
    settle: () => request({ sync: true }, 'synced'),
    /** Resolves after garbage collection; `last-resort` frees as much memory as possible. */
    collectGarbage: (flavor = 'regular') => request({ collect: flavor }, 'collected'),
    stop,
  };
}
