#!/usr/bin/env node
// Measures in Chromium how long packages/e2ee takes to open a page of encrypted messages, and to encrypt one:
// `node bench/web/encryption.mjs`. The device has the key of the epoch, as it does for all messages but the first of an epoch.
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { chromium } from 'playwright-core';
import { build } from 'vite';

const MESSAGES = 500;
const ROUNDS = 9;
const source = (name) => JSON.stringify(resolve('packages/e2ee/src', `${name}.ts`));
const entry = 'virtual:page';
const code = `
import { openE2ee, indexedDbStorage } from ${source('index')};
import { sealContent } from ${source('content')};
import { ed25519Pair } from ${source('crypto')};
import { createAccountKeys, issueCertificate } from ${source('identity')};
import { randomBytes, toBase64Url } from ${source('bytes')};

/** Makes a page of messages that another device has sent, and a device that can open them. */
async function prepare(count) {
  const storage = await indexedDbStorage('measured' + Math.random());
  const answers = {
    E2eeAccount: { viewer: { user: { id: 'me' }, accountKeys: null } },
    E2eeSetAccountKeys: {},
    E2eeRegisterDevice: { registerDevice: { device: { id: 'device' } } },
    E2eePublishKeyPackages: { publishKeyPackages: { remaining: 30 } },
  };
  const execute = async (document) => answers[/(?:query|mutation) (\\w+)/.exec(document)[1]];
  const e2ee = await openE2ee({ storage, execute });
  await e2ee.setUp();
  const [account, signature, content] = [await createAccountKeys(), await ed25519Pair(), await ed25519Pair()];
  const keys = { userId: 'other', signatureKey: signature.publicKey, contentKey: content.publicKey };
  const certificate = toBase64Url(await issueCertificate(account, keys));
  const epochKey = randomBytes(32);
  await storage.write({ 'key:conversation:1:1': [epochKey] });
  const device = { id: 'sender', signatureKey: toBase64Url(signature.publicKey), certificate, user: { id: 'other' } };
  const started = performance.now();
  const messages = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const clientMessageId = 'message ' + index;
      const place = { conversationId: 'conversation', generation: 1, epoch: 1, deviceId: 'sender', clientMessageId, version: 1 };
      const sealed = await sealContent(epochKey, content.privateKey, place, { text: 'The text of a message. '.repeat(1 + (index % 8)) });
      const encrypted = { generation: 1, epoch: 1, content: toBase64Url(sealed), device };
      return { id: clientMessageId, clientMessageId, conversation: { id: 'conversation' }, sender: { id: 'other' }, replyTo: null, editedAt: null, encrypted };
    }),
  );
  const sealing = performance.now() - started;
  return { e2ee, messages, sealing };
}

window.measure = async (count) => {
  const { e2ee, messages, sealing } = await prepare(count);
  const started = performance.now();
  const opened = await Promise.all(messages.map((message) => e2ee.conversation('conversation').open(message)));
  const opening = performance.now() - started;
  if (opened.some(({ content }) => !content.text.startsWith('The text'))) throw new Error('wrong text');
  e2ee.close();
  return { opening, sealing };
};
`;

const result = await build({
  configFile: false,
  logLevel: 'error',
  plugins: [
    { name: 'page', resolveId: (id) => (id === entry ? id : null), load: (id) => (id === entry ? code : null) },
  ],
  build: { write: false, target: 'es2022', rolldownOptions: { input: entry, output: { codeSplitting: false } } },
});
const script = result.output[0].code;
const server = createServer((request, response) => {
  const isScript = request.url === '/page.js';
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
  response.end(isScript ? script : '<!doctype html><script type="module" src="/page.js"></script>');
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.measure !== undefined);
  const runs = [];
  for (let round = 0; round < ROUNDS; round++)
    runs.push(await page.evaluate((count) => window.measure(count), MESSAGES));
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const opening = runs.map((run) => run.opening);
  console.log(`Chromium ${browser.version()}, ${MESSAGES} messages, ${ROUNDS} rounds`);
  console.log(
    `opening: ${opening.map((value) => value.toFixed(0)).join(', ')} ms, median ${median(opening).toFixed(0)} ms`,
  );
  console.log(`sealing: median ${median(runs.map((run) => run.sealing)).toFixed(0)} ms`);
} finally {
  await browser.close();
  server.close();
}
