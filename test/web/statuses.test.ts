import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { violations } from '../support/axe.js';
import { browserFound } from '../support/browser.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { makePicture, makeVideo } from '../support/media.js';
import { makePlace, modes } from '../support/place.js';
import { befriend, postStatus, statusesOfAuthor } from '../support/status-posts.js';
import { attempt } from '../support/talk.js';
import { openApp, startApp } from '../support/web-app.js';
import { openComposer, postText, strip, viewer } from '../support/web-statuses.js';
import { recordVideo } from '../support/web-videos.js';

describe.skipIf(!browserFound)('statuses in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp({ STATUS_VIDEO_MAX: '3s' }));
  });

  /** The users of a test, who are all contacts of each other. */
  async function friends<Names extends string[]>(...names: Names) {
    const people = await registerAll(node.url, ...names);
    await befriend(...people);
    return people;
  }
  const still = { reducedMotion: 'reduce' } as const;
  const entry = (page: Page, { username }: Person, count = 1) =>
    strip(page).getByRole('button', { name: `${username}, ${count} status` });
  /** Opens the statuses of another user. */
  async function openStatuses(page: Page, author: Person): Promise<Locator> {
    await entry(page, author).click();
    const shown = viewer(page, author.username);
    await shown.waitFor();
    return shown;
  }
  const shows = (shown: Locator, text: string) =>
    shown.locator('p[dir=auto]').getByText(text, { exact: true }).waitFor();
  const isLoaded = (image: Locator) =>
    eventually('the image is loaded', () =>
      image.evaluate((element) => (element as HTMLImageElement).naturalWidth > 0),
    );

  it('post a photo with a caption, which others see when it has been processed', { timeout: 90_000 }, async () => {
    const [ada, bob] = await friends('ada', 'bob');
    const [adas, bobs] = [await openApp(browser, url, ada, undefined, still), await openApp(browser, url, bob)];
    // No node processes the files of this user before `release` is called.
    const { db } = node.deps.database;
    await db.$executeRawUnsafe(`
      CREATE FUNCTION hold_file() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.claimed_until := now() + interval '10 minutes'; RETURN NEW; END $$`);
    await db.$executeRawUnsafe(`
      CREATE TRIGGER hold_file BEFORE UPDATE ON attachments FOR EACH ROW
      WHEN (OLD.state = 'UPLOADING' AND NEW.state = 'PROCESSING' AND NEW.uploader_id = '${rowId(ada.id)}')
      EXECUTE FUNCTION hold_file()`);
    const release = () =>
      db.attachment.updateMany({ where: { uploaderId: rowId(ada.id) }, data: { claimedUntil: new Date(0) } });
    const { page } = adas;
    const composer = await openComposer(page);
    const photo = { name: 'summit.jpg', mimeType: 'image/jpeg', buffer: await makePicture('jpeg') };
    await composer.locator('input[type=file]').setInputFiles(photo);
    await isLoaded(composer.getByRole('img', { name: 'Photo or video' }));
    await composer.getByRole('textbox', { name: 'Add a caption' }).fill('On the summit');
    await composer.getByRole('textbox', { name: /^Description/ }).fill('A mountain in the sun');
    await composer.getByRole('button', { name: 'Post' }).click();
    await composer.waitFor({ state: 'detached' });
    await strip(page).getByRole('button', { name: 'My status, 1 update' }).click();
    const own = viewer(page, ada.username);
    await shows(own, 'On the summit');
    expect(await statusesOfAuthor(ada, 'attachment { state }')).toEqual([{ attachment: { state: 'PROCESSING' } }]);
    await page.reload();
    await strip(page).getByRole('button', { name: 'My status, 1 update' }).click();
    await own.getByText('The file is being processed. Only you can see this status until then.').waitFor();
    expect(await entry(bobs.page, ada).count()).toBe(0);
    await release();
    await isLoaded(own.getByRole('img', { name: 'A mountain in the sun' }));
    const shown = await openStatuses(bobs.page, ada);
    await isLoaded(shown.getByRole('img', { name: 'A mountain in the sun' }));
    await shows(shown, 'On the summit');
    await own.getByRole('button', { name: 'Seen by 1 person' }).waitFor();
    expect([...adas.errors, ...bobs.errors]).toEqual([]);
  });

  it('post a video, which is played once, and refuse one that is too long', { timeout: 90_000 }, async () => {
    const [ada, bob] = await friends('ada', 'bob');
    const [adas, bobs] = [await openApp(browser, url, ada), await openApp(browser, url, bob)];
    const composer = await openComposer(adas.page);
    const choose = (buffer: Buffer) =>
      composer.locator('input[type=file]').setInputFiles({ name: 'film.webm', mimeType: 'video/webm', buffer });
    await choose(await makeVideo('webm', 50));
    await adas.page.getByText('A video can last at most 3 seconds.').waitFor();
    expect(await composer.getByRole('textbox', { name: 'Text of the status' }).isVisible()).toBe(true);
    await choose(await recordVideo(adas.page, 'video/webm;codecs=vp8'));
    await composer.getByRole('button', { name: 'Remove the file' }).waitFor();
    await composer.getByRole('button', { name: 'Post' }).click();
    const shown = await openStatuses(bobs.page, ada);
    const video = shown.locator('video');
    await eventually('the video is played', () =>
      video.evaluate((element) => (element as HTMLVideoElement).currentTime > 0),
    );
    await bobs.page.keyboard.press(' ');
    await eventually('the video is paused', () => video.evaluate((element) => (element as HTMLVideoElement).paused));
    await shown.getByRole('button', { name: 'Turn the sound off' }).click();
    expect(await video.evaluate((element) => (element as HTMLVideoElement).muted)).toBe(true);
    await shown.getByRole('button', { name: 'Play' }).click();
    // The last status of all closes the viewer.
    await shown.waitFor({ state: 'detached' });
    expect([...adas.errors, ...bobs.errors]).toEqual([]);
  });

  it('show exactly who will see a status, and show it to nobody else', { timeout: 60_000 }, async () => {
    const [ada, bob, eve] = await friends('ada', 'bob', 'eve');
    // Only one of them has the other as a contact.
    const [carl] = await registerAll(node.url, 'carl');
    await attempt(ada, 'addContact', { userId: carl.id });
    const [adas, bobs, eves] = [
      await openApp(browser, url, ada),
      await openApp(browser, url, bob),
      await openApp(browser, url, eve),
    ];
    const { page } = adas;
    const composer = await openComposer(page);
    await composer.getByRole('textbox', { name: 'Text of the status' }).fill('Not for everybody');
    await composer.getByRole('button', { name: /^My contacts/ }).click();
    const picker = page.getByRole('dialog', { name: 'Who can see it' });
    const preview = picker.getByRole('list');
    await picker.getByRole('status').getByText('Exactly 2 people will see it').waitFor();
    expect((await preview.getByRole('listitem').allInnerTexts()).join()).not.toContain(carl.username);
    await picker.getByRole('radio', { name: 'My contacts except…' }).check();
    await picker.getByRole('searchbox').fill(eve.username.toUpperCase());
    expect(await picker.getByRole('checkbox', { name: bob.username }).count()).toBe(0);
    await picker.getByRole('checkbox', { name: eve.username }).check();
    await picker.getByRole('status').getByText('Exactly 1 person will see it').waitFor();
    expect(await preview.locator('bdi').allInnerTexts()).toEqual([bob.username]);
    await picker.getByRole('button', { name: 'Done' }).click();
    await composer.getByRole('button', { name: 'My contacts except… · 1 person' }).waitFor();
    await composer.getByRole('button', { name: 'Post' }).click();
    await composer.waitFor({ state: 'detached' });
    await entry(bobs.page, ada).waitFor();
    // The next one has the default audience again. When it arrives, the first one would have arrived as well.
    await postText(page, 'For all');
    await entry(bobs.page, ada, 2).waitFor();
    await shows(await openStatuses(eves.page, ada), 'For all');
    expect(await viewer(eves.page, ada.username).getByText('1 of 2').count()).toBe(0);
    expect(await eves.page.getByText('Not for everybody').count()).toBe(0);
    expect([...adas.errors, ...bobs.errors, ...eves.errors]).toEqual([]);
  });

  it('are viewed with the keyboard, with taps and swipes', { timeout: 60_000 }, async () => {
    const [ada, bob, eve] = await friends('ada', 'bob', 'eve');
    await postStatus(ada, { text: 'first of Ada' });
    for (const text of ['one', 'two', 'three']) await postStatus(eve, { text });
    const { page, errors } = await openApp(browser, url, bob);
    await entry(page, eve, 3).click();
    const shown = viewer(page, eve.username);
    await shows(shown, 'one');
    const running = page.locator('dialog[open] [data-running]');
    await running.waitFor();
    await page.keyboard.press(' ');
    await running.waitFor({ state: 'detached' });
    await page.keyboard.press('ArrowRight');
    await shows(shown, 'two');
    await page.keyboard.press('ArrowLeft');
    await shows(shown, 'one');
    await page.keyboard.press(' ');
    await running.waitFor();
    // It waits while a reply is written. Escape leaves the field first.
    await shown.getByRole('textbox').fill('Nice');
    await running.waitFor({ state: 'detached' });
    await page.keyboard.press('ArrowRight');
    await shows(shown, 'one');
    await page.keyboard.press('Escape');
    expect(await shown.getByRole('textbox').inputValue()).toBe('Nice');
    await shown.getByRole('textbox').fill('');
    await page.keyboard.press('Escape');
    await running.waitFor();
    await page.keyboard.press(' ');
    const stage = page.locator('dialog[open] [data-stage]');
    const { x, y, width, height } = (await stage.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
    const [left, right, middle] = [x + width * 0.2, x + width * 0.8, y + height / 2];
    await page.mouse.click(right, middle);
    await shows(shown, 'two');
    await page.mouse.click(left, middle);
    await shows(shown, 'one');
    const swipe = async (from: number, to: number) => {
      await page.mouse.move(from, middle);
      await page.mouse.down();
      await page.mouse.move(to, middle, { steps: 4 });
      await page.mouse.up();
    };
    await swipe(right, left);
    await shows(viewer(page, ada.username), 'first of Ada');
    // The statuses of a user begin with the first unviewed one.
    await swipe(left, right);
    await shows(shown, 'three');
    await page.keyboard.press('Escape');
    await shown.waitFor({ state: 'detached' });
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toContain(eve.username);
    expect(errors).toEqual([]);
  });

  it('are muted and shown again, on all devices', { timeout: 60_000 }, async () => {
    const [ada, bob] = await friends('ada', 'bob');
    await postStatus(ada, { text: 'Again and again' });
    const [one, two] = [await openApp(browser, url, bob, undefined, still), await openApp(browser, url, bob)];
    const shown = await openStatuses(one.page, ada);
    await shown.getByRole('button', { name: `Mute the statuses of ${ada.username}` }).click();
    await shown.waitFor({ state: 'detached' });
    for (const { page } of [one, two]) {
      await strip(page)
        .getByRole('button', { name: `${ada.username}, 1 status, muted` })
        .waitFor();
    }
    const again = await openStatuses(two.page, ada);
    await again.getByRole('button', { name: `Show the statuses of ${ada.username} again` }).click();
    for (const { page } of [one, two]) {
      await strip(page).getByRole('button', { name: ', muted' }).waitFor({ state: 'detached' });
      await entry(page, ada).waitFor();
    }
    expect([...one.errors, ...two.errors]).toEqual([]);
  });

  it('are deleted by their author, also while others view them', { timeout: 60_000 }, async () => {
    const [ada, bob] = await friends('ada', 'bob');
    await postStatus(ada, { text: 'A mistake' });
    const [adas, bobs] = [await openApp(browser, url, ada), await openApp(browser, url, bob, undefined, still)];
    const shown = await openStatuses(bobs.page, ada);
    await shows(shown, 'A mistake');
    await strip(adas.page).getByRole('button', { name: 'My status, 1 update' }).click();
    const own = viewer(adas.page, ada.username);
    await own.getByRole('button', { name: 'Delete this status' }).click();
    const asked = adas.page.getByRole('alertdialog').or(adas.page.getByRole('dialog', { name: 'Delete this status?' }));
    await asked.getByRole('button', { name: 'Delete this status' }).click();
    await own.waitFor({ state: 'detached' });
    await shown.waitFor({ state: 'detached' });
    await strip(adas.page).getByRole('button', { name: 'My status, 1 update' }).waitFor({ state: 'detached' });
    await entry(bobs.page, ada).waitFor({ state: 'detached' });
    expect(await statusesOfAuthor(ada)).toEqual([]);
    expect([...adas.errors, ...bobs.errors]).toEqual([]);
  });

  it('end when they expire, even while they are displayed', { timeout: 90_000 }, async () => {
    const short = await (await makePlace(modes.at(-1) ?? 'embedded', { web: true })).start({ STATUS_TTL: '12s' });
    const [ada, bob] = await registerAll(short.url, 'ada', 'bob');
    await befriend(ada, bob);
    const { page, errors } = await openApp(browser, short.webUrl ?? '', bob, undefined, still);
    await strip(page).waitFor();
    await postStatus(ada, { text: 'Soon gone' });
    const shown = await openStatuses(page, ada);
    await shows(shown, 'Soon gone');
    // Nothing moves, so that it is closed only because it has expired.
    expect(await page.locator('dialog[open] [data-running]').count()).toBe(0);
    expect(await statusesOfAuthor(ada)).toHaveLength(1);
    await shown.waitFor({ state: 'detached' });
    await entry(page, ada).waitFor({ state: 'detached' });
    await eventually('it has expired for its author', async () => (await statusesOfAuthor(ada)).length === 0);
    expect(errors).toEqual([]);
  });

  it('do not move with reduced motion before the user presses play', { timeout: 60_000 }, async () => {
    const [ada, bob] = await friends('ada', 'bob');
    await postStatus(ada, { text: 'Still' });
    const { page, errors } = await openApp(browser, url, bob, undefined, still);
    const shown = await openStatuses(page, ada);
    await shows(shown, 'Still');
    const card = shown.locator('[data-running]');
    expect(await card.count()).toBe(0);
    await shown.getByRole('button', { name: 'Play' }).click();
    await card.waitFor();
    await shown.waitFor({ state: 'detached' });
    expect(errors).toEqual([]);
  });

  it('are mirrored in Arabic', { timeout: 60_000 }, async () => {
    const [ada, bob] = await friends('ada', 'bob');
    for (const text of ['one', 'two']) await postStatus(ada, { text });
    const { page, errors } = await openApp(browser, url, bob, undefined, still);
    await strip(page).waitFor();
    await page.evaluate(() => localStorage.setItem('parley.locale', 'ar'));
    await page.reload();
    const entries = page.locator('section ul > li button[aria-haspopup=dialog]');
    await eventually('both entries are shown', async () => (await entries.count()) === 2);
    const lefts = await entries.evaluateAll((all) => all.map((each) => each.getBoundingClientRect().left));
    expect(lefts[0]).toBeGreaterThan(lefts[1] as number);
    await entries.nth(1).click();
    const shown = page.locator('dialog[open]');
    await shows(shown, 'one');
    await page.keyboard.press('ArrowLeft');
    await shows(shown, 'two');
    await page.keyboard.press('ArrowRight');
    await shows(shown, 'one');
    const { x, y, width, height } = (await shown.locator('[data-stage]').boundingBox()) as {
      x: number;
      y: number;
      width: number;
      height: number;
    };
    await page.mouse.click(x + width * 0.2, y + height / 2);
    await shows(shown, 'two');
    expect(await violations(page)).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('wait on the device without a connection, and are posted once afterwards', { timeout: 60_000 }, async () => {
    const [ada, bob] = await friends('ada', 'bob');
    const [adas, bobs] = [await openApp(browser, url, ada), await openApp(browser, url, bob)];
    const { page } = adas;
    const composer = await openComposer(page);
    await page.context().setOffline(true);
    await composer.getByRole('textbox', { name: 'Text of the status' }).fill('From the tunnel');
    await composer.getByRole('button', { name: 'Post' }).click();
    await composer.waitFor({ state: 'detached' });
    const waiting = strip(page).getByRole('list', { name: 'Statuses being posted' });
    await waiting.getByText('From the tunnel').waitFor();
    expect(await statusesOfAuthor(ada)).toEqual([]);
    await page.context().setOffline(false);
    await waiting.waitFor({ state: 'detached' });
    await shows(await openStatuses(bobs.page, ada), 'From the tunnel');
    expect((await statusesOfAuthor(ada)).map(({ text }) => text)).toEqual(['From the tunnel']);
    expect([...adas.errors, ...bobs.errors].filter((error) => !/ERR_INTERNET_DISCONNECTED/.test(error))).toEqual([]);
  });

  it.each([
    ['light', 390],
    ['dark', 390],
    ['light', 1280],
    ['dark', 1280],
    ['contrast', 1280],
  ] as const)('are accessible: %s, %i pixels wide', { timeout: 120_000 }, async (theme, width) => {
    const [ada, bob, eve] = await friends('ada', 'bob', 'eve');
    const text = 'A long day in the mountains, and then soup for everybody.';
    await postStatus(ada, { text, style: 'forest' });
    await postStatus(bob, { text: 'Seen' });
    const options = {
      colorScheme: theme === 'contrast' ? 'light' : theme,
      viewport: { width, height: 800 },
      ...still,
      prepare: (context: BrowserContext) => context.addInitScript(`localStorage['parley.theme'] = '${theme}'`),
    } as const;
    const { page, errors } = await openApp(browser, url, bob, undefined, options);
    await entry(page, ada).waitFor();
    expect(await violations(page)).toEqual([]);
    const shown = await openStatuses(page, ada);
    await shows(shown, text);
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await strip(page).getByRole('button', { name: 'My status, 1 update' }).click();
    await viewer(page, bob.username)
      .getByRole('button', { name: /^Seen by/ })
      .click();
    await page
      .getByRole('dialog', { name: 'Seen by 0 people' })
      .getByText('Nobody has seen this status yet.')
      .waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await viewer(page, bob.username).waitFor({ state: 'detached' });
    const composer = await openComposer(page);
    await composer.getByRole('textbox', { name: 'Text of the status' }).fill(text);
    await composer.getByRole('button', { name: 'My contacts · 2 people' }).waitFor();
    expect(await violations(page)).toEqual([]);
    const photo = { name: 'summit.jpg', mimeType: 'image/jpeg', buffer: await makePicture('jpeg') };
    await composer.locator('input[type=file]').setInputFiles(photo);
    await isLoaded(composer.getByRole('img', { name: 'Photo or video' }));
    expect(await violations(page)).toEqual([]);
    await composer.getByRole('button', { name: /^My contacts/ }).click();
    const picker = page.getByRole('dialog', { name: 'Who can see it' });
    await picker.getByRole('radio', { name: 'My contacts except…' }).check();
    await picker.getByRole('checkbox', { name: eve.username }).check();
    await picker.getByRole('status').getByText('Exactly 1 person will see it').waitFor();
    expect(await violations(page)).toEqual([]);
    // A short list of contacts is shown completely; if there is little space, the whole dialog is scrolled.
    const hidden = await picker.getByRole('checkbox', { name: eve.username }).evaluate((checkbox) => {
      const list = checkbox.closest('label')?.parentElement as HTMLElement;
      return list.scrollHeight - list.clientHeight;
    });
    expect(hidden).toBe(0);
    expect(errors).toEqual([]);
  });
});
