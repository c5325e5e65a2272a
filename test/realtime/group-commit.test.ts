import { describe, expect, it } from 'vitest';
import type { ChatError } from '../../src/core/errors.js';
import { createGroupCommit, type Outcome } from '../../src/realtime/group-commit.js';

interface Batch {
  calls: string[];
  wait: boolean;
  /** Commits the batch with the outcomes of `of`; by default, the result of each call is the call itself. */
  done(of?: (call: string) => Outcome<string>): void;
  fail(error: unknown): void;
}

/** A group commit of calls "<key><number>", whose batches the test commits. "a1!" is a call of the caller "!". */
function start({ sharedMax = 2, singleKeyMax = 1 } = {}) {
  const started: Batch[] = [];
  /** Functions that unlock the callers that are waited for. */
  const unlocks: { unlock: () => void; fail: (error: unknown) => void }[] = [];
  const inProgress = new Set<Batch>();
  const submit = createGroupCommit<string, string>({
    sharedMax,
    singleKeyMax,
    callers: {
      of: (call) => call.slice(-1),
      untilUnlocked: () => new Promise((unlock, fail) => unlocks.push({ unlock, fail })),
      waitedForMax: 1,
    },
    commit: (calls, { wait }) =>
      new Promise((resolve, reject) => {
        const batch: Batch = {
          calls: [...calls],
          wait,
          done(of = (call) => ({ result: call })) {
            inProgress.delete(batch);
            resolve(calls.map(of));
          },
          fail(error) {
            inProgress.delete(batch);
            reject(error);
          },
        };
        started.push(batch);
        inProgress.add(batch);
      }),
  });
  const call = (name: string) => submit(name[0] ?? '', name);
  /** Returns the batches that have started since the last call. */
  const next = async () => {
    for (let round = 0; round < 3; round += 1) await new Promise(setImmediate);
    return started.splice(0);
  };
  return { call, next, inProgress, unlocks };
}

const locked: (call: string) => Outcome<string> = () => 'LOCKED';
const lockedCaller = (call: string): Outcome<string> => (call.endsWith('!') ? 'CALLER_LOCKED' : { result: call });

