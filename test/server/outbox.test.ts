import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { createLog } from '../../src/infra/telemetry/log.js';
import { Outbox, Recipient, WriteScheduler } from '../../src/server/outbox.js';
import { Answer } from '../../src/server/subscriptions.js';

const log = createLog('silent');
const turn = () => new Promise((resolve) => setImmediate(resolve));
const answer = (text: string) => new Answer({ data: { text } }, log);

/** A socket that records what is written to it. */
function makeSocket(scheduler = new WriteScheduler()) {
  const raw = Object.assign(new EventEmitter(), {
    writes: [] as Buffer[],
    writableNeedDrain: false,
    write(text: string, encoding: BufferEncoding) {
      raw.writes.push(Buffer.from(text, encoding));
      return true;
    },
  });
  const socket = { OPEN: 1, readyState: 1 };
  const outbox = new Outbox(socket as WebSocket, raw as unknown as Duplex, scheduler);
  /** The messages of each write. */
  const written = () => raw.writes.map(messagesOf);
  return { raw, socket, outbox, written };
}

/** Parses WebSocket frames. Returns the id and the text of each. */
function messagesOf(bytes: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    expect(bytes[at]).toBe(0x81);
    const short = bytes.readUInt8(at + 1);
    const [head, length] =
      short < 126
        ? [2, short]
        : short === 126
          ? [4, bytes.readUInt16BE(at + 2)]
          : [10, Number(bytes.readBigUInt64BE(at + 2))];
    const { id, type, payload } = JSON.parse(bytes.subarray(at + head, at + head + length).toString());
    expect(type).toBe('next');
    messages.push(`${id} ${payload.data.text}`);
    at += head + length;
  }
  return messages;
}

describe('an outbox', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('combines responses of the same turn into one write in order, for all operations of a socket', async () => {
    const { outbox, written } = makeSocket();
    const [one, other] = [new Recipient('one'), new Recipient('ötherß "2"')];
    const shared = answer('for both €');
    outbox.push(one, shared);
    outbox.push(one, answer('second'));
    outbox.push(other, shared);
    outbox.push(one, answer('third'));
    await turn();
    outbox.push(other, answer('later'));
    await turn();
    expect(written()).toEqual([
      ['one for both €', 'one second', 'ötherß "2" for both €', 'one third'],
      ['ötherß "2" later'],
    ]);
    expect([one.waiting, other.waiting]).toEqual([0, 0]);
  });

  it('writes shared responses with the id of each socket', async () => {
    const scheduler = new WriteScheduler();
    const sockets = ['a1', 'b2', 'longer than the others', 'c3'].map((id) => ({
      ...makeSocket(scheduler),
      recipient: new Recipient(id),
      id,
    }));
    const answers = ['x'.repeat(50), 'y'.repeat(500), 'z'.repeat(70_000), 'end'].map(answer);
    for (const { outbox, recipient } of sockets) for (const each of answers) outbox.push(recipient, each);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    for (const { id, written } of sockets) {
      expect(written().flat()).toEqual(answers.map(({ result }) => `${id} ${result?.data?.['text']}`));
    }
  });

  it('keeps the order while an earlier response is pending', async () => {
    const { outbox, written } = makeSocket();
    let finish: (result: { data: { text: string } }) => void = () => {};
    const slow = new Answer(
      new Promise((resolve) => {
        finish = resolve;
      }),
      log,
    );
    const recipient = new Recipient('1');
    for (const each of [answer('before'), slow, answer('after')]) outbox.push(recipient, each);
    await turn();
    expect(written()).toEqual([['1 before']]);
    finish({ data: { text: 'slow' } });
    await turn();
    await turn();
    expect(written()).toEqual([['1 before'], ['1 slow', '1 after']]);
  });

  it('does not write while the socket needs to drain', async () => {
    const { outbox, raw, written } = makeSocket();
    const recipient = new Recipient('1');
    raw.writableNeedDrain = true;
    outbox.push(recipient, answer('one'));
    await turn();
    outbox.push(recipient, answer('two'));
    await turn();
    expect(written()).toEqual([]);
    expect(recipient.waiting).toBe(2);
    raw.writableNeedDrain = false;
    raw.emit('drain');
    await turn();
    expect(written()).toEqual([['1 one', '1 two']]);
  });

  it('discards responses of cancelled operations and of closed sockets', async () => {
    const { outbox, socket, written } = makeSocket();
    const [gone, stays] = [new Recipient('gone'), new Recipient('stays')];
    outbox.push(gone, answer('one'));
    outbox.push(stays, answer('two'));
    gone.active = false;
    await turn();
    expect(written()).toEqual([['stays two']]);
    socket.readyState = 2;
    outbox.push(stays, answer('too late'));
    await stays.untilIdle();
    outbox.push(stays, answer('far too late'));
    await turn();
    expect([written(), stays.waiting]).toEqual([[['stays two']], 0]);
  });

  it('lets other work run between writes to thousands of sockets', async () => {
    // The clock advances by a millisecond per check, as if the writes between two checks took that long.
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now++);
    const scheduler = new WriteScheduler();
    const sockets = Array.from({ length: 1_000 }, () => makeSocket(scheduler));
    const recipient = new Recipient('1');
    for (const { outbox } of sockets) outbox.push(recipient, answer('to all'));
    const progress: number[] = [];
    while (recipient.waiting > 0) {
      await turn();
      progress.push(recipient.waiting);
    }
    expect(progress.length).toBeGreaterThan(4);
    for (const [index, waiting] of progress.entries())
      expect((progress[index - 1] ?? 1_000) - waiting).toBeLessThan(200);
    for (const { written } of sockets) expect(written()).toEqual([['1 to all']]);
  });
});
