import { randomBytes } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mediaOf } from '../../../packages/client/src/media.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { atFileEnd } from '../../support/ending.js';
import { attachmentOf, open } from '../../support/media.js';
import { anyMode, makePlace } from '../../support/place.js';
import { type FakeS3, startS3 } from '../../support/s3.js';
import { openAlone } from '../../support/tabs.js';
import { openDirect } from '../../support/talk.js';

const MiB = 1024 * 1024;

describe('the files of a client whose server stores them in S3', () => {
  let node: RunningNode;
  let s3: FakeS3;
  let ana: Person;
  let ben: Person;
  beforeAll(async () => {
    const [place, bucket] = await Promise.all([makePlace(anyMode), startS3(atFileEnd)]);
    s3 = bucket;
    node = await place.start({ ...s3.env, MEDIA_REDIRECTS: 'off' });
    [ana, ben] = await registerAll(node.url, 'ana', 'ben');
  });
  beforeEach(() => {
    s3.fault(() => undefined);
    s3.calls.length = 0;
    s3.refusals.length = 0;
  });

  /** The numbers of the parts that the bucket was sent, in order. */
  const sentParts = () =>
    s3.calls.flatMap(({ method, query }) => (method === 'PUT' ? (query.get('partNumber') ?? []) : []));

  async function openAs(person: Person) {
    const parley = openAlone({ url: node.url });
    const media = mediaOf(parley);
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => parley.connection.value.status === 'live');
    return media;
  }

  it('are sent to the bucket, where an interruption costs at most one part', async () => {
    const id = await openDirect(ana, ben);
    const media = await openAs(ana);
    const bytes = randomBytes(11 * MiB);
    const faults = ['disconnect', { status: 503, code: 'SlowDown' }, { status: 403, code: 'AccessDenied' }] as const;
    const left = [...faults];
    s3.fault(({ method, query }) =>
      method === 'PUT' && query.get('partNumber') === '2' && left.length > 0 ? left.shift() : undefined,
    );
    await media.add(id, new File([new Uint8Array(bytes)], 'data.bin'));
    await media.send(id, 'Look');
    let attachmentId = '';
    await eventually('it is sent', async () => {
      const query = 'query ($id: ID!) { conversation(id: $id) { messages { nodes { attachments { id } } } } }';
      const [message] = (await ben.ask(query, { id })).conversation.messages.nodes;
      attachmentId = message?.attachments[0].id ?? '';
      return attachmentId !== '';
    });
    // The part whose connection was cut did not arrive. A rejected URL is replaced by a new one.
    expect(sentParts()).toEqual(['1', '2', '2', '2', '3']);
    expect(s3.refusals).toEqual(['SlowDown', 'AccessDenied']);
    await eventually('it is ready', async () => (await attachmentOf(ben, attachmentId)).state === 'READY');
    const { path } = await attachmentOf(ben, attachmentId);
    const received = Buffer.from(await (await open(node.url, ben, path)).arrayBuffer());
    expect(received.equals(bytes)).toBe(true);
  });
});
