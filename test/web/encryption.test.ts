import type { Browser, BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type E2ee,
  type EncryptedMessage,
  encryptedMessageFields,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../packages/e2ee/src/index.js';
import type { RunningNode } from '../../src/server/start.js';
import { violations } from '../support/axe.js';
import { browserFound, startBrowser, type Visit } from '../support/browser.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { makePicture } from '../support/media.js';
import { makePlace, servicesFound } from '../support/place.js';
import { startProxy } from '../support/proxy.js';
import { attempt, createGroup, openDirect, send } from '../support/talk.js';
import { act, composer, isStored, openApp, rows, rowWith, startApp, write } from '../support/web-app.js';
import { recover, setUp } from '../support/web-encryption.js';

const SHOTS = process.env['SHOTS'];

/** Saves a picture of a page for whoever wants to look at it. */
const shoot = async (page: Page, name: string) => {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png` });
};

/** The rules that a screen breaks in the dark and the light theme and in high contrast. */
async function violationsInAllThemes(page: Page, name: string): Promise<string[]> {
  // As the settings apply it.
  const setContrast = (isOn: boolean) =>
    page.evaluate((isSet) => {
      if (isSet) document.documentElement.dataset['theme'] = 'contrast';
      else delete document.documentElement.dataset['theme'];
    }, isOn);
  const found: string[] = [];
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    found.push(...(await violations(page)));
    await shoot(page, `${name}-${colorScheme}`);
  }
  await setContrast(true);
  found.push(...(await violations(page)));
  await setContrast(false);
  return found;
}

const panel = (page: Page) =>
  page.getByRole('button', { name: /About this conversation/ }).or(page.locator('h1 button'));
const section = (page: Page) => page.getByRole('region', { name: 'Encryption', exact: true });
const picture = (page: Page) => page.getByRole('button', { name: /^Open image/ });

describe.skipIf(!browserFound)('encrypted conversations in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp({ SYSTEM_MESSAGES: 'on' }));
  });

  const goTo = async (page: Page, id: string) => {
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await page.locator('[data-key]').first().waitFor();
  };

  /** A user with a browser that has keys. */
  async function enter(person: Person): Promise<Visit & { key: string; context: BrowserContext }> {
    const visited = await openApp(browser, url, person);
    const key = await setUp(visited.page, url);
    return { ...visited, key, context: visited.page.context() };
  }

  async function turnOn(page: Page): Promise<void> {
    await panel(page).first().click();
    await section(page).getByRole('button', { name: 'Turn on encryption' }).click();
    await page
      .getByRole('dialog', { name: 'Turn on encryption?' })
      .getByRole('button', { name: 'Turn on encryption' })
      .click();
    await section(page).getByText('Only the people in this conversation can read').waitFor();
    await page.getByRole('button', { name: 'Close', exact: true }).first().click();
  }

  /** Two users whose conversation is encrypted. */
  async function pair() {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Before');
    const [adas, bobs] = await Promise.all([enter(ada), enter(bob)]);
    await Promise.all([adas, bobs].map(({ page }) => goTo(page, id)));
    await turnOn(adas.page);
    return { ada, bob, id, adas, bobs };
  }

  /** The texts that the server has of a conversation. */
  const textsOf = async (person: Person, id: string): Promise<(string | null)[]> =>
    (
      await person.ask('query ($id: ID!) { conversation(id: $id) { messages(last: 50) { nodes { text kind } } } }', {
        id,
      })
    ).conversation.messages.nodes
      .filter(({ kind }: { kind: string }) => kind === 'USER')
      .map(({ text }: { text: string | null }) => text);

  it('is turned on with a confirmation, and both users write, reply, edit and react', {
    timeout: 120_000,
  }, async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Before');
    const [adas, bobs] = await Promise.all([enter(ada), openApp(browser, url, bob, id)]);
    const { page } = adas;
    await goTo(page, id);
    await panel(page).first().click();
    expect(await violationsInAllThemes(page, 'off')).toEqual([]);
    await section(page).getByRole('button', { name: 'Turn on encryption' }).click();
    const confirmation = page.getByRole('dialog', { name: 'Turn on encryption?' });
    await confirmation
      .getByText(`${bob.username} has not set up`, { exact: false })
      .or(confirmation.getByText('has not set up encryption yet'))
      .first()
      .waitFor();
    expect(await violationsInAllThemes(page, 'confirm')).toEqual([]);
    await confirmation.getByRole('button', { name: 'Turn on encryption' }).click();
    await confirmation.waitFor({ state: 'detached' });
    await section(page).getByText('Only the people in this conversation can read').waitFor();
    expect(await violationsInAllThemes(page, 'on')).toEqual([]);
    // Bob has no keys yet.
    const unready = bobs.page.getByRole('region', { name: 'Encrypted', exact: true });
    await unready.getByRole('button', { name: 'Set up' }).waitFor();
    expect(await composer(bobs.page).count()).toBe(0);
    expect(await violationsInAllThemes(bobs.page, 'unready')).toEqual([]);
    await setUp(bobs.page, url);
    await goTo(bobs.page, id);
    await page.locator('h1').getByText('Encrypted').waitFor();
    await page.getByText('Messages above are not encrypted.').waitFor();
    expect(await composer(page).getAttribute('placeholder')).toBe('Encrypted message');
    await write(page, 'From Ada');
    await rowWith(bobs.page, 'From Ada').waitFor();
    await write(bobs.page, 'From Bob');
    await rowWith(page, 'From Bob').waitFor();
    await act(page, 'From Bob', 'Reply');
    await write(page, 'A reply');
    const reply = rowWith(bobs.page, 'A reply');
    await reply.getByRole('button', { name: 'From Bob' }).waitFor();
    await act(page, 'From Ada', 'Edit');
    await composer(page).fill('Edited by Ada');
    await composer(page).press('Enter');
    await rowWith(bobs.page, 'Edited by Ada').waitFor();
    await rowWith(bobs.page, 'Edited by Ada').hover();
    await rowWith(bobs.page, 'Edited by Ada').getByRole('button', { name: 'React' }).click();
    await bobs.page
      .getByRole('dialog')
      .getByRole('button')
      .filter({ hasText: /\p{Extended_Pictographic}/u })
      .first()
      .click();
    await rowWith(page, 'Edited by Ada').getByRole('button', { pressed: false }).first().waitFor();
    await rowWith(page, 'Edited by Ada').waitFor();
    expect(await rows(page).getByText('Not encrypted').count()).toBe(0);
    const texts = (await textsOf(bob, id)).filter((text) => text !== null);
    expect(texts).toEqual(['Before']);
    expect(await violationsInAllThemes(page, 'chat')).toEqual([]);
    // The list shows the last message, and the lock.
    await bobs.page.locator('nav li').getByText('A reply').waitFor();
    await bobs.page.locator('nav li').getByText('Encrypted', { exact: true }).waitFor();
    expect([...adas.errors, ...bobs.errors]).toEqual([]);
  });

  it('shows pictures, recordings and files after they were decrypted', { timeout: 120_000 }, async () => {
    const { id, adas, bobs, bob } = await pair();
    const { page } = adas;
    const photo = { name: 'beach.jpg', mimeType: 'image/jpeg', buffer: await makePicture('jpeg') };
    await page.getByLabel('Attach files').setInputFiles([photo]);
    await page.getByRole('list', { name: /attached/ }).waitFor();
    await write(page, 'Look');
    await rowWith(bobs.page, 'Look').waitFor();
    const isLoaded = (other: Page) =>
      eventually('the picture is shown', () =>
        picture(other)
          .locator('img:not([alt=""])')
          .evaluateAll((all) => all.some((each) => (each as HTMLImageElement).naturalWidth > 0)),
      );
    await isLoaded(bobs.page);
    await isLoaded(page);
    const query = `query ($id: ID!) { conversation(id: $id) { messages(last: 1) { nodes { attachments { filename kind contentType } } } } }`;
    const [message] = (await bob.ask(query, { id })).conversation.messages.nodes;
    expect(message.attachments).toMatchObject([{ filename: 'file', kind: 'FILE' }]);
    await picture(bobs.page).click();
    const lightbox = bobs.page.getByRole('dialog', { name: 'Image' });
    await eventually('it is shown in full', () =>
      lightbox.locator('img').evaluate((each) => (each as HTMLImageElement).naturalWidth > 0),
    );
    expect(await violations(bobs.page)).toEqual([]);
    await bobs.page.keyboard.press('Escape');
    // The details list it with the other pictures.
    await panel(bobs.page).first().click();
    const shared = bobs.page.getByRole('tabpanel').getByRole('button', { name: /^Open image/ });
    await eventually('its thumbnail is shown', () =>
      shared.locator('img').evaluateAll((all) => all.some((each) => (each as HTMLImageElement).naturalWidth > 0)),
    );
    await bobs.page.getByRole('button', { name: 'Close', exact: true }).first().click();
    // The sender does not have the file in memory any more.
    await page.reload();
    await isLoaded(page);
    const notes = {
      name: 'notes.pdf',
      mimeType: 'application/pdf',
      buffer: Buffer.from('%PDF secret notes '.repeat(500)),
    };
    await page.getByLabel('Attach files').setInputFiles([notes]);
    await page.getByRole('list', { name: /attached/ }).waitFor();
    await composer(page).press('Enter');
    const file = bobs.page.getByRole('button', { name: /notes\.pdf/ });
    await file.waitFor();
    expect(await violationsInAllThemes(bobs.page, 'files')).toEqual([]);
    const [download] = await Promise.all([bobs.page.waitForEvent('download'), file.click()]);
    expect(download.suggestedFilename()).toBe('notes.pdf');
    const chunks: Buffer[] = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(notes.buffer)).toBe(true);
    expect([...adas.errors, ...bobs.errors]).toEqual([]);
  });

  it('shows what was opened without a connection, and a second device reads the history', {
    timeout: 120_000,
  }, async () => {
    const { ada, id, adas, bobs } = await pair();
    await write(bobs.page, 'For all devices');
    await rowWith(adas.page, 'For all devices').waitFor();
    await eventually('it is stored', () => isStored(adas.page, 'For all devices'));
    await eventually('the app is stored', () =>
      adas.page.evaluate(async () => (await navigator.serviceWorker.ready).active?.state === 'activated'),
    );
    await adas.context.setOffline(true);
    await adas.page.reload();
    await rowWith(adas.page, 'For all devices').waitFor();
    await write(adas.page, 'Written offline');
    await rowWith(adas.page, 'Written offline').waitFor();
    await adas.context.setOffline(false);
    await rowWith(bobs.page, 'Written offline').waitFor();
    const phone = await openApp(browser, url, ada, id, { viewport: { width: 390, height: 844 } });
    await phone.page
      .getByRole('region', { name: 'Encrypted', exact: true })
      .getByRole('button', { name: 'Enter the recovery key' })
      .waitFor();
    await rows(phone.page).getByText('Encrypted message').first().waitFor();
    expect(await violationsInAllThemes(phone.page, 'phone-locked')).toEqual([]);
    await recover(phone.page, url, adas.key);
    await goTo(phone.page, id);
    for (const text of ['For all devices', 'Written offline']) await rowWith(phone.page, text).waitFor();
    await shoot(phone.page, 'phone');
    await write(phone.page, 'From the phone');
    await rowWith(adas.page, 'From the phone').waitFor();
    // Signing out removes what was opened.
    await phone.page.goto(`${url}settings`);
    await phone.page.getByText('You can read and write encrypted messages in this browser.').waitFor();
    await phone.page.getByRole('button', { name: 'Sign out' }).first().click();
    const leaving = phone.page.getByRole('dialog').getByRole('button', { name: 'Sign out' });
    await leaving.click();
    await phone.page.locator('[name=usernameOrEmail]').waitFor();
    await eventually('the texts are gone', async () => !(await isStored(phone.page, 'For all devices')));
  });

  it('only owners and admins of a group can turn it on, and members without keys are named', {
    timeout: 120_000,
  }, async () => {
    const [ada, bob, cleo] = await registerAll(node.url, 'ada', 'bob', 'cleo');
    const id = await createGroup(ada, [bob, cleo]);
    await send(ada, id, 'Hello');
    const [adas, bobs] = await Promise.all([enter(ada), enter(bob)]);
    await goTo(bobs.page, id);
    await panel(bobs.page).first().click();
    await section(bobs.page).getByText('The owners and admins of the group can turn on encryption.').waitFor();
    expect(await section(bobs.page).getByRole('button').count()).toBe(0);
    await goTo(adas.page, id);
    await turnOn(adas.page);
    await panel(adas.page).first().click();
    await section(adas.page).getByText('has not set up encryption yet').waitFor();
    await write(bobs.page, 'To the group');
    await rowWith(adas.page, 'To the group').waitFor();
  });

  /** Bob, whose device is not a browser, in an encrypted conversation with Ada. */
  async function meetDevice() {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Before');
    const bobs = await device(bob);
    await bobs.conversation(id).enable();
    return { ada, bob, id, bobs };
  }

  it('marks texts that the server adds, and explains messages that it changes', { timeout: 120_000 }, async () => {
    const { ada, id, bobs } = await meetDevice();
    await bobs.conversation(id).send({ text: 'Too early' });
    const adas = await enter(ada);
    await bobs.conversation(id).send({ text: 'Genuine' });
    await goTo(adas.page, id);
    // Nobody had a key to encrypt it for Ada.
    await rows(adas.page).getByText('This message was sent before you could read this conversation.').waitFor();
    await rowWith(adas.page, 'Genuine').waitFor();
    const lies = new Map<string, (message: Record<string, unknown>) => void>([
      ['added', (message) => Object.assign(message, { encrypted: null, text: 'Added by the server' })],
      [
        'changed',
        (message) => {
          const encrypted = message['encrypted'] as { content: string };
          const { content } = encrypted;
          encrypted.content = `${content.slice(0, -8)}${content.at(-8) === 'A' ? 'B' : 'A'}${content.slice(-7)}`;
        },
      ],
    ]);
    await adas.page.routeWebSocket(/graphql/, (socket) => {
      const server = socket.connectToServer();
      server.onMessage((data) => {
        const changed = JSON.parse(String(data), (_, value) => {
          if (value?.__typename === 'Message' && value.encrypted) lies.get(value.clientMessageId)?.(value);
          return value;
        });
        socket.send(JSON.stringify(changed));
      });
    });
    await adas.page.reload();
    await rowWith(adas.page, 'Genuine').waitFor();
    for (const clientMessageId of lies.keys()) await bobs.conversation(id).send({ text: 'x' }, { clientMessageId });
    await rowWith(adas.page, 'Added by the server').getByText('Not encrypted').waitFor();
    await rows(adas.page).getByText('it was changed after it was sent').waitFor();
    expect(await rows(adas.page).getByText('Not encrypted').count()).toBe(1);
    expect(await violationsInAllThemes(adas.page, 'lies')).toEqual([]);
    // The last message could not be opened, so that a new start is offered.
    await panel(adas.page).first().click();
    const again = section(adas.page).getByRole('button', { name: 'Start encryption again' });
    await again.click();
    const confirmation = adas.page.getByRole('dialog', { name: 'Start encryption again?' });
    expect(await violationsInAllThemes(adas.page, 'start-again')).toEqual([]);
    await confirmation.getByRole('button', { name: 'Start encryption again' }).click();
    const generation = async (): Promise<number> =>
      (await ada.ask('query ($id: ID!) { conversation(id: $id) { encryptionGroup { generation } } }', { id }))
        .conversation.encryptionGroup.generation;
    await eventually('the group was started again', async () => (await generation()) === 2);
    await bobs.conversation(id).send({ text: 'After the new start' });
    await rowWith(adas.page, 'After the new start').waitFor();
    await rowWith(adas.page, 'Genuine').waitFor();
    await again.waitFor({ state: 'detached' });
    expect(adas.errors).toEqual([]);
  });

  it('sends nothing to a verified user whose keys have changed, before this was reviewed', {
    timeout: 120_000,
  }, async () => {
    const { ada, id, bobs, bob } = await meetDevice();
    const adas = await enter(ada);
    const { page } = adas;
    await goTo(page, id);
    await write(page, 'Before the change');
    await eventually('it is sent', async () => (await textsOf(bob, id)).length === 2);
    await panel(page).first().click();
    await page.getByRole('button', { name: 'Compare security codes' }).click();
    const dialog = page.getByRole('dialog', { name: 'Compare security codes' });
    await dialog.getByRole('button', { name: 'They match' }).click();
    await dialog.getByText('You have verified').waitFor();
    await page.keyboard.press('Escape');
    const mark = page.locator('h1').getByRole('img', { name: 'Verified' });
    await mark.waitFor();
    const other = await device(bob, true);
    await other.conversation(id).synchronize();
    bobs.close();
    await write(page, 'After the change');
    const alert = page.getByRole('alert').filter({ hasText: 'has changed. Your messages are not sent' });
    await alert.waitFor();
    await page.getByText('The security code of a person in this conversation has changed.').waitFor();
    await mark.waitFor({ state: 'detached' });
    expect(await violationsInAllThemes(page, 'blocked')).toEqual([]);
    expect(await textsOf(bob, id)).toHaveLength(2);
    await alert.getByRole('button', { name: 'Review' }).click();
    await page
      .getByRole('dialog', { name: 'The security code has changed' })
      .getByRole('button', { name: 'Accept without comparing' })
      .click();
    await page.keyboard.press('Escape');
    // The text of the alert is another one after the change was accepted.
    const remaining = page.getByRole('alert').filter({ hasText: 'has changed' });
    await remaining.getByRole('button', { name: 'Try again' }).last().click();
    await eventually('it is sent', async () => (await textsOf(bob, id)).length === 3);
    await eventually('nothing is blocked', async () => (await remaining.count()) === 0);
  });

  it('reports who can read a group from now on, and contradictory lists of devices', { timeout: 120_000 }, async () => {
    const [ada, bob, cleo, dan] = await registerAll(node.url, 'ada', 'bob', 'cleo', 'dan');
    const id = await createGroup(bob, [ada], { title: 'Plans' });
    await send(bob, id, 'Before');
    const bobs = await device(bob);
    await bobs.conversation(id).enable();
    const adas = await enter(ada);
    const { page } = adas;
    await goTo(page, id);
    await write(page, 'From Ada');
    await rowWith(page, 'From Ada').waitFor();
    await eventually('it is sent', async () => (await textsOf(bob, id)).length === 2);
    const notice = (text: string) => page.getByRole('status').filter({ hasText: text });
    await device(cleo);
    await attempt(bob, 'addMembers', { conversationId: id, userIds: [cleo.id] });
    await bobs.conversation(id).send({ text: 'With Cleo' });
    const added = notice(`${cleo.username} can read “Plans” from now on.`);
    await added.waitFor();
    expect(await violationsInAllThemes(page, 'added')).toEqual([]);
    await added.getByRole('button', { name: 'Close' }).click();
    await added.waitFor({ state: 'detached' });
    // From now on, Ada receives only the first list of the devices of Bob.
    const query = 'query ($id: ID!) { conversation(id: $id) { members { nodes { user { id deviceList } } } } }';
    const members: { user: { id: string; deviceList: string } }[] = (await ada.ask(query, { id })).conversation.members
      .nodes;
    const deviceList = members.find(({ user }) => user.id === bob.id)?.user.deviceList;
    const change = (text: string) =>
      JSON.stringify(
        JSON.parse(text, (_, value) => {
          const isOfBob = value?.id === bob.id && typeof value.deviceList === 'string';
          return isOfBob ? { ...value, deviceList } : value;
        }),
      );
    await page.route(/graphql/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: change(await response.text()) });
    });
    await page.routeWebSocket(/graphql/, (socket) => {
      const server = socket.connectToServer();
      server.onMessage((data) => socket.send(change(String(data))));
    });
    await page.reload();
    await rowWith(page, 'With Cleo').waitFor();
    await write(page, 'Again from Ada');
    await eventually('it is sent', async () => (await textsOf(bob, id)).length === 4);
    await bobs.changeRecoveryKey({ rotateHistoryKey: true });
    // The commit that adds another device states the second list.
    await device(dan);
    await attempt(bob, 'addMembers', { conversationId: id, userIds: [dan.id] });
    await bobs.conversation(id).send({ text: 'With Dan' });
    await notice(`contradictory information about the devices of ${bob.username}`).waitFor();
    expect(await violationsInAllThemes(page, 'disputed')).toEqual([]);
    expect(adas.errors).toEqual([]);
  });

  it('is readable from right to left on a phone', { timeout: 120_000 }, async () => {
    const { ada, id, bobs } = await meetDevice();
    const adas = await enter(ada);
    await bobs.conversation(id).send({ text: 'مرحبا' });
    await adas.page.setViewportSize({ width: 390, height: 844 });
    await adas.page.evaluate(() => localStorage.setItem('parley.locale', 'ar'));
    await goTo(adas.page, id);
    await adas.page.locator('h1').getByText('مشفّرة').waitFor();
    expect(await violationsInAllThemes(adas.page, 'arabic')).toEqual([]);
    await panel(adas.page).first().click();
    await adas.page.getByText('لا يستطيع قراءة الرسائل المشفّرة').waitFor();
    expect(await violationsInAllThemes(adas.page, 'arabic-details')).toEqual([]);
  });
});

it.skipIf(!browserFound || !servicesFound)(
  'a message is sent once although the node is stopped',
  { timeout: 120_000 },
  async () => {
    const [browser, place] = await Promise.all([startBrowser(), makePlace('postgresql', { web: true })]);
    const nodes = [await place.start(), await place.start()] as const;
    const [first, second] = nodes.map(({ url }) => Number(new URL(url).port)) as [number, number];
    const proxy = await startProxy(first);
    const url = `http://127.0.0.1:${proxy.port}/`;
    const [ada, bob] = await registerAll(nodes[1].url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Before');
    const bobs = await device(bob);
    await bobs.conversation(id).enable();
    const { page } = await openApp(browser, url, ada);
    await setUp(page, url);
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    const texts = Array.from({ length: 12 }, (_, index) => `Message ${index + 1}`);
    for (const [index, text] of texts.entries()) {
      await write(page, text);
      if (index !== 4) continue;
      proxy.pointTo(second);
      await nodes[0].stop();
      proxy.cut();
    }
    const query = `query ($id: ID!) { node(id: $id) { ... on Conversation { messages(last: 50) { nodes { ${encryptedMessageFields} } } } } }`;
    const received = async () => {
      const { nodes: messages } = (await bob.ask(query, { id })).node.messages;
      const sealed = messages.filter(({ encrypted }: EncryptedMessage) => encrypted);
      return Promise.all(
        sealed.map(async (message: EncryptedMessage) => (await bobs.conversation(id).open(message)).content.text),
      );
    };
    await eventually('all are stored', async () => (await received()).length >= texts.length);
    expect(await received()).toEqual(texts);
    await eventually('they are shown as sent', async () => (await page.getByText('Waiting to be sent').count()) === 0);
  },
);

/** The encryption of a user on a device that is not a browser. */
async function device(person: Person, replaceIdentity = false): Promise<E2ee> {
  const e2ee = await openE2ee({
    storage: memoryStorage(),
    locks: memoryLocks(),
    async execute(document, variables) {
      const { data, errors } = await person.request(document, variables);
      if (errors) throw Object.assign(new Error(errors[0]?.message), errors[0]?.extensions);
      return data;
    },
  });
  await e2ee.setUp({ name: 'Phone', replaceIdentity });
  return e2ee;
}
