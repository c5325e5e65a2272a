import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromBase64Url, randomBytes, toBase64Url } from '../../../packages/e2ee/src/bytes.js';
import {
  discloseContent,
  openContent,
  type Place,
  reactionKeyOf,
  sealContent,
} from '../../../packages/e2ee/src/content.js';
import { ed25519Pair } from '../../../packages/e2ee/src/crypto.js';
import { emojiOf, isSealedEmoji, messageReactions } from '../../../packages/e2ee/src/reactions.js';
import { emojiOf as emojiOfServer } from '../../../src/core/emojis.js';
import { recover, scene } from './clients.js';
import type { StoredMessage } from './fake-server.js';

const KEY = Uint8Array.from({ length: 64 }, (_, index) => index);

const reactionsOf = (key: Uint8Array<ArrayBuffer> = KEY) => messageReactions(async () => key);

/** Encrypts any bytes as the format describes it. */
function sealBytes(padded: Uint8Array, key = KEY, format = 1): string {
  const first = Buffer.from([format]);
  const iv = createHmac('sha256', key.subarray(0, 32)).update(first).update(padded).digest().subarray(0, 16);
  const cipher = createCipheriv('aes-256-ctr', key.subarray(32), iv);
  return Buffer.concat([first, iv, cipher.update(padded), cipher.final()]).toString('base64url');
}

function sealText(text: string): string {
  const padded = Buffer.alloc(46);
  padded.write(text);
  return sealBytes(padded);
}

