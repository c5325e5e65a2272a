import { describe, expect, it } from 'vitest';
import { features } from '../../src/app/features.js';
import { newId } from '../../src/core/ids.js';
import { conversationChanges, joinChanges, leaveChanges } from '../../src/domain/conversation/conversation.events.js';
import { type MessageChanged, messageChanges as messageChangesOf } from '../../src/domain/message/message.events.js';
import { messageParts } from '../../src/domain/message/message.part.js';
import { markChanges } from '../../src/domain/receipt/receipt.events.js';
import { typingNotices } from '../../src/domain/typing/typing.js';
import type { Conversation, User } from '../../src/generated/prisma/client.js';
import { defineFeature } from '../../src/platform/feature.js';
import type { ChangeKind } from '../../src/realtime/change.js';

const messageChanges = messageChangesOf({ features });
const at = new Date('2026-11-21T12:00:00Z');
const conversation = { id: newId(), createdAt: at, lastActivityAt: at } as Conversation;
const user = { id: newId(), createdAt: at, deletedAt: null, suspendedAt: null } as User;
const changed = { conversation, memberIds: [], membership: { userId: user.id, joinedAt: at, user } };

const kinds: [name: string, kind: ChangeKind, data: object][] = [
  [
    'messages',
    messageChanges,
    {
      message: {
        ...{ id: newId(), createdAt: at, editedAt: null, deletedAt: null, pinnedAt: at, conversation, sender: user },
        parts: {
          reactions: { groups: [{ emoji: '👍', count: 1 }], byPerson: { [user.id]: ['👍'] } },
          replyCount: 2,
          quote: {
            message: {
              ...{ id: newId(), createdAt: at, editedAt: at, deletedAt: null, pinnedAt: null, sender: user },
              parts: { replyCount: 1 },
            },
            hiddenFrom: [user.id],
          },
        },
      },
      actor: user,
    },
  ],
  [
    'messages that are not replies, changed by their senders',
    messageChanges,
    {
      message: {
        ...{ id: newId(), createdAt: at, editedAt: null, deletedAt: null, pinnedAt: null, conversation, sender: null },
        parts: { reactions: { groups: [], byPerson: null }, replyCount: 0, quote: null },
      },
      actor: null,
    },
  ],
  ['conversations', conversationChanges, changed],
  ['who joined', joinChanges, changed],
  ['who left', leaveChanges, changed],
  ['who types', typingNotices, { user, isTyping: true, ttlMs: 6_000 }],
];

/** A feature with a message part, which loads a value in this version. */
const featureWith = (version: number) => {
  const part = { name: 'other', loaded: { version, empty: null, load: async () => [] } };
  return defineFeature('other', { contributes: [messageParts.with(part)] });
};

describe('the payload of a change', () => {
  const travelled = (json: unknown) => JSON.parse(JSON.stringify(json));

  it.each(kinds)('is decoded as it was encoded: %s', (_name, kind, data) => {
    expect(kind.decode(travelled(kind.encode(data)))).toEqual(data);
  });

  it.each([...kinds, ['marks', markChanges({ receiptMaxMembers: 10 }), {}] as const])(
    'is not decoded if it has an older version: %s',
    (_name, kind, data) => {
      const older = kind === messageChanges ? [1, 2, 3] : [1];
      for (const v of older) expect(kind.decode(travelled({ v, ...data }))).toBeUndefined();
      expect(kind.decode(travelled(data))).toBeUndefined();
    },
  );

  it('is not decoded if the other node has other message parts, or other versions of them', () => {
    const [, , data] = kinds[0] as (typeof kinds)[number];
    const others = [features.filter(({ name }) => name !== 'reaction'), [...features, featureWith(1)]];
    for (const other of others.map((list) => messageChangesOf({ features: list }))) {
      expect(messageChanges.decode(travelled(other.encode(data as MessageChanged)))).toBeUndefined();
      expect(other.decode(travelled(messageChanges.encode(data as MessageChanged)))).toBeUndefined();
    }
    const [older, newer] = [1, 2].map((version) => messageChangesOf({ features: [...features, featureWith(version)] }));
    expect(older?.decode(travelled(newer?.encode(data as MessageChanged)))).toBeUndefined();
    expect(newer?.decode(travelled(newer?.encode(data as MessageChanged)))).toEqual(data);
  });
});
