import { describe, expect, it } from 'vitest';
import { canDelete } from '../../src/domain/message/message.policy.js';

describe('canDelete', () => {
  it('allows the sender and moderators until the message is deleted', () => {
    const message = { kind: 'USER' as const, senderId: 'bob', deletedAt: null };
    expect([canDelete(message, 'bob', false), canDelete(message, 'alice', true)]).toEqual([true, true]);
    expect(canDelete(message, 'alice', false)).toBe(false);
    expect(canDelete({ ...message, deletedAt: new Date() }, 'bob', true)).toBe(false);
    expect(canDelete({ ...message, kind: 'SYSTEM', senderId: null }, 'alice', true)).toBe(false);
  });
});
