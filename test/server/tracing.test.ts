import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../src/infra/telemetry/log.js';
import { openTracing } from '../../src/infra/telemetry/tracing.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Json, type Person, registerAll } from '../support/client.js';
import { type Collector, type ReceivedSpan, startCollector } from '../support/otlp.js';
import { detailModes, makePlace } from '../support/place.js';
import { createGroup, MESSAGES, SEND } from '../support/talk.js';

const TEXT = 'nobody else is to read this';

/** A trace that a client has started: its id, and the header that contains it. */
function traceOf(digit: string, sampled = true) {
  const [traceId, spanId] = [digit.repeat(32), digit.repeat(16)];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${sampled ? '01' : '00'}` };
}

describe.each(detailModes)('traces in %s mode', (mode) => {
  const traces = {
    query: traceOf('1'),
    send: traceOf('2'),
    sse: traceOf('3'),
    socketQuery: traceOf('4'),
    socketSubscription: traceOf('5'),
    refused: traceOf('6'),
    unsampled: traceOf('7', false),
  };
  let collector: Collector;
  let node: RunningNode;
  let alice: Person;
  const post = (query: string, variables: Json, headers: Record<string, string>) =>
    fetch(node.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${alice.token}`, ...headers },
      body: JSON.stringify({ query, variables }),
    });
  const spansOf = (trace: { traceId: string }, name?: string): ReceivedSpan[] =>
    collector.spans.filter((span) => span.traceId === trace.traceId && (name === undefined || span.name === name));

  // Executes the operations once. The tests examine their spans.
  beforeAll(async () => {
    collector = await startCollector();
    node = await (await makePlace(mode)).start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
    const [first, bob] = await registerAll(node.url, 'alice', 'bob');
    alice = first;
    const group = await createGroup(alice, [bob]);
    const send = (text: string, headers: Record<string, string>) =>
      post(SEND, { input: { conversationId: group, text } }, headers);
    await post(
      'query Mine { viewer { user { id } } }',
      {},
      { traceparent: traces.query.traceparent, 'x-request-id': 'a-request' },
    );
    await send(TEXT, { traceparent: traces.send.traceparent });
    await send('', { traceparent: traces.refused.traceparent });
    await send(TEXT, { traceparent: traces.unsampled.traceparent });
    const sse = await post(MESSAGES, {}, { accept: 'text/event-stream', traceparent: traces.sse.traceparent });
    await sse.body?.cancel();
    const client = connect(node.url, alice.token);
    const over = (query: string, traceparent: string) =>
      new Promise<void>((resolve, reject) => {
        client.subscribe(
          { query, extensions: { traceparent } },
          { next: () => resolve(), error: reject, complete() {} },
        );
      });
    await over('{ viewer { user { id } } }', traces.socketQuery.traceparent);
    await over('subscription { messages { type } }', traces.socketSubscription.traceparent);
    await client.dispose();
    // Stopping the node sends the remaining spans.
    await node.stop();
  });
  afterAll(() => collector.close());

  it('continue the trace of the client, over HTTP, SSE and WebSocket', () => {
    for (const [trace, name, transport] of [
      [traces.query, 'query viewer', 'http'],
      [traces.send, 'mutation sendMessage', 'http'],
      [traces.sse, 'subscription messages', 'sse'],
      [traces.socketQuery, 'query viewer', 'websocket'],
      [traces.socketSubscription, 'subscription messages', 'websocket'],
    ] as const) {
      const [span, ...others] = spansOf(trace, name);
      expect(others).toEqual([]);
      expect(span).toMatchObject({
        parentId: trace.spanId,
        kind: 2,
        isError: false,
        attributes: { 'parley.transport': transport, 'graphql.operation.type': name.split(' ')[0] },
        resource: { 'service.name': 'parley', 'service.version': expect.any(String) },
      });
    }
    expect(spansOf(traces.query)[0]?.attributes['parley.request_id']).toBe('a-request');
  });

  it('start a new trace if the client sends none', () => {
    const registered = collector.spans.filter(({ name }) => name === 'mutation register');
    expect(registered).toHaveLength(2);
    expect(registered.map(({ parentId }) => parentId)).toEqual(['', '']);
    expect(new Set(registered.map(({ traceId }) => traceId)).size).toBe(2);
  });

  it('contain a span per step: a transaction, and a send with the commit that contained it', () => {
    const [creating] = collector.spans.filter(({ name }) => name === 'mutation createGroup');
    const inside = collector.spans.filter(({ parentId }) => parentId === creating?.spanId);
    expect(inside.map(({ name }) => name)).toContain('transaction');
    const [operation] = spansOf(traces.send, 'mutation sendMessage');
    const [step] = spansOf(traces.send, 'send');
    expect(step?.parentId).toBe(operation?.spanId);
    const commits = collector.spans.filter(
      ({ name, links }) => name === 'commit sends' && links.some(({ spanId }) => spanId === step?.spanId),
    );
    expect(commits).toMatchObject([{ parentId: '', attributes: { 'parley.calls': 1 } }]);
    const [commit] = commits;
    expect(commit?.traceId).not.toBe(traces.send.traceId);
    expect(collector.spans).toContainEqual(
      expect.objectContaining({ name: 'transaction', traceId: commit?.traceId, parentId: commit?.spanId }),
    );
  });

  it('contain the error code of a failed operation', () => {
    expect(spansOf(traces.refused, 'mutation sendMessage')).toMatchObject([
      // Errors that the client has caused do not mark the span as failed.
      { isError: false, attributes: { 'error.type': 'BAD_USER_INPUT' } },
    ]);
  });

  it('are not recorded if the client has not sampled its trace', () => {
    expect(spansOf(traces.unsampled)).toEqual([]);
  });

  it('contain neither texts nor identities of users', () => {
    const bytes = collector.bytes.toString('latin1');
    for (const secret of [TEXT, alice.token, alice.username, alice.email, alice.password]) {
      expect(bytes).not.toContain(secret);
    }
  });
});

describe('traces', () => {
  it('that cannot be exported do not affect the node, and are logged once', { timeout: 60_000 }, async () => {
    const collector = await startCollector({ status: 400 });
    const lines: string[] = [];
    const log = createLog('warn', { write: (line) => void lines.push(line) });
    const tracing = await openTracing({ endpoint: collector.url, sampledShare: 1, resource: {}, log });
    const asked = { parent: {}, attributes: {}, codeOf: () => undefined };
    expect(await tracing.serve('one', asked, async () => 1)).toBe(1);
    await expect(tracing.serve('two', asked, () => Promise.reject(new Error('two')))).rejects.toThrow('two');
    await tracing.close();
    await eventually('a warning is logged', () => lines.length > 0);
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['traces could not be exported']);
    collector.close();
  });

  it('are sampled as a whole with the configured share', async () => {
    const collector = await startCollector();
    const log = createLog('silent');
    const tracing = await openTracing({ endpoint: `${collector.url}/`, sampledShare: 0.5, resource: {}, log });
    const asked = { parent: {}, attributes: {}, codeOf: () => undefined };
    for (let count = 0; count < 200; count += 1) {
      await tracing.serve('whole', asked, () => tracing.step('part', async () => count));
    }
    await tracing.close();
    const [whole, parts] = ['whole', 'part'].map((wanted) => collector.spans.filter(({ name }) => name === wanted));
    expect(whole?.length).toBeGreaterThan(50);
    expect(whole?.length).toBeLessThan(150);
    expect(parts?.map(({ parentId }) => parentId).sort()).toEqual(whole?.map(({ spanId }) => spanId).sort());
    collector.close();
  });
});
