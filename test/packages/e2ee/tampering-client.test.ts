import { isDeepStrictEqual } from 'node:util';
import { isNonNullType } from 'graphql';
import { beforeAll, expect, it } from 'vitest';
import { encryptParley } from '../../../packages/client/src/encryption.js';
import {
  MembersByNameDocument,
  MessagesToOpenDocument,
  SenderDevicesDocument,
} from '../../../packages/client/src/generated/encryption.js';
import type { ConversationHandle, Parley, Row } from '../../../packages/client/src/index.js';
import { memoryLocks, memoryStorage, openE2ee } from '../../../packages/e2ee/src/index.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Json, type Person, registerAll } from '../../support/client.js';
import { isExhaustive } from '../../support/exhaustive.js';
import { anyMode, sharedTwo } from '../../support/place.js';
import { openAlone } from '../../support/tabs.js';
import { createGroup, openDirect } from '../../support/talk.js';
import {
  changesOf,
  changesOfAnswers,
  changesOfEvents,
  createRandom,
  createTamperer,
  fieldsOf,
  type Plan,
  startTamperingProxy,
} from './tampering.js';

// Two applications with `encryptParley`, whose stores and outboxes receive changed answers and events. SEED repeats the choices as far
// as the order of what happens at once allows; TAMPERING tries one change, such as `Message.id garbage`.

/** The documents with which the client opens messages, and what it reads of messages in others. */
const DOCUMENTS = [MembersByNameDocument, MessagesToOpenDocument, SenderDevicesDocument].map(String);
const OTHERS = [
  `subscription Messages { messages { type messageId replayed commit { conversationId } message {
    id seq kind text clientMessageId sender { id } replyTo { id text } editedAt deletedAt conversation { id encryption }
    reactions { emoji count } viewerReactions encrypted { generation epoch content device { id } }
  } } }`,
];
/** Whole answers. */
const OPERATIONS = [
  'Page',
  'SendMessage',
  'EditMessage',
  'AddReaction',
  'MessagesToOpen',
  'SenderDevices',
  'E2eeGroup',
];

/** Changes that have deceived a client before: they are tried first. */
const FIRST = ['Message.id garbage', 'Message.seq next', 'Message.conversation other'];

const SHORT_MS = 8_000;
const SEED = Number(process.env['SEED'] ?? (isExhaustive ? Math.floor(Math.random() * 2 ** 31) : 1));
const ROUNDS_MAX = isExhaustive ? 120 : 1_000;
const EMOJIS = ['👍', '🎉', '❤️'];
/** How long a round lasts if the outboxes are not empty before, in milliseconds. */
const ROUND_MS = 600;

/** What a user has written, by its text. */
interface Written {
  conversationId: string;
  userId: string;
  /** Of which message it is a version. */
  key: string;
  /** The text of the message to which it replies. */
  reply?: string | undefined;
}

interface App {
  person: Person;
  parley: Parley;
  handles: Map<string, ConversationHandle>;
  close: () => Promise<void>;
}

let nodes: [RunningNode, RunningNode];

beforeAll(async () => {
  nodes = await sharedTwo(anyMode);
});

