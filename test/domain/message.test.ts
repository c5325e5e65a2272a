import { beforeAll, describe, expect, it } from 'vitest';
import { connect, listen, type Person, register } from '../support/client.js';
import { footings, makePlace } from '../support/place.js';
import { createGroup, edit, MESSAGES, openDirect, remove, send, trySend } from '../support/talk.js';

describe.each(footings)('messages on the %s footing', (footing) => {
  let url: string;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  let conversation: string;

  beforeAll(async () => {
    const place = await makePlace(footing);
    ({ url } = await place.start());
    [alice, bob, carol] = await Promise.all([register(url, 'alice'), register(url, 'bob'), register(url, 'carol')]);
    conversation = await openDirect(alice, bob);
  });

  it('come live to the other', async () => {
    const client = connect(url, bob.token);
    const stream = listen(client, MESSAGES);
    await stream.until((event) => event.type === 'CAUGHT_UP');
    const sent = await send(alice, conversation, 'Hello Bob');
    const event = await stream.until((event) => event.messageId === sent.id);
    expect(event).toMatchObject({ type: 'SENT', message: { text: 'Hello Bob', sender: { id: alice.id } } });
    await client.dispose();
  });
});
