import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ExecutionArgs, type ExecutionResult, parse } from 'graphql';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { idOf } from '../../src/core/ids.js';
import { createSummaries, summaries, summaryQueue } from '../../src/domain/summary/summaries.js';
import { createSummaryWorkers } from '../../src/domain/summary/summary.extractive.js';
import { codeOf } from '../../src/graphql/errors.js';
import { noMetrics } from '../../src/infra/telemetry/metrics.js';
import { noTracing } from '../../src/infra/telemetry/tracing.js';
import { createNodeTime, nodeTime } from '../../src/platform/node-time.js';
import { createOperations } from '../../src/server/operations.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, listen, type Person, registerAll } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { makePlace, modes } from '../support/place.js';
import { PRESENCE } from '../support/presence.js';
import { stopShared } from '../support/shared.js';
import { openSse } from '../support/sse.js';
import { PROGRESS } from '../support/summaries.js';
import { createGroup, MESSAGES, send } from '../support/talk.js';

beforeAll(stopShared);

describe('queries of one user', () => {
  const operations = (nodeTime = createNodeTime({ share: Number.POSITIVE_INFINITY })) =>
    createOperations({
      metrics: noMetrics,
      tracing: noTracing,
      statementsPerPersonMax: 5,
      queriesPerPersonMax: 2,
      largeOperationCost: 1_000,
      nodeTime,
      costOf: ({ document }) => (JSON.stringify(document).includes('conversations') ? 1_000 : 1),
    });
  /** Executes operations that stay in progress until the test ends them. */
  const executor = (execute: ReturnType<typeof operations>['execute']) => {
    const running: (() => void)[] = [];
    const start = (userId: string, query = '{ viewer { id } }', isService?: true) => {
      const requester = { userId, sessionId: userId, expiresAt: new Date(), ...(isService && { isService }) };
      const args = { document: parse(query), contextValue: { requester } } as unknown as ExecutionArgs;
      return execute<ExecutionResult>(
        args,
        { transport: 'http', parent: {} },
        () => new Promise((resolve) => running.push(() => resolve({ data: {} }))),
      );
    };
    return { running, start };
  };

  it('are limited in concurrency, without delaying other users', async () => {
    const { running, start } = executor(operations().execute);
    const all = Array.from({ length: 10 }, () => start('one'));
    await nextTurn();
    expect(running).toHaveLength(2);
    all.push(start('other'), start('one', 'mutation { logout { sessionId } }'), start('service', undefined, true));
    await nextTurn();
    expect(running).toHaveLength(5);
    while (running.length > 0) {
      for (const end of running.splice(0)) end();
      await nextTurn();
    }
    expect(await Promise.all(all)).toEqual(Array(13).fill({ data: {} }));
  });

  it('run one after another if they are large, concurrently with small ones', async () => {
    const { running, start } = executor(operations().execute);
    const large = '{ conversations { nodes { id } } }';
    const all = [start('one', large), start('one', large), start('one', large), start('one'), start('other', large)];
    await nextTurn();
    expect(running).toHaveLength(3);
    for (const end of running.splice(0)) end();
    await nextTurn();
    expect(running).toHaveLength(1);
    while (running.length > 0) {
      for (const end of running.splice(0)) end();
      await nextTurn();
    }
    expect(await Promise.all(all)).toEqual(Array(5).fill({ data: {} }));
  });

  it('count as use of the node for everybody else, as do those of the service key', async () => {
    const time = createNodeTime({ share: 0.25 });
    const { running, start } = executor(operations(time).execute);
    const all = [start('one')];
    expect([time.usage.isByOthers('one'), time.usage.isByOthers('other')]).toEqual([false, true]);
    all.push(start('service', undefined, true));
    expect(time.usage.isByOthers('one')).toBe(true);
    await nextTurn();
    for (const end of running.splice(0)) end();
    await Promise.all(all);
  });

  it('wait for the share of their user only if they are large', async () => {
    const time = createNodeTime({ share: 0.25 });
    let pay = () => {};
    const paid = new Promise<void>((resolve) => {
      pay = resolve;
    });
    const whenWithinShare = vi.fn(() => paid);
    const spend = vi.fn();
    const { running, start } = executor(operations({ ...time, whenWithinShare, spend }).execute);
    const all = [start('one'), start('one', '{ conversations { nodes { id } } }')];
    await nextTurn();
    expect([running.length, whenWithinShare.mock.calls]).toEqual([1, [['one']]]);
    pay();
    await nextTurn();
    expect(running).toHaveLength(2);
    for (const end of running.splice(0)) end();
    await Promise.all(all);
    expect(spend.mock.calls).toEqual([['one', expect.any(Number)]]);
  });

  it('are rejected if a thousand of them are waiting', async () => {
    const { running, start } = executor(operations().execute);
    const all = Array.from({ length: 1_002 }, () => start('one'));
    const { errors = [] } = await start('one');
    expect(errors.map(codeOf)).toEqual(['RATE_LIMITED']);
    expect(errors[0]?.originalError).toMatchObject({ retryAfterMs: 1_000 });
    await nextTurn();
    while (running.length > 0) {
      for (const end of running.splice(0)) end();
      await nextTurn();
    }
    expect((await Promise.all(all)).every(({ data }) => data)).toBe(true);
  });
});

