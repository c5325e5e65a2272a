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

/** Debian installs it in a folder that is not in the PATH of every user. */
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
 * Runs HAProxy with deploy/haproxy.cfg, in which only addresses and ports are replaced. Resolves when it is ready.
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

/** A server that behaves like a node as far as the load balancer can see. */
interface StandIn {
  url: string;
  /** Behaves as without a database: `/ready` returns 503, and calls return UNAVAILABLE. */
  isUnavailable: boolean;
  /** Accepts requests without responding, like a busy process. */
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

/** The response to a call through the load balancer: its status and body. */
const call = async (url: string): Promise<string> => {
  const response = await fetch(url, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
  return `${response.status} ${await response.text()}`;
};

describe.skipIf(haproxyLacking !== undefined)('deploy/haproxy.cfg in front of simulated nodes', () => {
  const start = async () => {
    const nodes = [await startStandIn(), await startStandIn()];
    const balancer = await startBalancer(nodes.map(({ url }) => url));
    // HAProxy regards a node as ready until its first check.
    await pause(1_000);
    return { nodes, balancer };
  };

  it('keeps nodes that are busy for 4.5 s in the pool, and every call gets a response', async () => {
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

  it('forwards calls if no node is ready, so that clients receive the error of a node', async () => {
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

/** Only the long form runs these tests, because they take minutes. */
const skipped = serversLacking ?? haproxyLacking ?? form('the short form uses simulated nodes', undefined);

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

  it('responds to every call late if all nodes are busy for some seconds', { timeout: 120_000 }, async () => {
    const sender = makeSender(people[0] as Person, group, [url]);
    const stop = sender.steadily(50);
    for (const _ of range(1, 3)) {
      await pause(1_000);
      // A stopped process behaves like a busy one: its port accepts connections, but there are no responses.
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

  it('lets no call fail during a rolling restart under load', { timeout: 300_000 }, async () => {
    const subscribers = range(1, 100).map((index) => subscribe(people[index % people.length] as Person, () => url));
    await within(30_000, 'they are live', () => subscribers.every(({ caughtUp }) => caughtUp > 0));
    const sender = makeSender(people[0] as Person, group, [url]);
    const stop = sender.steadily(100);
    await within(10_000, 'it flows', () => sender.answered.length > 200);
    for (const node of nodes) {
      expect(await node.stop(), node.output()).toBe(0);
      await pause(1_000);
      // Like `docker compose up --wait`: restarts the next node as soon as this one is ready.
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
    // A request on a connection that the node is just closing fails, and succeeds when it is repeated.
    expect(failed / sender.answered.length).toBeLessThan(0.001);
  });
});
