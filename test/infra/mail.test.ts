import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createMailer, type Mail, type Mailer } from '../../src/infra/mail.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { eventually } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { mailInFolder, startMailServer } from '../support/mail.js';
import { freePort } from '../support/servers.js';

let people = 0;
const mailTo = (to = `reader.${++people}@example.com`): Mail => ({
  to,
  subject: 'A subject',
  text: 'the secret token\n',
  html: '<p>the secret token</p>\n',
});

/** A mailer that retries immediately, and its log; it is closed after the tests. */
function makeMailer(options: Partial<Parameters<typeof createMailer>[0]>): Mailer & { logged(): string } {
  let logged = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      logged += String(chunk);
      done();
    },
  });
  const log = createLog('info', stream);
  const mailer = createMailer({
    smtpUrl: undefined,
    from: { name: 'Chat', address: 'chat@example.com' },
    dataDir: '/nowhere',
    log,
    retryMs: [5, 10],
    ...options,
  });
  atEnd(() => mailer.close());
  return { ...mailer, logged: () => logged };
}

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-mail-'));
  atEnd(() => rm(folder, { recursive: true }));
  return folder;
}

describe('mail over SMTP', () => {
  it.each([
    ['Support: sales', '"Support: sales" <chat@example.com>'],
    ['Chat; Team', '"Chat; Team" <chat@example.com>'],
    ['A, B', '"A, B" <chat@example.com>'],
    ['The "Chat"', '"The \\"Chat\\"" <chat@example.com>'],
    ['', 'chat@example.com'],
  ])('comes from one mailbox, whatever is in its name: %j', async (name, header) => {
    const folder = await makeFolder();
    const mail = mailTo();
    makeMailer({ dataDir: folder, from: { name, address: 'chat@example.com' } }).send(mail);
    const { source } = await mailInFolder(join(folder, 'outbox'), mail.to);
    expect(/^From: (.*)$/m.exec(source)?.[1]).toBe(header);
  });

  it('arrives as text and HTML', async () => {
    const server = await startMailServer();
    const mail = mailTo();
    makeMailer({ smtpUrl: server.url }).send(mail);
    const [{ subject, source } = { subject: '', source: '' }] = await server.until(mail.to);
    expect(subject).toBe('A subject');
    expect(source).toContain('From: Chat <chat@example.com>');
    expect(source).toContain('Auto-Submitted: auto-generated');
    expect(source).toContain('\nthe secret token\n');
    expect(source).toContain('<p>the secret token</p>');
  });

  it('arrives if the server starts after the email was sent', async () => {
    const port = await freePort();
    const mailer = makeMailer({ smtpUrl: `smtp://127.0.0.1:${port}`, retryMs: Array.from({ length: 500 }, () => 20) });
    const mail = mailTo();
    mailer.send(mail);
    await eventually('a try has failed', () => mailer.logged().includes('"code":"ECONNREFUSED"'));
    const server = await startMailServer({ port });
    expect(await server.until(mail.to)).toHaveLength(1);
  });

  it('has the same message id at each attempt', async () => {
    const ids: unknown[] = [];
    const server = await startMailServer({
      answer({ source }) {
        ids.push(/^Message-ID: (.*)$/m.exec(source)?.[1]);
        if (ids.length < 3) throw Object.assign(new Error('later'), { responseCode: 451 });
      },
    });
    const mail = mailTo();
    makeMailer({ smtpUrl: server.url }).send(mail);
    await server.until(mail.to);
    expect(ids).toEqual([expect.stringMatching(/^<.+@example\.com>$/), ids[0], ids[0]]);
  });

  it.each([
    [451, 3],
    [550, 1],
  ])(
    'that is answered with %i is tried %i times, and logged without its content and its recipient',
    async (code, tries) => {
      let count = 0;
      const server = await startMailServer({
        answer({ to }) {
          count += 1;
          throw Object.assign(new Error(`not for ${to}: the secret token`), { responseCode: code });
        },
      });
      const mailer = makeMailer({ smtpUrl: server.url });
      const mail = mailTo();
      mailer.send(mail);
      await eventually('it is given up', () => mailer.logged().includes('failed permanently'));
      expect(count).toBe(tries);
      expect(mailer.logged()).toContain(`"responseCode":${code}`);
      expect(mailer.logged()).not.toContain(mail.to);
      expect(mailer.logged()).not.toContain('secret');
    },
  );

  it('is sent to a single address, whatever characters it contains', async () => {
    const server = await startMailServer();
    const mailer = makeMailer({ smtpUrl: server.url });
    const [one, next] = [mailTo(), mailTo()];
    mailer.send(mailTo(`${one.to}, other@example.com`));
    mailer.send(next);
    await server.until(next.to);
    await mailer.close();
    expect(server.to(one.to)).toEqual([]);
    expect(server.to('other@example.com')).toEqual([]);
  });

  it('is dropped after too many emails to one address', async () => {
    const server = await startMailServer();
    const mailer = makeMailer({ smtpUrl: server.url });
    const flood = mailTo();
    for (let count = 0; count < 25; count += 1) mailer.send(flood);
    await eventually('the emails are sent', () => server.to(flood.to).length >= 20);
    await mailer.close();
    expect(server.to(flood.to)).toHaveLength(20);
    expect(mailer.logged()).toContain('too many emails to its address');
  });

  it('is dropped when a thousand emails are queued', async () => {
    const mailer = makeMailer({ smtpUrl: 'smtp://127.0.0.1:9', retryMs: [], closeMs: 1 });
    for (let count = 0; count < 1_001; count += 1) mailer.send(mailTo());
    expect(mailer.logged().match(/email dropped: the queue is full/g)).toHaveLength(1);
  });
});