describe.each(modes)('fairness in %s mode', (mode) => {
  let node: RunningNode;
  let ana: Person;
  let bob: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start({
      RATE_LIMITS: 'on',
      PRESENCE_STREAMS_PER_PERSON_MAX: '2',
      SUMMARIES_PER_PERSON_MAX: '1',
    });
    [ana, bob] = await registerAll(node.url, 'ana', 'bob');
  });

  it.each(['WebSocket', 'SSE'])(
    'a user who only receives events counts as one who uses the node (%s)',
    async (transport) => {
      const group = await createGroup(ana, [bob]);
      let events: Json[] = [];
      if (transport === 'SSE') {
        const stream = await openSse(node.url, bob.token, {}, ({ data }) => events.push(data.messages));
        onTestFinished(() => stream.cancel());
      } else {
        ({ events } = listen(connectInTest(node.url, bob.token), MESSAGES));
      }
      await eventually('the subscription is open', () => events.length > 0);
      const { usage } = nodeTime.of(node.deps);
      const anaId = idOf('User', ana.id, 'id');
      await eventually('nobody else uses the node', () => !usage.isByOthers(anaId));
      await send(ana, group, 'hello');
      await eventually('the message is received', () => events.some(({ message }) => message?.text === 'hello'));
      expect(usage.isByOthers(anaId)).toBe(true);
    },
  );

  it('limits the presence streams of one user, until one of them ends', async () => {
    const client = connectInTest(node.url, ana.token);
    const watch = () => listen(client, PRESENCE, { userIds: [ana.id] }, 'presence');
    const streams = [watch(), watch()];
    for (const { until } of streams) await until(() => true);
    expect(await watch().ended).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 } }]);
    await listen(connectInTest(node.url, bob.token), PRESENCE, { userIds: [bob.id] }, 'presence').until(() => true);
    streams[0]?.cancel();
    await eventually('another stream is accepted', async () => {
      const again = watch();
      return (
        (await Promise.race([again.until(() => true).catch(() => false), again.ended.then(() => false)])) !== false
      );
    });
  });

  it('creates the summaries of one user one after another, without delaying other users or subscriptions', async () => {
    const group = await createGroup(ana, [bob]);
    await send(ana, group, 'Shall we meet on Monday at noon to talk about the plan?');
    await send(ana, group, 'The plan is ready, and I have sent it to everybody.');
    const { deps } = node;
    const original = summaries.of(deps);
    const workers = createSummaryWorkers(deps.config);
    let made = 0;
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const delayed = createSummaries(deps, {
      ...workers,
      run: async (name, task) => {
        made += 1;
        await released;
        return workers.run(name, task);
      },
    });
    deps.services.replace(summaries, delayed);
    atEnd(async () => {
      deps.services.replace(summaries, original);
      await delayed.close();
    });
    const summarize = async (person: Person, fromSeq: number): Promise<string> => {
      const data: Json = await person.ask(
        'mutation ($input: SummarizeConversationInput!) { summarizeConversation(input: $input) { summary { id } } }',
        { input: { conversationId: group, fromSeq } },
      );
      return data.summarizeConversation.summary.id;
    };
    const first = summarize(ana, 1);
    await eventually('the first summary is being created', () => made === 1);
    const second = summarize(ana, 2);
    await eventually('the second summary waits', () => summaryQueue.of(deps).waiting === 1);
    const joined = [ana, bob].map((person) =>
      listen(connectInTest(node.url, person.token), PROGRESS, { conversationId: group, fromSeq: 1 }, 'summaryProgress'),
    );
    // The first event shows that the subscription is open.
    for (const { until } of joined) await until(({ progress }) => progress < 1);
    const others = summarize(bob, 2);
    await eventually("the other person's is being made", () => made === 2);
    expect(summaryQueue.of(deps).waiting).toBe(1);
    release();
    for (const { until } of joined) {
      const { summary } = await until(({ progress }) => progress === 1);
      expect(summary.id).toBe(await first);
    }
    expect(await others).toBe(await second);
  });
});