describe('group commit', () => {
  it('starts a single call immediately, and later ones together after the batch', async () => {
    const { call, next } = start({ sharedMax: 1 });
    const first = call('a1');
    const [one] = await next();
    expect(one).toMatchObject({ calls: ['a1'], wait: false });
    const rest = [call('a2'), call('b1'), call('a3')];
    expect(await next()).toEqual([]);
    one?.done();
    expect(await first).toBe('a1');
    const [two] = await next();
    expect(two?.calls).toEqual(['b1', 'a2', 'a3']);
    two?.done();
    expect(await Promise.all(rest)).toEqual(['a2', 'b1', 'a3']);
  });

  it('limits a key to one batch at a time, and the numbers of batches and of calls in a batch', async () => {
    const { call, next, inProgress } = start();
    const all = [call('a1')];
    const [one] = await next();
    all.push(call('a2'), call('b1'));
    const [two, none] = await next();
    expect([two?.calls, none]).toEqual([['b1'], undefined]);
    for (let index = 0; index < 450; index += 1) all.push(call(`${'cd'[index % 2]}${index}`));
    expect(await next()).toEqual([]);
    one?.done();
    const [three] = await next();
    expect(three?.calls).toHaveLength(200);
    two?.done();
    three?.done();
    for (let batches = await next(); inProgress.size > 0; batches = await next()) {
      expect(inProgress.size).toBeLessThanOrEqual(2);
      for (const batch of batches) expect(batch.calls.length).toBeLessThanOrEqual(200);
      for (const batch of batches) batch.done();
    }
    expect(await Promise.all(all)).toHaveLength(453);
  });

  it('retries the calls of a locked key in order, separately from other keys', async () => {
    const { call, next } = start({ sharedMax: 1 });
    const calls = [call('a1'), call('a2'), call('b1')];
    const [one] = await next();
    const late = call('a3');
    one?.done((name) => (name === 'a1' ? { result: 'known' } : name[0] === 'a' ? 'LOCKED' : { result: name }));
    const [waiting, none] = await next();
    expect(waiting).toMatchObject({ calls: ['a2', 'a3'], wait: true });
    expect(none).toBeUndefined();
    const others = call('b2');
    const last = call('a4');
    const [shared] = await next();
    expect(shared).toMatchObject({ calls: ['b2'], wait: false });
    shared?.done();
    expect(await others).toBe('b2');
    waiting?.done();
    expect(await Promise.all([...calls, late])).toEqual(['known', 'a2', 'b1', 'a3']);
    const [again] = await next();
    expect(again).toMatchObject({ calls: ['a4'], wait: false });
    again?.done();
    await last;
  });

  it('waits for the lock of a key instead of polling it', async () => {
    const { call, next } = start();
    const calls = [call('a1'), call('b1')];
    const [one] = await next();
    one?.done(locked);
    // One batch may wait at a time.
    expect((await next()).map(({ wait }) => wait)).toEqual([true]);
    expect(await next()).toEqual([]);
    void Promise.allSettled(calls);
  });

  it('retries the calls of a batch that was rolled back one by one, each at most twice', async () => {
    const { call, next } = start();
    const calls = Promise.allSettled([call('a1'), call('a2'), call('b1')]);
    const [together] = await next();
    const bad = new Error('bad');
    together?.done(() => ({ error: bad, rolledBack: true }));
    const tried: string[] = [];
    for (let batches = await next(); batches.length > 0; batches = await next()) {
      for (const { calls: own, done } of batches) {
        tried.push(own.join());
        done((name) => (name === 'a2' ? { error: bad, rolledBack: true } : { result: name }));
      }
    }
    expect(tried.filter((names) => names !== 'b1')).toEqual(['a1', 'a2', 'a2']);
    expect(await calls).toEqual([
      { status: 'fulfilled', value: 'a1' },
      { status: 'rejected', reason: bad },
      { status: 'fulfilled', value: 'b1' },
    ]);
  });

  it('rejects all calls of a batch with the error that it throws, and continues', async () => {
    const { call, next } = start();
    const calls = Promise.allSettled([call('a1'), call('b1')]);
    const [one] = await next();
    const lost = new Error('connection lost');
    one?.fail(lost);
    expect(await calls).toEqual([
      { status: 'rejected', reason: lost },
      { status: 'rejected', reason: lost },
    ]);
    const after = call('a2');
    (await next())[0]?.done();
    expect(await after).toBe('a2');
  });

  it('rejects calls if too many are waiting', async () => {
    const { call, next } = start({ sharedMax: 1 });
    const first = call('a0');
    const [one] = await next();
    const many = Array.from({ length: 20_000 }, (_, index) => call(`b${index}`));
    await expect(call('c1')).rejects.toMatchObject({ code: 'UNAVAILABLE' } satisfies Partial<ChatError>);
    one?.done();
    await first;
    for (let batches = await next(); batches.length > 0; batches = await next())
      for (const batch of batches) batch.done();
    expect(await Promise.all(many)).toHaveLength(20_000);
  });

  it('lets other callers overtake a locked caller, whose own calls stay in order', async () => {
    const { call, next, unlocks } = start({ sharedMax: 1 });
    const answered: string[] = [];
    const note = (name: string) => call(name).then((result) => void answered.push(result));
    const all = [note('a1!'), note('a2'), note('b1')];
    const [one] = await next();
    all.push(note('a3!'), note('a4'));
    one?.done(lockedCaller);
    const [two] = await next();
    all.push(note('a5!'));
    expect([answered, two?.calls]).toEqual([['a2', 'b1'], ['a4']]);
    two?.done();
    // For another key, the caller is not known to be locked.
    all.push(note('b2!'));
    const [three] = await next();
    expect(three).toMatchObject({ calls: ['b2!'], wait: false });
    three?.done(lockedCaller);
    expect([await next(), unlocks.length]).toEqual([[], 1]);
    unlocks[0]?.unlock();
    const [four] = await next();
    expect([four?.calls, unlocks.length]).toEqual([['a1!', 'a3!', 'a5!'], 2]);
    four?.done();
    unlocks[1]?.unlock();
    const [five] = await next();
    expect(five?.calls).toEqual(['b2!']);
    five?.done();
    await Promise.all(all);
    expect(answered).toEqual(['a2', 'b1', 'a4', 'a1!', 'a3!', 'a5!', 'b2!']);
  });

  it('rejects only the calls of a caller that remains locked, and does not hold back later ones', async () => {
    const { call, next, unlocks } = start();
    const failing = [call('a1!'), call('a2!')];
    const [one] = await next();
    one?.done(lockedCaller);
    await next();
    unlocks[0]?.fail(new Error('locked for long'));
    for (const each of failing) await expect(each).rejects.toThrow('locked for long');
    const later = call('a3!');
    const [two] = await next();
    expect(two?.calls).toEqual(['a3!']);
    two?.done();
    expect(await later).toBe('a3!');
  });

  it('rejects a call whose caller is repeatedly locked', async () => {
    const { call, next, unlocks } = start();
    const failing = call('a1!');
    failing.catch(() => {});
    for (let tries = 0; tries <= 20; tries += 1) {
      const [batch] = await next();
      batch?.done(lockedCaller);
      await next();
      unlocks[tries]?.unlock();
    }
    await expect(failing).rejects.toMatchObject({ code: 'UNAVAILABLE' } satisfies Partial<ChatError>);
  });
});
