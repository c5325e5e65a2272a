import { beforeAll, describe, expect, it } from 'vitest';
import { loadVapidKeys } from '../../src/domain/push/vapid-keys.js';
import { createSecrets } from '../../src/infra/auth/secrets.js';
import type { RunningNode } from '../../src/server/start.js';
import { register } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { webDevice } from '../support/push-service.js';
import { attempt } from '../support/talk.js';

const [first, second, third] = ['first', 'second', 'third'].map(
  (name) => `the ${name} secret of the nodes of a test`,
) as [string, string, string];
const one = createSecrets({ secret: first });
const both = createSecrets({ secret: second, previousSecret: first });

describe('secrets', () => {
  it('open what was sealed for the same purpose, with the present or the previous secret', () => {
    const sealed = one.seal('purpose', 'a text');
    expect(sealed).not.toContain('text');
    expect(one.seal('purpose', 'a text')).not.toBe(sealed);
    expect(one.unseal('purpose', sealed)).toEqual({ text: 'a text', isPrevious: false });
    expect(both.unseal('purpose', sealed)).toEqual({ text: 'a text', isPrevious: true });
    expect(one.unseal('another purpose', sealed)).toBeUndefined();
    expect(createSecrets({ secret: second }).unseal('purpose', sealed)).toBeUndefined();
    const changed = Buffer.from(sealed, 'base64url');
    changed[changed.length - 20] = (changed[changed.length - 20] ?? 0) ^ 1;
    expect(one.unseal('purpose', changed.toString('base64url'))).toBeUndefined();
    expect(one.unseal('purpose', '')).toBeUndefined();
  });

  it('verify keyed hashes of the same purpose, with the present or the previous secret', () => {
    const mac = one.mac('purpose', 'a text');
    expect(mac).toHaveLength(43);
    expect(one.isMac('purpose', 'a text', mac)).toBe(true);
    expect(both.isMac('purpose', 'a text', mac)).toBe(true);
    expect(both.mac('purpose', 'a text')).not.toBe(mac);
    expect(one.isMac('purpose', 'another text', mac)).toBe(false);
    expect(one.isMac('another purpose', 'a text', mac)).toBe(false);
    expect(one.isMac('purpose', 'a text', '')).toBe(false);
  });
});

describe.each(detailModes)('the keys of Web Push in %s mode', (mode) => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start();
  });
  const load = (secrets: Parameters<typeof loadVapidKeys>[1]) =>
    loadVapidKeys(node.deps.database.db, secrets, node.deps.log);

  it('are the same for nodes that start at the same time', async () => {
    await node.deps.database.db.serverKey.deleteMany();
    const loaded = await Promise.all(Array.from({ length: 5 }, () => load(one)));
    expect(new Set(loaded.map(({ publicKey }) => publicKey)).size).toBe(1);
    expect(new Set(loaded.map(({ privateKey }) => JSON.stringify(privateKey))).size).toBe(1);
  });

  it('are not readable in the database, and remain valid when the secret is replaced', async () => {
    await node.deps.database.db.serverKey.deleteMany();
    const keys = await load(one);
    const stored = async () => JSON.stringify(await node.deps.database.db.serverKey.findFirst());
    expect(await stored()).toContain(keys.publicKey);
    expect(await stored()).not.toContain(keys.privateKey.d);
    expect(await load(both)).toEqual(keys);
    // Nodes with either secret can read it now.
    expect(await load(createSecrets({ secret: second }))).toEqual(keys);
    expect(await load(one)).toEqual(keys);
    expect(await load(createSecrets({ secret: third, previousSecret: second }))).toEqual(keys);
    expect(await load(createSecrets({ secret: third }))).toEqual(keys);
  });

  it('are replaced if no secret opens them, and browsers have to register again', async () => {
    await node.deps.database.db.serverKey.deleteMany();
    const keys = await load(one);
    const ana = await register(node.url, 'ana');
    await attempt(ana, 'registerPush', { web: webDevice('a') });
    expect((await load(createSecrets({ secret: third }))).publicKey).not.toBe(keys.publicKey);
    expect(await node.deps.database.db.pushSubscription.count()).toBe(0);
  });
});
