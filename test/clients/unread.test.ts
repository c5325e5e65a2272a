import { print } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import type { OpenAtUnreadQuery } from '../generated/graphql.js';
import { type Person, registerAll } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { mark } from '../support/receipts.js';
import { createGroup, remove, send } from '../support/talk.js';
import { MessageFields, OpenAtUnread } from './operations.js';

describe.each(detailModes)('a chat that opens at the first unread message in %s mode', (mode) => {
  let node: RunningNode;
  let ana: Person;
  let bob: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start({ PAGE_DEFAULT: '6' });
    [ana, bob] = await registerAll(node.url, 'ana', 'bob');
  });

  /** Follows the documentation: with the `readSeq` that is already known. */
  async function open(person: Person, id: string) {
    const { conversation } = await person.ask(
      'query ($id: ID!) { conversation(id: $id) { viewerMembership { readSeq } } }',
      { id },
    );
    const { readSeq } = conversation.viewerMembership;
    const query = `${print(OpenAtUnread)}${print(OpenAtUnread).includes('fragment MessageFields') ? '' : print(MessageFields)}`;
    const data: OpenAtUnreadQuery = await person.ask(query, { id, firstUnread: readSeq + 1 });
    const { viewerMembership, messages } = data.conversation ?? {};
    const nodes = messages?.nodes ?? [];
    const first = nodes.find(
      ({ seq, sender, deletedAt, kind }) =>
        seq > (viewerMembership?.readSeq ?? 0) && sender?.id !== person.id && deletedAt === null && kind === 'USER',
    );
    return {
      texts: nodes.map(({ text }) => text),
      line: first?.text,
      unread: viewerMembership?.unreadCount,
      more: [messages?.pageInfo.hasPreviousPage, messages?.pageInfo.hasNextPage],
    };
  }

  it('shows the first unread message and the messages before it', async () => {
    const group = await createGroup(ana, [bob]);
    const sent = [];
    for (let number = 1; number <= 12; number += 1) sent.push(await send(ana, group, `${number}`));
    expect(await open(bob, group)).toEqual({
      ...{ texts: ['1', '2', '3'], line: '1', unread: 12 },
      more: [false, true],
    });
    await mark(bob, 'markRead', group, 5);
    expect(await open(bob, group)).toEqual({
      ...{ texts: ['3', '4', '5', '6', '7', '8'], line: '6', unread: 7 },
      more: [true, true],
    });
    // Deleted messages and own messages are not unread.
    await remove(ana, sent[5]?.id ?? '');
    expect(await open(bob, group)).toMatchObject({ line: '7', unread: 6 });
    await mark(bob, 'markRead', group, 12);
    expect(await open(bob, group)).toEqual({
      ...{ texts: ['10', '11', '12'], line: undefined, unread: 0 },
      more: [true, false],
    });
    await send(bob, group, 'mine');
    expect(await open(bob, group)).toMatchObject({ line: undefined, unread: 0 });
  });
});
