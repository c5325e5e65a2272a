import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Person, register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import {
  figure,
  form,
  hasAll,
  lacking,
  makeFleet,
  makeSender,
  type NodeProcess,
  ownServers,
  pause,
  range,
  subscribe,
  within,
} from '../support/fleet.js';
import { freePort, serversLacking } from '../support/servers.js';
import { createGroup } from '../support/talk.js';

/** Debian puts it into a folder that is not in the PATH of every user. */
const env = { ...process.env, PATH: `${process.env['PATH']}${delimiter}/usr/sbin` };
const haproxyLacking = (() => {
  try {
    execFileSync('haproxy', ['-v'], { stdio: 'ignore', env });
    return undefined;
  } catch {
    return 'haproxy not found (install it from Debian)';
  }
})();
if (haproxyLacking !== undefined) console.log(`The tests of deploy/haproxy.cfg are skipped: ${haproxyLacking}.`);

interface Balancer {
  /** Its URL for clients. */
  url: string;
  /** The end of its log. */
  output(): string;
}

/**
 * Runs HAProxy with deploy/haproxy.cfg, in which only the addresses and ports are replaced. Resolves when it serves.
 * @param nodes URLs of the two nodes.
 */
async function startBalancer(nodes: readonly string[]): Promise<Balancer> {
  const [port, healthPort] = [await freePort(), await freePort()];
  let config = await readFile('deploy/haproxy.cfg', 'utf8');
  const replace = (what: string | RegExp, by: string) => {
    expect(config).toMatch(what);
    config = config.replaceAll(what, by);
  };
  replace(/^ {4}bind :4000$/gm, `    bind 127.0.0.1:${port}`);
  replace(/127\.0\.0\.1:8404/g, `127.0.0.1:${healthPort}`);
  replace(/ resolvers docker init-addr last,libc,none/g, '');
  replace(/^resolvers docker\n(?: {4}.*\n)+/gm, '');
  for (const [index, url] of nodes.entries()) replace(new RegExp(`node-${index + 1}:4000`, 'g'), new URL(url).host);
  const folder = await mkdtemp(join(tmpdir(), 'parley_haproxy_'));
  const path = join(folder, 'haproxy.cfg');
  await writeFile(path, config);
  const child = spawn('haproxy', ['-db', '-f', path], { stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk).slice(-20_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  atEnd(async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}/graphql`;
  await within(
    10_000,
    () => `haproxy serves: ${output}`,
    () =>
      fetch(url.replace('/graphql', '/ready')).then(
        ({ ok }) => ok,
        () => child.exitCode !== null,
      ),
  );
  expect(child.exitCode, output).toBeNull();
  return { url, output: () => output };
}

/** A stand-in for a node, of which only what the balancer sees is there. */
interface StandIn {
  url: string;
  /** As while the database is away: `/ready` is 503, and calls are answered UNAVAILABLE. */
  isUnavailable: boolean;
  /** Takes requests and answers none, as a process that is busy. */
  stall(): void;
  goOn(): void;
}

async function startStandIn(): Promise<StandIn> {
  let waiting: (() => void)[] | undefined;
  const server = createServer((request, response) => {
    const answer = () => {
      const isReady = request.url === '/ready';
      const body = standIn.isUnavailable ? { errors: [{ message: UNAVAILABLE_AT_NODE }] } : { data: {} };
      response.writeHead(standIn.isUnavailable && isReady ? 503 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (waiting) waiting.push(answer);
    else answer();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  const standIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    isUnavailable: false,
    stall() {
      waiting = [];
    },
    goOn() {
      const answers = waiting ?? [];
      waiting = undefined;
      for (const answer of answers) answer();
    },
  };
  return standIn;
}

const UNAVAILABLE_AT_NODE = 'a node answered this';

/** What a call through the balancer is answered: a status and a body. */
const call = async (url: string): Promise<string> => {
  const response = await fetch(url, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
  return `${response.status} ${await response.text()}`;
};

describe.skipIf(haproxyLacking !== undefined)('deploy/haproxy.cfg before stand-ins for nodes', () => {
  const start = async () => {
    const nodes = [await startStandIn(), await startStandIn()];
    const balancer = await startBalancer(nodes.map(({ url }) => url));
    // Until a first check it holds a node for ready.
    await pause(1_000);
    return { nodes, balancer };
  };

  it('keeps nodes in the pool that are busy for 4.5 s, and answers every call', async () => {
    const { nodes, balancer } = await start();
    for (const node of nodes) node.stall();
    const answers: Promise<string>[] = [];
    for (const _ of range(1, 45)) {
      answers.push(call(balancer.url));
      await pause(100);
    }
    for (const node of nodes) node.goOn();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['200 {"data":{}}']));
    expect(balancer.output()).not.toMatch(/is DOWN|has no server available/);
  });

  it('hands calls to the nodes when none is ready: they say themselves what is the matter', async () => {
    const { nodes, balancer } = await start();
    for (const node of nodes) node.isUnavailable = true;
    await within(
      10_000,
      () => `both are out of the pool: ${balancer.output()}`,
      () => /backend ready has no server available/i.test(balancer.output()),
    );
    expect(await call(balancer.url)).toBe(`200 {"errors":[{"message":"${UNAVAILABLE_AT_NODE}"}]}`);
  });
});

/** It takes minutes: only the long form runs it. */
const skipped = serversLacking ?? haproxyLacking ?? form('the short form has stand-ins for nodes', undefined);

describe.skipIf(skipped !== undefined)('deploy/haproxy.cfg', () => {
  let nodes: [NodeProcess, NodeProcess];
  let url: string;
  let people: Person[];
  let group: string;
  beforeAll(async () => {
    const fleet = await makeFleet(await ownServers(), {
      DRAIN_TIME: '2s',
      SHUTDOWN_TIMEOUT: '20s',
      TRUSTED_PROXIES: 'loopback',
    });
    nodes = [await fleet.add(), await fleet.add()];
    ({ url } = await startBalancer(nodes.map((node) => node.url)));
    people = [];
    for (const index of range(1, 4)) people.push(await register(url, `person${index}`));
    const [alice, ...members] = people as [Person, ...Person[]];
    group = await createGroup(alice, members);
  });

  it('answers everybody, late, when all nodes are busy for some seconds', { timeout: 120_000 }, async () => {
    const sender = makeSender(people[0] as Person, group, [url]);
    const stop = sender.steadily(50);
    for (const _ of range(1, 3)) {
      await pause(1_000);
      // A process that is stopped is as one that computes all the while: its port takes connections, nobody answers.
      for (const node of nodes) node.child.kill('SIGSTOP');
      await pause(4_500);
      for (const node of nodes) node.child.kill('SIGCONT');
    }
    await pause(1_000);
    await stop();
    figure('all nodes are busy for 4.5 s, three times, behind HAProxy', {
      sends: sender.answered.length,
      failed: Object.fromEntries(sender.codes),
      longestMs: Math.max(...sender.answered.map(({ ms }) => ms)),
    });
    expect(Object.fromEntries(sender.codes)).toEqual({});
  });

  it('fails no call during a rolling restart under load', { timeout: 300_000 }, async () => {
    const subscribers = range(1, 100).map((index) => subscribe(people[index % people.length] as Person, () => url));
    await within(30_000, 'they are live', () => subscribers.every(({ caughtUp }) => caughtUp > 0));
    const sender = makeSender(people[0] as Person, group, [url]);
    const stop = sender.steadily(100);
    await within(10_000, 'it flows', () => sender.answered.length > 200);
    for (const node of nodes) {
      expect(await node.stop(), node.output()).toBe(0);
      await pause(1_000);
      // As `docker compose up --wait` does: the next one right after this one says that it is ready.
      await node.start();
    }
    await pause(3_000);
    await stop();
    for (const each of subscribers) {
      await within(30_000, lacking(each, sender.answered), () => hasAll(each, sender.answered));
    }
    const failed = [...sender.codes.values()].reduce((sum, count) => sum + count, 0);
    figure('rolling restart of two nodes behind HAProxy', {
      sends: sender.answered.length,
      failed: Object.fromEntries(sender.codes),
      longestMs: Math.max(...sender.answered.map(({ ms }) => ms)),
    });
    // A request on a connection that the node closes at that very moment is cut: whoever sends it again is answered.
    expect(failed / sender.answered.length).toBeLessThan(0.001);
  });
});