it('whatever answers a server changes, an application shows no text changed, doubled or as that of another, and sends none in clear', {
  timeout: 3_600_000,
}, async () => {
  const random = createRandom(SEED);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const tamperer = createTamperer(random);
  const proxies = await Promise.all(nodes.map(({ url }) => startTamperingProxy(url, tamperer)));
  const written = new Map<string, Written>();
  /** The emojis with which users have reacted. */
  const reacted = new Map<string, Set<string>>();
  const problems: string[] = [];
  let count = 0;
  const newText = () => `canary ${++count}`;

  /** Checks the rows of a conversation that a user sees. */
  function check({ person }: Pick<App, 'person'>, id: string, rows: readonly Row[]): void {
    const shown = new Map<string, Row>();
    for (const row of rows) {
      const { message, text } = row;
      const report = (what: string) =>
        problems.push(`${person.username} sees ${text} in ${id}: ${what} (${JSON.stringify(row)})`);
      // Texts that are not protected are shown as such.
      if (text === null || (message && message.protection !== 'protected')) continue;
      const truth = written.get(text);
      const other = shown.get(truth?.key ?? text);
      shown.set(truth?.key ?? text, row);
      if (other) report(`it is doubled: ${JSON.stringify(other)}`);
      if (!truth) {
        report('nobody has written it');
        continue;
      }
      if (truth.conversationId !== id) report('it is of another conversation');
      if (message?.sender && message.sender.id !== truth.userId) report('it is of another user');
      const { replyTo } = message ?? {};
      if (replyTo?.protection === 'protected' && replyTo.text !== null) {
        if (written.get(replyTo.text)?.key !== written.get(truth.reply ?? '')?.key)
          report('it replies to another message');
      }
      for (const { emoji, protection } of message?.reactions ?? []) {
        if (protection === 'protected' && !reacted.get(truth.key)?.has(emoji))
          report(`nobody has reacted with ${emoji}`);
      }
    }
  }

  const conversations: string[] = [];
  const storages = new Map<Person, ReturnType<typeof memoryStorage>>();
  const locks = memoryLocks();

  /** Opens the application of a user, as after a page load. */
  async function open(person: Person): Promise<App> {
    const parley = openAlone({ url: pick(proxies) });
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    const storage = storages.get(person) ?? memoryStorage();
    const e2ee = await openE2ee({
      storage,
      locks,
      lockName: person.id,
      execute: (document, variables) => parley.request(document, variables),
    });
    if (storages.has(person)) await e2ee.start();
    else {
      await e2ee.setUp();
      if (person === ana) for (const id of conversations) await e2ee.conversation(id).enable();
    }
    storages.set(person, storage);
    encryptParley(parley, e2ee);
    const handles = new Map<string, ConversationHandle>();
    const app: App = { person, parley, handles, close: () => parley.close() };
    for (const id of conversations) {
      const handle = parley.conversation(id);
      handle.subscribe(() => check(app, id, handle.value.rows));
      handles.set(id, handle);
    }
    await eventually('the conversations are shown', () =>
      [...handles.values()].every(({ value }) => value.conversation?.encryption === 'END_TO_END'),
    );
    return app;
  }

  const rowsOf = (app: App, id: string) =>
    (app.handles.get(id)?.value.rows ?? []).filter(({ message }) => message?.kind === 'USER');

  const [ana, ben] = await registerAll(nodes[0].url, 'ana', 'ben');
  conversations.push(await openDirect(ana, ben), await createGroup(ana, [ben]));
  let apps = [await open(ana), await open(ben)];

  /** Something that may be refused with a code. */
  const tolerant = async (work: Promise<unknown> | undefined) => {
    try {
      await work;
    } catch (error) {
      if ((error as Error).name !== 'ParleyError') problems.push(`an untyped error: ${(error as Error).stack}`);
    }
  };

  function send(app: App, id: string): Promise<unknown> | undefined {
    const text = newText();
    const original = random() < 0.3 ? pick(rowsOf(app, id)) : undefined;
    const isShown = original?.message?.protection === 'protected' && written.has(original.text ?? '');
    written.set(text, {
      conversationId: id,
      userId: app.person.id,
      key: text,
      ...(isShown && { reply: original.text as string }),
    });
    return app.handles.get(id)?.send(text, isShown ? { replyToId: original.message?.id as string } : {});
  }

  async function change(app: App, id: string): Promise<void> {
    const { message, text } = pick(rowsOf(app, id)) ?? {};
    const truth = written.get(text ?? '');
    if (!message || !truth || message.protection !== 'protected') return;
    const handle = app.handles.get(id);
    if (truth.userId === app.person.id && random() < 0.5) {
      const next = newText();
      written.set(next, { ...truth });
      await tolerant(handle?.edit(message.id, next));
      return;
    }
    const emoji = pick(EMOJIS);
    reacted.set(truth.key, (reacted.get(truth.key) ?? new Set()).add(emoji));
    await tolerant(handle?.react(message.id, emoji, random() < 0.8));
  }

  const outboxes = () => apps.flatMap(({ parley }) => parley.outbox.value);
  const isSent = () => outboxes().length === 0;

  /** Nothing is changed any more: everything is sent once, and after a page load everything is shown as it was written. */
  async function settle(): Promise<void> {
    await eventually('everything is sent', async () => {
      for (const { parley } of apps) {
        for (const { clientMessageId, error } of parley.outbox.value)
          if (error) await parley.outbox.retry(clientMessageId);
      }
      return isSent();
    });
    for (const app of apps) await app.close();
    apps = [await open(ana), await open(ben)];
    const honest: string[] = [];
    for (const id of conversations) {
      for (const app of apps) {
        honest.push(`canary ${count + 1}`);
        await send(app, id);
      }
    }
    await eventually('the last ones are sent', isSent);
    for (const id of conversations) {
      const { conversation } = await ana.ask(
        `query ($id: ID!) { conversation(id: $id) { messages(last: 50) { nodes { id kind text clientMessageId } } } }`,
        { id },
      );
      const stored: Json[] = conversation.messages.nodes.filter(({ kind }: Json) => kind === 'USER');
      expect(stored.filter(({ text }) => text !== null)).toEqual([]);
      expect(new Set(stored.map(({ clientMessageId }) => clientMessageId)).size).toBe(stored.length);
      const ids = stored.map((each): string => each.id);
      for (const app of apps) {
        const shown = () => rowsOf(app, id).filter(({ message }) => ids.includes(message?.id ?? ''));
        // The server decides who is in a group: those whom it did not name do not have the keys of what was sent meanwhile.
        const isDone = ({ message, text }: Row) =>
          message?.protection === 'protected' ||
          (isDeepStrictEqual(message?.protection, { error: 'KEY_UNAVAILABLE' }) && text === null);
        await eventually(`${app.person.username} can read everything`, () => {
          const rows = shown();
          return rows.length === ids.length && rows.every(isDone);
        }).catch((error) => {
          const left = shown().filter((each) => !isDone(each));
          const about = left.map(({ message, text }) => [message?.id, text, message?.protection, message?.encrypted]);
          problems.push(`${error}, ${shown().length} of ${ids.length}: ${JSON.stringify(about)}`);
        });
        expect(shown().map(({ message }) => message?.id)).toEqual(ids);
        const texts = shown().map(({ text }) => text);
        const missing = honest.filter((text) => written.get(text)?.conversationId === id && !texts.includes(text));
        if (missing.length > 0) problems.push(`${app.person.username} does not see ${missing}`);
      }
    }
  }

  const fields = fieldsOf([...DOCUMENTS, ...OTHERS]);
  // A missing value that the schema excludes shows nothing: a client may fail with it. Those of the encryption are checked.
  const isChecked = (coordinate: string) => /^(EncryptedContent|Device)\./.test(coordinate);
  const possible: Plan['targets'] = [
    ...[...fields].flatMap(([coordinate, type]) =>
      changesOf(type)
        .filter((each) => !['null', 'omit'].includes(each) || !isNonNullType(type) || isChecked(coordinate))
        .map((each) => ({ coordinate, change: each })),
    ),
    ...OPERATIONS.flatMap((coordinate) => changesOfAnswers.map((each) => ({ coordinate, change: each }))),
    ...changesOfEvents.map((each) => ({ coordinate: 'Messages', change: each })),
  ];
  const given = process.env['TAMPERING'];
  const began = Date.now();
  let waiting: Plan['targets'] = [];
  let rounds = 0;
  for (const app of apps) for (const id of conversations) await send(app, id);
  await settle();
  expect(problems).toEqual([]);
  for (; rounds < ROUNDS_MAX && (isExhaustive || Date.now() - began < SHORT_MS); rounds++) {
    if (waiting.length === 0) {
      waiting = possible.filter(({ coordinate, change: each }) => !given || `${coordinate} ${each}`.startsWith(given));
      const orderOf = ({ coordinate, change: each }: Plan['targets'][number]) =>
        (rounds === 0 && FIRST.includes(`${coordinate} ${each}`) ? 0 : 1) + random();
      waiting = waiting
        .map((each) => ({ each, order: orderOf(each) }))
        .sort((one, other) => one.order - other.order)
        .map(({ each }) => each);
    }
    const targets = waiting.splice(0, given || rounds < FIRST.length ? 1 : 3);
    const from = tamperer.requests.length;
    tamperer.follow({ targets, probability: pick([0.3, 1]) });
    const end = Date.now() + ROUND_MS;
    for (let step = 0; step < 6; step++) {
      const [app, id] = [pick(apps), pick(conversations)];
      if (random() < 0.5) await send(app, id);
      else await change(app, id);
    }
    await eventually('the round has ended', () => isSent() || Date.now() > end);
    tamperer.follow(undefined);
    await settle();
    for (const { name, variables } of tamperer.requests.slice(from)) {
      if (JSON.stringify(variables).includes('canary'))
        problems.push(`${name} contains a text: ${JSON.stringify(variables)}`);
      const { emoji = '' } = (variables['input'] ?? {}) as { emoji?: string };
      // A message that the server shows as one from before the encryption is shown as not protected.
      const isShownAsPlain = targets.some(({ coordinate }) => coordinate === 'Message.encrypted');
      if (EMOJIS.includes(emoji) && !isShownAsPlain) problems.push(`${name} contains an emoji`);
    }
    if (problems.length > 0) {
      throw new Error(
        `SEED=${SEED}, round ${rounds}: ${JSON.stringify(targets)}\n${problems.slice(0, 4).join('\n\n')}`,
      );
    }
  }
  const changed = [...tamperer.counts.values()].reduce((sum, each) => sum + each, 0);
  expect(changed).toBeGreaterThan(rounds);
  console.log(`seed ${SEED}: ${rounds} rounds, ${changed} changes`);
});
