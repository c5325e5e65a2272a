import { describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { conversationChanges, joinChanges, leaveChanges } from '../../src/domain/conversation/conversation.events.js';
import { messageChanges } from '../../src/domain/message/message.events.js';
import { markMoves } from '../../src/domain/receipt/receipt.events.js';
import { typingNotices } from '../../src/domain/typing/typing.js';
import type { Conversation, User } from '../../src/generated/prisma/client.js';
import type { ChangeKind } from '../../src/realtime/change.js';

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
        ...{ reactions: { groups: [{ emoji: '👍', count: 1 }], byPerson: { [user.id]: ['👍'] } }, replyCount: 2 },
        quote: {
          message: {
            id: newId(),
            createdAt: at,
            editedAt: at,
            deletedAt: null,
            pinnedAt: null,
            sender: user,
            replyCount: 1,
          },
          hiddenFrom: [user.id],
        },
      },
      actor: user,
    },
  ],
  [
    'messages that answer nothing, changed by their senders',
    messageChanges,
    {
      message: {
        ...{ id: newId(), createdAt: at, editedAt: null, deletedAt: null, pinnedAt: null, conversation, sender: null },
        ...{ reactions: { groups: [], byPerson: null }, replyCount: 0, quote: null },
      },
      actor: null,
    },
  ],
  ['conversations', conversationChanges, changed],
  ['who joined', joinChanges, changed],
  ['who left', leaveChanges, changed],
  ['who types', typingNotices, { user, isTyping: true, ttlMs: 6_000 }],
];

describe('what nodes tell each other', () => {
  const travelled = (json: unknown) => JSON.parse(JSON.stringify(json));

  it.each(kinds)('is understood: %s', (_name, kind, data) => {
    expect(kind.decode(travelled(kind.encode(data)))).toEqual(data);
  });

  it.each([...kinds, ['marks', markMoves({ receiptMaxMembers: 10 }), {}] as const])(
    'is left alone when it is of a version that said less: %s',
    (_name, kind, data) => {
      const older = kind === messageChanges ? [1, 2] : [1];
      for (const v of older) expect(kind.decode(travelled({ v, ...data }))).toBeUndefined();
      expect(kind.decode(travelled(data))).toBeUndefined();
    },
  );
});