/** How long a mailer takes at most to close, in milliseconds, where a slow machine must not matter. */
const PATIENT_MS = 60_000;

describe('closing the mailer', () => {
  it('waits until queued emails have been sent', async () => {
    const server = await startMailServer();
    const mailer = makeMailer({ smtpUrl: server.url, closeMs: PATIENT_MS });
    const mails = Array.from({ length: 12 }, () => mailTo());
    for (const mail of mails) mailer.send(mail);
    await mailer.close();
    for (const { to } of mails) expect(server.to(to)).toHaveLength(1);
  });

  it('retries delayed emails once, immediately', async () => {
    const port = await freePort();
    const mailer = makeMailer({ smtpUrl: `smtp://127.0.0.1:${port}`, closeMs: PATIENT_MS, retryMs: [3_600_000] });
    const mail = mailTo();
    mailer.send(mail);
    await eventually('a try has failed', () => mailer.logged().includes('retrying'));
    const server = await startMailServer({ port });
    await mailer.close();
    expect(server.to(mail.to)).toHaveLength(1);
  });

  it('stops waiting after its time limit, and logs the number of unsent emails', async () => {
    let asked = false;
    const server = await startMailServer({
      answer() {
        asked = true;
        throw Object.assign(new Error('later'), { responseCode: 451 });
      },
    });
    const mailer = makeMailer({ smtpUrl: server.url, closeMs: 1, retryMs: [3_600_000] });
    mailer.send(mailTo());
    await eventually('a try has failed', () => asked && mailer.logged().includes('retrying'));
    await mailer.close();
    expect(mailer.logged()).toContain('"undone":1');
  });
});

describe('mail without an SMTP server', () => {
  it('is written to a file readable by its owner only, and logged without its content', async () => {
    const dataDir = await makeFolder();
    const mailer = makeMailer({ dataDir });
    const mail = mailTo();
    mailer.send(mail);
    const outbox = join(dataDir, 'outbox');
    expect((await mailInFolder(outbox, mail.to)).source).toContain('the secret token');
    await mailer.close();
    const [name = ''] = await readdir(outbox);
    expect(name).toMatch(/\.eml$/);
    expect((await stat(outbox)).mode & 0o777).toBe(0o700);
    expect((await stat(join(outbox, name))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(outbox, name), 'utf8')).toContain('\r\n\r\n');
    expect(mailer.logged()).toContain(JSON.stringify(join(outbox, name)));
    expect(mailer.logged()).not.toContain('secret');
    expect(mailer.logged()).not.toContain(mail.to);
  });

  it('is logged as not sent if the directory cannot be created', async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, 'file'), '');
    const mailer = makeMailer({ dataDir: join(folder, 'file') });
    mailer.send(mailTo());
    await eventually('it is given up', () => mailer.logged().includes('failed permanently'));
    expect(mailer.logged()).toContain('"code":"ENOTDIR"');
    expect(mailer.logged()).not.toContain('secret');
  });
});
