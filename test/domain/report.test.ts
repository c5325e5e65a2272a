import { beforeAll, describe, expect, it } from 'vitest';
import { randomBytes } from '../../packages/e2ee/src/bytes.js';
import { issueCertificate } from '../../packages/e2ee/src/certificate.js';
import { discloseContent, sealContent } from '../../packages/e2ee/src/content.js';
import { ed25519Pair } from '../../packages/e2ee/src/crypto.js';
import { createAccountKeys } from '../../packages/e2ee/src/identity.js';
import {
  type E2eeConversation,
  type EncryptedMessage,
  encryptedMessageFields,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../packages/e2ee/src/index.js';
import { decodeGlobalId, encodeGlobalId, newId } from '../../src/core/ids.js';
import { reportFeature } from '../../src/domain/report/report.feature.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { call, must, registerDevice, sendSealed, startGroup } from '../support/encryption.js';
import { scrape } from '../support/metrics.js';
import { inOneMode, makePlace, modes, sharedTwo } from '../support/place.js';
import { createGroup, edit, openDirect, remove, send } from '../support/talk.js';

const REPORTS = `query ($filter: ReportsFilter, $first: Int, $after: String) {
  reports(filter: $filter, first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id state reason comment resolution resolvedAt reporter { id } resolvedBy { id }
      target { ... on ReportedMessage {
        messageId conversationId sender { id } text earlierTexts files { name contentType byteSize } proof editedAt deletedAt
      } }
    }
  }
}`;

const REPORTED = 'message { id viewerReportedAt }';

const rowId = (id: string) => decodeGlobalId(id, 'id').id;

describe.each(modes)('reports in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let moderator: Person;

  const people = <Names extends string[]>(...names: Names) => registerAll(node.url, ...names);
  const setRole = ({ id }: { id: string }, serviceRole: 'USER' | 'MODERATOR' | 'ADMIN') =>
    node.deps.database.db.user.update({ where: { id: rowId(id) }, data: { serviceRole } });

  beforeAll(async () => {
    [node, other] = await sharedTwo(mode);
    [moderator] = await people('moderator');
    await setRole(moderator, 'MODERATOR');
  });

  const report = (person: Person, messageId: string, more: Json = {}) =>
    call(person, 'reportMessage', { messageId, reason: 'HARASSMENT', ...more }, REPORTED);
  const resolve = (person: Person, reportId: string, resolution = 'DISMISSED') =>
    call(person, 'resolveReport', { reportId, resolution }, 'report { id state resolution resolvedBy { id } }');

  /** The reports of a message, latest first, as a moderator reads them. */
  async function reportsOf(messageId: string, filter: Json = {}, reader = moderator): Promise<Json[]> {
    const found: Json[] = [];
    for (let after: string | null = null; ; ) {
      const { reports }: Json = await reader.ask(REPORTS, { filter, first: 50, after });
      found.push(...reports.nodes);
      if (!reports.pageInfo.hasNextPage) return found.filter(({ target }) => target.messageId === messageId);
      after = reports.pageInfo.endCursor;
    }
  }

  const reportedAt = async (person: Person, id: string) =>
    (await person.ask('query ($id: ID!) { node(id: $id) { ... on Message { viewerReportedAt } } }', { id })).node
      ?.viewerReportedAt;

  itOnce('metrics count open reports, and new and resolved ones', async () => {
    // Reports of other tests count as well on shared nodes.
    const own = await (await makePlace(mode)).start({ METRICS_PORT: '0' });
    const [ana, ben, boss] = await registerAll(own.url, 'ana', 'ben', 'boss');
    await own.deps.database.db.user.update({ where: { id: rowId(boss.id) }, data: { serviceRole: 'MODERATOR' } });
    const id = await openDirect(ana, ben);
    for (const [text, reason, resolution] of [
      ['one', 'SPAM', 'DISMISSED'],
      ['two', 'SPAM', 'ACTION_TAKEN'],
      ['three', 'OTHER', undefined],
    ] as const) {
      const { id: messageId } = await send(ben, id, text);
      // A report of a message that is reported already changes nothing, nor does a second decision.
      for (let times = 0; times < 2; times++) await report(ana, messageId, { reason });
      const { reports }: Json = await boss.ask(REPORTS, { filter: { state: 'OPEN' }, first: 1 });
      for (let times = 0; resolution && times < 2; times++) await resolve(boss, reports.nodes[0].id, resolution);
    }
    await expect(resolve(ana, encodeGlobalId('Report', newId()))).resolves.toMatch(/FORBIDDEN/);
    const { value } = await scrape(own);
    expect(value('parley_reports_open')).toBe(1);
    expect(value('parley_reports_total', { reason: 'SPAM' })).toBe(2);
    expect(value('parley_reports_total')).toBe(3);
    for (const resolution of ['DISMISSED', 'ACTION_TAKEN']) {
      expect(value('parley_reports_resolved_total', { resolution })).toBe(1);
    }
  });

  it('moderators see a message as it was when it was reported, and nobody else learns of the report', async () => {
    const [ana, ben, eve] = await people('ana', 'ben', 'eve');
    const group = await createGroup(ana, [ben, eve]);
    const { id } = await send(eve, group, 'first');
    await edit(eve, id, 'second');
    const reported = await report(ana, id, { comment: '  Please look at this  ' });
    expect(reported).toEqual({ message: { id, viewerReportedAt: expect.any(String) } });
    await edit(eve, id, 'harmless');
    await remove(eve, id);

    expect(await reportsOf(id)).toEqual([
      {
        id: expect.any(String),
        state: 'OPEN',
        reason: 'HARASSMENT',
        comment: 'Please look at this',
        resolution: null,
        resolvedAt: null,
        reporter: { id: ana.id },
        resolvedBy: null,
        target: {
          messageId: id,
          conversationId: group,
          sender: { id: eve.id },
          text: 'second',
          earlierTexts: ['first'],
          files: [],
          proof: 'STORED',
          editedAt: expect.any(String),
          deletedAt: null,
        },
      },
    ]);
    expect(await reportedAt(ana, id)).toEqual(reported.message.viewerReportedAt);
    for (const each of [ben, eve]) {
      expect(await reportedAt(each, id)).toBeNull();
      const { errors } = await each.request(REPORTS);
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    }
  });

  itOnce('a user has one open report of a message, on all nodes at once', async () => {
    const [ana, ben, eve] = await people('ana', 'ben', 'eve');
    const group = await createGroup(ana, [ben, eve]);
    const { id } = await send(eve, group, 'reported often');
    const calls = Array.from({ length: 10 }, (_, index) =>
      report(index % 2 ? ana : ana.at(other.url), id, { comment: `call ${index}` }),
    );
    const results = await Promise.all(calls);
    for (const result of results) expect(result.message.id).toBe(id);
    expect(await reportsOf(id)).toHaveLength(1);
    await report(ben, id);
    const [latest, first] = await reportsOf(id);
    expect([latest, first].map((each) => each?.reporter.id)).toEqual([ben.id, ana.id]);

    expect(await resolve(moderator, first?.id, 'ACTION_TAKEN')).toEqual({
      report: { id: first?.id, state: 'RESOLVED', resolution: 'ACTION_TAKEN', resolvedBy: { id: moderator.id } },
    });
    // Resolving again, with another decision, changes nothing.
    expect((await resolve(moderator, first?.id)).report.resolution).toBe('ACTION_TAKEN');
    expect(await reportedAt(ana, id)).toEqual(expect.any(String));
    expect((await reportsOf(id, { state: 'OPEN' })).map((each) => each.reporter.id)).toEqual([ben.id]);
    expect((await reportsOf(id, { state: 'RESOLVED' })).map((each) => each.reporter.id)).toEqual([ana.id]);
    // After the decision, the message can be reported again.
    await report(ana, id, { comment: 'again' });
    expect((await reportsOf(id)).map(({ comment }) => comment)).toEqual([
      'again',
      null,
      expect.stringMatching(/^call/),
    ]);
  });

  itOnce('only messages of others that the reporter can see are reported', async () => {
    const [ana, eve, outsider] = await people('ana', 'eve', 'outsider');
    const group = await createGroup(eve, [ana], { historyVisibility: 'SINCE_JOINED' });
    const { id } = await send(eve, group, 'hello');
    const own = await send(ana, group, 'my own');
    expect(await report(outsider, id)).toBe('NOT_FOUND input.messageId');
    expect(await report(ana, own.id)).toBe('FORBIDDEN input.messageId');
    await must(eve, 'addMembers', { conversationId: group, userIds: [outsider.id] });
    expect(await report(outsider, id)).toBe('NOT_FOUND input.messageId');
    const { id: system } = await send(eve, group, 'becomes a system message');
    const systemEvent = { type: 'GROUP_CREATED', actorId: rowId(eve.id), subjectIds: [] };
    const data = { kind: 'SYSTEM' as const, senderId: null, text: null, systemEvent };
    await node.deps.database.db.message.update({ where: { id: rowId(system) }, data });
    expect(await report(ana, system)).toBe('FORBIDDEN input.messageId');
    await remove(eve, id);
    expect(await report(ana, id)).toBe('FORBIDDEN input.messageId');
    const later = await send(eve, group, 'later');
    expect(await report(ana, later.id, { comment: 'a\0b' })).toBe('BAD_USER_INPUT input.comment');
    const disclosure = {
      generation: 1,
      epoch: 0,
      deviceId: 'Device_AAAAAAAAAAAAAAAAAAAAAA',
      content: 'AA',
      messageKey: 'A'.repeat(43),
    };
    expect(await report(ana, later.id, { disclosure })).toBe('BAD_USER_INPUT input.disclosure');
    expect(await reportsOf(later.id)).toEqual([]);
  });

  itOnce('moderators neither see nor resolve reports about themselves', async () => {
    const [ana, second] = await people('ana', 'second');
    await setRole(second, 'MODERATOR');
    const direct = await openDirect(ana, second);
    const { id } = await send(second, direct, 'from a moderator');
    await report(ana, id);
    const [found] = await reportsOf(id);
    expect(await reportsOf(id, {}, second)).toEqual([]);
    expect(await resolve(second, found?.id)).toBe('NOT_FOUND input.reportId');
    expect(await resolve(ana, found?.id)).toBe('FORBIDDEN');
    expect((await resolve(moderator, found?.id)).report.state).toBe('RESOLVED');
  });

  it('a report outlives the accounts of both, without what the reporter wrote', async () => {
    const [ana, eve] = await people('ana', 'eve');
    const direct = await openDirect(ana, eve);
    const { id } = await send(eve, direct, 'evidence');
    await report(ana, id, { comment: 'private comment' });
    for (const each of [ana, eve]) await must(each, 'deleteAccount', { password: each.password });
    await eventually('the erasure is complete', async () => (await node.deps.database.db.erasure.count()) === 0);
    const [found] = await reportsOf(id);
    expect(found).toMatchObject({
      reporter: null,
      comment: null,
      target: { text: 'evidence', sender: { id: eve.id } },
    });
  });

  it('reports are deleted when their retention ends: open ones later than resolved ones', async () => {
    const [ana, eve] = await people('ana', 'eve');
    const direct = await openDirect(ana, eve);
    const { database, config } = node.deps;
    const ids: { id: string; text: string; reportId: string }[] = [];
    for (const text of ['open, recent', 'open, old', 'resolved, recent', 'resolved, old']) {
      const { id } = await send(eve, direct, text);
      await report(ana, id);
      const [found] = await reportsOf(id);
      if (text.startsWith('resolved')) await resolve(moderator, found?.id);
      ids.push({ id, text, reportId: rowId(found?.id) });
    }
    const ago = (ms: number) => new Date(Date.now() - ms);
    const minute = 60_000;
    const change = (text: string, data: Json) =>
      database.db.report.update({ where: { id: ids.find((each) => each.text === text)?.reportId ?? '' }, data });
    await change('open, recent', { createdAt: ago(config.reportRetentionMs - minute) });
    await change('open, old', { createdAt: ago(config.reportRetentionMs + minute) });
    await change('resolved, recent', { resolvedAt: ago(config.reportResolvedRetentionMs - minute) });
    await change('resolved, old', { resolvedAt: ago(config.reportResolvedRetentionMs + minute) });
    for (const { trim } of reportFeature.retention ?? []) await trim(node.deps);
    const left = [];
    for (const { id, text } of ids) if ((await reportsOf(id)).length > 0) left.push(text);
    expect(left).toEqual(['open, recent', 'resolved, recent']);
  });

  // ── encrypted messages ──

  async function device(person: Person) {
    const execute = async (document: string, variables: Record<string, unknown>) => {
      const { data, errors } = await person.request(document, variables);
      const [error] = errors ?? [];
      if (error) throw Object.assign(new Error(error.message), error.extensions);
      return data;
    };
    const e2ee = await openE2ee({ storage: memoryStorage(), locks: memoryLocks(), execute });
    await e2ee.setUp({ name: 'Laptop' });
    return e2ee;
  }

  const read = async (person: Person, id: string): Promise<EncryptedMessage> =>
    (await person.ask(`query ($id: ID!) { node(id: $id) { ... on Message { ${encryptedMessageFields} } } }`, { id }))
      .node;

  async function encrypted() {
    const [ana, eve] = await people('ana', 'eve');
    const [anas, eves] = [await device(ana), await device(eve)];
    const id = await openDirect(ana, eve);
    await eves.conversation(id).enable();
    return { ana, eve, id, ours: anas.conversation(id), theirs: eves.conversation(id) };
  }

  async function editEncrypted(person: Person, conversation: E2eeConversation, messageId: string, text: string) {
    const { clientMessageId } = await read(person, messageId);
    const sealed = await conversation.encrypt(clientMessageId as string, { text }, { version: 2 });
    await must(person, 'editMessage', { messageId, encrypted: sealed });
  }

  it('a report of an encrypted message is verified, and opens this message only', async () => {
    const { ana, id, ours, theirs } = await encrypted();
    const before = await theirs.send({ text: 'private before' });
    const sent = await theirs.send({
      text: 'reported',
      attachments: { x: { key: 'k', size: 7, digest: 'd', name: 'a.png' } },
    });
    const after = await theirs.send({ text: 'private after' });
    const { disclosure, content } = await ours.report(await read(ana, sent.id));
    expect(content.text).toBe('reported');
    expect(await report(ana, sent.id)).toBe('BAD_USER_INPUT input.disclosure');
    expect(await report(ana, sent.id, { disclosure })).toMatchObject({ message: { id: sent.id } });
    const [found] = await reportsOf(sent.id);
    expect(found?.target).toMatchObject({
      conversationId: id,
      text: 'reported',
      files: [{ name: 'a.png', contentType: '', byteSize: 7 }],
      proof: 'VERIFIED',
    });
    // Neither the key nor what it opens besides the text is stored.
    const stored = JSON.stringify(
      await node.deps.database.db.report.findUnique({ where: { id: rowId(found?.id) } }),
      (_name, value) => (value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : value),
    );
    expect(stored).toContain('reported');
    expect(stored).not.toContain(disclosure.messageKey);
    expect(stored).not.toContain('"key"');
    // The key opens no other message, whichever content is given with it.
    for (const neighbour of [before, after]) {
      const { encrypted: sealed } = await read(ana, neighbour.id);
      const wrong = { ...disclosure, content: sealed?.content, epoch: sealed?.epoch };
      expect(await report(ana, neighbour.id, { disclosure: wrong })).toBe('BAD_USER_INPUT input.disclosure');
    }
  });

  itOnce('a message that was edited or deleted is reported as far as the device has it', async () => {
    const { ana, eve, ours, theirs } = await encrypted();
    const sent = await theirs.send({ text: 'original' });
    const received = await read(ana, sent.id);
    await editEncrypted(eve, theirs, sent.id, 'harmless');
    const { disclosure } = await ours.report(received);
    expect(await report(ana, sent.id, { disclosure })).toMatchObject({ message: { id: sent.id } });
    const [first] = await reportsOf(sent.id);
    expect(first?.target).toMatchObject({ text: 'original', proof: 'SIGNED', editedAt: expect.any(String) });
    await resolve(moderator, first?.id);

    const edited = await read(ana, sent.id);
    await remove(eve, sent.id);
    expect(await report(ana, sent.id)).toBe('FORBIDDEN input.messageId');
    const { disclosure: later } = await ours.report(edited);
    await report(ana, sent.id, { disclosure: later });
    const [second] = await reportsOf(sent.id);
    expect(second?.target).toMatchObject({ text: 'harmless', proof: 'SIGNED', deletedAt: expect.any(String) });
  });

  itOnce('a hostile reporter cannot forge a report', async () => {
    const { ana, eve, id, ours, theirs } = await encrypted();
    const sent = await theirs.send({ text: 'genuine' });
    const another = await theirs.send({ text: 'from another context' });
    const own = await ours.send({ text: 'written by the reporter' });
    const message = await read(ana, sent.id);
    const { disclosure } = await ours.report(message);
    const { disclosure: ofAnother } = await ours.report(await read(ana, another.id));
    const { disclosure: ofOwn } = await ours.report(await read(ana, own.id));
    const [laptop] = (await ana.ask('{ viewer { user { devices { id certificate } } } }')).viewer.user.devices;

    // A content of the reporter for the place of the message, with a key of the epoch that the reporter has chosen.
    const [epochKey, pair] = [randomBytes(32), await ed25519Pair()];
    const place = {
      conversationId: id,
      generation: disclosure.generation,
      epoch: disclosure.epoch,
      deviceId: disclosure.deviceId,
      clientMessageId: message.clientMessageId as string,
    };
    const sealed = await sealContent(epochKey, pair.privateKey, { ...place, version: 1 }, { text: 'invented' });
    const { messageKey } = await discloseContent(epochKey, place, sealed);
    const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
    const forged = { ...disclosure, content: base64(sealed), messageKey: base64(messageKey) };

    const attempts: [Json, string][] = [
      [forged, 'BAD_USER_INPUT input.disclosure.content'],
      [ofAnother, 'BAD_USER_INPUT input.disclosure.content'],
      [ofOwn, 'BAD_USER_INPUT input.disclosure.content'],
      [{ ...disclosure, messageKey: ofAnother.messageKey }, 'BAD_USER_INPUT input.disclosure'],
      [{ ...disclosure, messageKey: disclosure.messageKey.slice(4) }, 'BAD_USER_INPUT input.disclosure.messageKey'],
      [{ ...disclosure, epoch: disclosure.epoch + 1 }, 'BAD_USER_INPUT input.disclosure.content'],
      [{ ...disclosure, deviceId: laptop.id }, 'BAD_USER_INPUT input.disclosure.content'],
      [{ ...disclosure, deviceId: ana.id }, 'BAD_USER_INPUT input.disclosure.deviceId'],
      [{ ...disclosure, messageKey: '' }, 'BAD_USER_INPUT input.disclosure.messageKey'],
    ];
    for (const [given, expected] of attempts) {
      expect(await report(ana, sent.id, { disclosure: given }), JSON.stringify(given)).toBe(expected);
    }
    expect(await reportsOf(sent.id)).toEqual([]);

    // The same for a message that was deleted, of which the server has no content to compare with.
    await remove(eve, sent.id);
    const afterwards: [Json, string][] = [
      [forged, 'BAD_USER_INPUT input.disclosure'],
      [ofAnother, 'BAD_USER_INPUT input.disclosure'],
      [ofOwn, 'NOT_FOUND input.disclosure.deviceId'],
      [{ ...ofOwn, deviceId: disclosure.deviceId }, 'BAD_USER_INPUT input.disclosure'],
      [{ ...disclosure, epoch: disclosure.epoch + 1 }, 'BAD_USER_INPUT input.disclosure'],
    ];
    for (const [given, expected] of afterwards) {
      expect(await report(ana, sent.id, { disclosure: given }), JSON.stringify(given)).toBe(expected);
    }
    expect(await reportsOf(sent.id)).toEqual([]);
    expect(await report(ana, sent.id, { disclosure })).toMatchObject({ message: { id: sent.id } });
  });

  itOnce(
    'a hostile sender cannot prevent a report by replacing the certificate of the device or with unusual texts',
    async () => {
      const { ana, eve, ours, theirs } = await encrypted();
      const sent = await theirs.send({ text: 'abuse \0 with \ud800 marks' });
      const message = await read(ana, sent.id);
      expect((await ours.open(message)).content.text).toContain('abuse');
      const [device] = (await eve.ask('{ viewer { user { devices { signatureKey } } } }')).viewer.user.devices;
      const signatureKey = new Uint8Array(Buffer.from(device.signatureKey, 'base64url'));
      for (let times = 0; times < 3; times++) {
        const contentKey = (await ed25519Pair()).publicKey;
        const account = await createAccountKeys();
        const certificate = await issueCertificate(account, { userId: eve.id, signatureKey, contentKey });
        await must(eve, 'registerDevice', {
          signatureKey: device.signatureKey,
          certificate: Buffer.from(certificate).toString('base64url'),
        });
      }
      const again = await read(ana, sent.id);
      await expect(ours.open(again)).rejects.toMatchObject({ code: expect.any(String) });
      const { disclosure } = await ours.report(again);
      expect(await report(ana, sent.id, { disclosure })).toMatchObject({ message: { id: sent.id } });
      const [found] = await reportsOf(sent.id);
      expect(found?.target).toMatchObject({ text: 'abuse  with \ufffd marks', proof: 'VERIFIED' });
    },
  );

  itOnce('a message whose reply link the server did not receive from its sender is refused', async () => {
    const { ana, eve, id, ours, theirs } = await encrypted();
    const [one, two] = [await theirs.send({ text: 'one' }), await theirs.send({ text: 'two' })];
    // The sender's client states another link to the server than in the content.
    const sealed = await theirs.encrypt('reply', { text: 'I agree', replyToId: one.id });
    const { message: sent } = await must(
      eve,
      'sendMessage',
      { conversationId: id, clientMessageId: 'reply', replyToId: two.id, encrypted: sealed },
      'message { id }',
    );
    const message = await read(ana, sent.id);
    await expect(ours.open(message)).rejects.toMatchObject({ code: 'TAMPERED' });
    const { disclosure } = await ours.report(message);
    expect(await report(ana, sent.id, { disclosure })).toBe('BAD_USER_INPUT input.disclosure');
  });

  itOnce('content that no client of encryption made is refused', async () => {
    const [ana, eve] = await people('ana', 'eve');
    const id = await openDirect(ana, eve);
    await must(eve, 'enableEncryption', { conversationId: id });
    const theirs = await registerDevice(eve);
    await startGroup(id, [theirs]);
    for (const [first, name] of [
      [1, 'random'],
      [9, 'of another format'],
    ] as const) {
      const bytes = randomBytes(200);
      bytes[0] = first;
      const content = Buffer.from(bytes).toString('base64url');
      const sent = await sendSealed(theirs, id, 1, { content, clientMessageId: name });
      const disclosure = { generation: 1, epoch: 1, deviceId: theirs.id, content, messageKey: content.slice(0, 43) };
      expect(await report(ana, sent.id, { disclosure }), name).toMatch(/^BAD_USER_INPUT input\.disclosure/);
    }
  });
});