describe('an encrypted emoji', () => {
  it('has the format that the documentation describes', async () => {
    const sealed = await reactionsOf().seal('👍');
    expect(sealed).toBe(sealText('👍'));
    expect(sealed).toBe('AWMRCgDh4a5x3jSOcRhZy-J3y_0MAAWhUl8yLaw7v5qHdiphwKy0AsdbNw3mi3ZHAgBYH0GivQH813PgW9CC');
    expect(await reactionsOf().open(sealed)).toBe('👍');
  });

  it('is the same for the same emoji of a message, in every spelling, and another one for another message', async () => {
    const [one, other] = [reactionsOf(randomBytes(64)), reactionsOf(randomBytes(64))];
    const sealed = await one.seal('❤️');
    expect(await one.seal('❤')).toBe(sealed);
    expect(await one.seal(' ❤\uFE0E')).toBe(sealed);
    expect(await one.open(sealed)).toBe('❤️');
    expect(await one.seal('👍')).not.toBe(sealed);
    expect(await other.seal('❤️')).not.toBe(sealed);
    await expect(other.open(sealed)).rejects.toMatchObject({ code: 'TAMPERED' });
  });

  it('has the same length for all emojis, and no change of a byte is accepted', async () => {
    const { seal, open } = reactionsOf();
    for (const emoji of ['👍', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', '🧑🏽‍❤️‍💋‍🧑🏻']) expect(isSealedEmoji(await seal(emoji))).toBe(true);
    const bytes = fromBase64Url(await seal('🧑🏽‍❤️‍💋‍🧑🏻'));
    for (let index = 0; index < bytes.length; index++) {
      const changed = bytes.slice();
      changed[index] = (changed[index] as number) ^ (1 << (index % 8));
      const code = index === 0 ? 'UNKNOWN_FORMAT' : 'TAMPERED';
      await expect(open(toBase64Url(changed)), `byte ${index}`).rejects.toMatchObject({ code });
    }
    for (const length of [1, 16, 17, 62]) {
      await expect(open(toBase64Url(bytes.subarray(0, length)))).rejects.toMatchObject({ code: 'TAMPERED' });
    }
    for (const text of ['👍', '+/', '']) await expect(open(text)).rejects.toMatchObject({ name: 'E2eeError' });
  });

  it.each(['a', '1', '', '👍👍', '👍 and more', '<img src=x>', '👍\0\0x', ' 👍', '❤', '🇽🇽', '\u200d', 'x'.repeat(46)])(
    'is refused if a member has encrypted %j instead',
    async (text) => {
      const { seal, open } = reactionsOf();
      await expect(open(sealText(text))).rejects.toMatchObject({ code: 'TAMPERED' });
      if (emojiOf(text) === undefined) await expect(seal(text)).rejects.toMatchObject({ code: 'NOT_AN_EMOJI' });
    },
  );

  it('is refused with another padding', async () => {
    const { open } = reactionsOf();
    for (const length of [4, 45, 47, 62]) {
      const padded = Buffer.alloc(length);
      padded.write('👍');
      await expect(open(sealBytes(padded))).rejects.toMatchObject({ code: 'TAMPERED' });
    }
    await expect(open(sealBytes(Buffer.alloc(46, 0xff)))).rejects.toMatchObject({ code: 'TAMPERED' });
    await expect(open(sealBytes(Buffer.alloc(46), KEY, 2))).rejects.toMatchObject({ code: 'UNKNOWN_FORMAT' });
  });
});

it('emojis are normalized as the server does it', () => {
  const listed = Object.values(JSON.parse(readFileSync('web/src/emoji/emoji.json', 'utf8')) as Record<string, string[]>)
    .flat()
    .map((entry) => entry.split('|')[0] as string);
  expect(listed.length).toBeGreaterThan(1_800);
  const characters = Array.from({ length: 0x20000 }, (_, point) => String.fromCodePoint(point)).filter((character) =>
    /[\p{Emoji}\p{Extended_Pictographic}]/u.test(character),
  );
  const tones = ['🏻', '🏼', '🏽', '🏾', '🏿'];
  // Each person of a sequence in each skin.
  const toned = (emoji: string) => {
    const parts = emoji.replaceAll('\uFE0F', '').split(/(?<=\p{Emoji_Modifier_Base})/u);
    const grow = (done: string[], part: string): string[] =>
      done.flatMap((start) =>
        (/\p{Emoji_Modifier_Base}$/u.test(part) ? ['', ...tones] : ['']).map((tone) => start + part + tone),
      );
    return parts.length > 3 ? [] : parts.reduce(grow, ['']);
  };
  const flags = Array.from({ length: 26 * 26 }, (_, index) =>
    String.fromCodePoint(0x1f1e6 + Math.floor(index / 26), 0x1f1e6 + (index % 26)),
  );
  const keycaps = [...'0123456789#*', 'a'].map((digit) => `${digit}\u20E3`);
  let emojis = 0;
  let longest = 0;
  for (const text of new Set([...listed, ...characters, ...listed.flatMap(toned), ...flags, ...keycaps])) {
    const bare = text.replaceAll('\uFE0F', '');
    for (const spelling of [text, bare, `${bare}\uFE0F`, `${bare}\uFE0E`, ` ${text}\n`]) {
      const expected = emojiOfServer(spelling);
      // Unicode has reserved some characters for emojis of the future.
      if (expected === undefined && /^\p{Cn}[\uFE0E\uFE0F]?$/u.test(spelling.trim())) continue;
      expect(emojiOf(spelling), JSON.stringify(spelling)).toBe(expected);
      if (expected !== undefined) emojis += 1;
      longest = Math.max(longest, Buffer.byteLength(expected ?? ''));
    }
  }
  expect(emojis).toBeGreaterThan(15_000);
  expect(longest).toBe(35);
});

describe('the key of the reactions', () => {
  const place: Place = {
    conversationId: 'Conversation_1',
    generation: 1,
    epoch: 7,
    deviceId: 'Device_1',
    clientMessageId: 'one',
    version: 1,
  };
  const device = ed25519Pair();

  async function version(number: number, epochKey: Uint8Array, text: string, reactionKey?: Uint8Array) {
    const { privateKey } = await device;
    return sealContent(epochKey, privateKey, { ...place, version: number }, { text }, reactionKey);
  }

  async function keyIn(epochKey: Uint8Array, sealed: Uint8Array) {
    const { publicKey } = await device;
    return reactionKeyOf(epochKey, sealed, await openContent(epochKey, publicKey, place, sealed));
  }

  it('is derived from the key of the epoch and the salt of the first version, and handed on by edits', async () => {
    const epochKeys = [randomBytes(32), randomBytes(32), randomBytes(32)] as const;
    const first = await version(1, epochKeys[0], 'one');
    const key = await keyIn(epochKeys[0], first);
    const derived = hkdfSync('sha256', epochKeys[0], first.subarray(5, 37), 'parley reaction key 1', 64);
    expect(toBase64Url(key)).toBe(Buffer.from(derived).toString('base64url'));
    const second = await version(2, epochKeys[1], 'two', key);
    expect(await keyIn(epochKeys[1], second)).toEqual(key);
    const third = await version(3, epochKeys[2], 'three', await keyIn(epochKeys[1], second));
    expect(await keyIn(epochKeys[2], third)).toEqual(key);
    // By a client that does not hand it on.
    const fourth = await version(4, epochKeys[2], 'four');
    expect(await keyIn(epochKeys[2], fourth)).not.toEqual(key);
  });

  it('is not revealed by the key of a message, neither of the first version nor of an edit', async () => {
    const epochKey = randomBytes(32);
    const first = await version(1, epochKey, 'one');
    const key = await keyIn(epochKey, first);
    const edit = await version(2, epochKey, 'two', key);
    for (const sealed of [first, edit]) {
      const { messageKey, content } = await discloseContent(epochKey, place, sealed);
      const { reactionKey = '' } = content;
      expect(reactionKey).toHaveLength(sealed === edit ? 86 : 0);
      expect(Buffer.from(key).includes(Buffer.from(messageKey))).toBe(false);
      expect(reactionKey).not.toBe(toBase64Url(key));
      const derived = hkdfSync('sha256', messageKey, sealed.subarray(5, 37), 'parley reaction key 1', 64);
      expect(Buffer.from(derived).equals(key)).toBe(false);
    }
    // The same key is encrypted differently in each version.
    const again = await discloseContent(epochKey, place, await version(2, epochKey, 'two', key));
    expect(again.content.reactionKey).not.toBe((await discloseContent(epochKey, place, edit)).content.reactionKey);
  });

  it('of a wrong length leaves the message readable', async () => {
    const epochKey = randomBytes(32);
    const { privateKey, publicKey } = await device;
    await expect(version(2, epochKey, 'one', randomBytes(63))).rejects.toMatchObject({ code: 'TAMPERED' });
    const forged = await sealContent(epochKey, privateKey, place, { text: 'one', reactionKey: 'AAAA' });
    expect((await openContent(epochKey, publicKey, place, forged)).content.text).toBe('one');
    await expect(keyIn(epochKey, forged)).rejects.toMatchObject({ code: 'TAMPERED' });
  });

  it('does not make the lengths of short edits differ', async () => {
    const epochKey = randomBytes(32);
    const key = randomBytes(64);
    const edits = ['', 'yes', 'a'.repeat(100)].map((text) => version(2, epochKey, text, key));
    expect(new Set((await Promise.all(edits)).map(({ length }) => length)).size).toBe(1);
  });
});

describe('reactions of members', () => {
  it('remain readable after edits, also on a device that has seen only the edited version', async () => {
    const { server, alice, bob, id, messages } = await scene();
    const [message, other] = messages as [StoredMessage, StoredMessage];
    const reactionsFor = async ({ e2ee }: typeof alice, of = message) =>
      (await e2ee.conversation(id).open(of)).reactions;
    const sealed = await (await reactionsFor(bob)).seal('🎉');
    expect(await (await reactionsFor(alice)).open(sealed)).toBe('🎉');
    for (const version of [2, 3]) {
      const { content, reactions } = await alice.e2ee.conversation(id).open(message);
      const reactionKey = await reactions.key();
      const edited = { ...content, text: `version ${version}` };
      const key = message.clientMessageId as string;
      const encrypted = await alice.e2ee.conversation(id).encrypt(key, edited, { version, reactionKey });
      await server.executeAs('alice')('mutation EditMessage', { input: { messageId: message.id, encrypted } });
    }
    const phone = await recover(server, bob);
    for (const device of [alice, bob, phone]) {
      const { content, reactions } = await device.e2ee.conversation(id).open(message);
      expect(content.text).toBe('version 3');
      expect(await reactions.open(sealed)).toBe('🎉');
      expect(await reactions.seal('🎉')).toBe(sealed);
    }
    await expect((await reactionsFor(bob, other)).open(sealed)).rejects.toMatchObject({ code: 'TAMPERED' });
    // By a client that does not hand the key on, also if the content is that of the previous version.
    const { content } = await alice.e2ee.conversation(id).open(message);
    const encrypted = await alice.e2ee
      .conversation(id)
      .encrypt(message.clientMessageId as string, content, { version: 4 });
    await server.executeAs('alice')('mutation EditMessage', { input: { messageId: message.id, encrypted } });
    const { content: last, reactions } = await bob.e2ee.conversation(id).open(message);
    expect(last).toEqual({ text: 'version 3' });
    await expect(reactions.open(sealed)).rejects.toMatchObject({ code: 'TAMPERED' });
    const others = await (await reactionsFor(alice)).seal('👍');
    expect(await reactions.open(others)).toBe('👍');
  });
});
