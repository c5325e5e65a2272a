import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ExecutionArgs, type ExecutionResult, parse } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { createSummaries, summaries, summaryGates } from '../../src/domain/summary/summaries.js';
import { createSummaryWorkers } from '../../src/domain/summary/summary.extractive.js';
import { codeOf } from '../../src/graphql/errors.js';
import { noMetrics } from '../../src/infra/telemetry/metrics.js';
import { noTracing } from '../../src/infra/telemetry/tracing.js';
import { createOperations } from '../../src/server/operations.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, listen, type Person, registerAll } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { footings, makePlace } from '../support/place.js';
import { PRESENCE } from '../support/presence.js';
import { PROGRESS } from '../support/summaries.js';
import { createGroup, send } from '../support/talk.js';

describe('queries of one person', () => {
  const operations = () =>
    createOperations({
      metrics: noMetrics,
      tracing: noTracing,
      statementsPerPersonMax: 5,
      queriesPerPersonMax: 2,
      largeOperationCost: 1_000,
      timePerPersonPercent: Number.POSITIVE_INFINITY,
      costOf: ({ document }) => (JSON.stringify(document).includes('conversations') ? 1_000 : 1),
    });
  /** Carries operations out that end when they are told to. */
  const carrying = (carryOut: ReturnType<typeof operations>['carryOut']) => {
    const running: (() => void)[] = [];
    const start = (userId: string, query = '{ viewer { id } }', isService?: true) => {
      const asker = { userId, sessionId: userId, expiresAt: new Date(), ...(isService && { isService }) };
      const args = { document: parse(query), contextValue: { asker } } as unknown as ExecutionArgs;
      return carryOut<ExecutionResult>(
        args,
        { transport: 'http', parent: {} },
        () => new Promise((resolve) => running.push(() => resolve({ data: {} }))),
      );
    };
    return { running, start };
  };

  it('wait for each other beyond so many at once, and nobody else waits for them', async () => {
    const { running, start } = carrying(operations().carryOut);
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

  it('run one after another if they are large, beside small ones', async () => {
    const { running, start } = carrying(operations().carryOut);
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

  it('are refused with a short wait where a thousand wait already', async () => {
    const { running, start } = carrying(operations().carryOut);
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

describe.each(footings)('fairness on the %s footing', (footing) => {
  let node: RunningNode;
  let ana: Person;
  let bob: Person;
  beforeAll(async () => {
    node = await (await makePlace(footing)).start({
      RATE_LIMITS: 'on',
      PRESENCE_STREAMS_PER_PERSON_MAX: '2',
      SUMMARIES_PER_PERSON_MAX: '1',
    });
    [ana, bob] = await registerAll(node.url, 'ana', 'bob');
  });

  it('one person has so many streams of presence, and another may begin when one has ended', async () => {
    const client = connectInTest(node.url, ana.token);
    const watch = () => listen(client, PRESENCE, { userIds: [ana.id] }, 'presence');
    const streams = [watch(), watch()];
    for (const { until } of streams) await until(() => true);
    expect(await watch().ended).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryAfterMs: 1_000 } }]);
    await listen(connectInTest(node.url, bob.token), PRESENCE, { userIds: [bob.id] }, 'presence').until(() => true);
    streams[0]?.cancel();
    await eventually('another one begins', async () => {
      const again = watch();
      return (
        (await Promise.race([again.until(() => true).catch(() => false), again.ended.then(() => false)])) !== false
      );
    });
  });

  it('the summaries of one person wait for each other, and those of others and joins do not wait', async () => {
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
    await eventually('the first is being made', () => made === 1);
    const second = summarize(ana, 2);
    await eventually('the second waits', () => summaryGates.of(deps).waiting === 1);
    const joined = [ana, bob].map((person) =>
      listen(connectInTest(node.url, person.token), PROGRESS, { conversationId: group, fromSeq: 1 }, 'summaryProgress'),
    );
    // A stream has its first event as soon as it has joined.
    for (const { until } of joined) await until(({ progress }) => progress < 1);
    const others = summarize(bob, 2);
    await eventually("the other person's is being made", () => made === 2);
    expect(summaryGates.of(deps).waiting).toBe(1);
    release();
    for (const { until } of joined) {
      const { summary } = await until(({ progress }) => progress === 1);
      expect(summary.id).toBe(await first);
    }
    expect(await others).toBe(await second);
  });
});
