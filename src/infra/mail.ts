import { randomUUID } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { type BackgroundCounts, createBackground } from './async/background.js';
import type { Mailbox } from './config/mailbox.js';
import { putWhole } from './database/data-dir.js';
import type { Logger } from './telemetry/log.js';

/** A mail as its reader sees it. */
export interface Mail {
  /** One address. */
  to: string;
  subject: string;
  text: string;
  html: string;
}

export interface Mailer {
  /**
   * Takes a mail on and returns at once; it never throws. A server that is away is tried again for three quarters of an
   * hour; what cannot be sent is logged, without the address and what the mail says.
   */
  send(mail: Mail): void;
  /** What became of them; `dropped` are those of an address that was sent too many. */
  readonly counts: BackgroundCounts & { readonly dropped: number };
  /** Resolves when what was taken on is sent, or `CLOSE_MS` are over. */
  close(): Promise<void>;
}

/** Waits before each further try: together less than a mail for a reset is good for by default. */
const RETRY_MS = [1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000];
/** Mails that are under way or wait; one more is not sent. */
const WAITING_MAX = 1_000;
/** Connections to the server at once. */
const AT_ONCE = 4;
const CLOSE_MS = 5_000;
/** Whatever happens, one address gets no more mails within an hour from a node: else it could be flooded by way of us. */
const PER_ADDRESS_MAX = 20;
const HOUR_MS = 3_600_000;
/** How long the server may take for each step. */
const timeouts = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000 };
/** Nothing of a mail is read from files or other servers. */
const sealed = { disableFileAccess: true, disableUrlAccess: true };

/** Mails over SMTP, or without a server as .eml files in DATA_DIR/outbox. */
export function createMailer({
  smtpUrl,
  from,
  dataDir,
  log,
  retryMs = RETRY_MS,
  closeMs = CLOSE_MS,
}: {
  smtpUrl: string | undefined;
  from: Mailbox;
  dataDir: string;
  log: Logger;
  retryMs?: readonly number[];
  closeMs?: number;
}): Mailer {
  const deliver = smtpUrl === undefined ? toFolder(join(dataDir, 'outbox'), log) : overSmtp(smtpUrl);
  const background = createBackground({
    name: 'mail',
    atOnce: AT_ONCE,
    waitingMax: WAITING_MAX,
    retryMs,
    isFinal: isRefusal,
    closeMs,
    log,
  });
  let dropped = 0;
  const sentTo = new LRUCache<string, number>({
    // `max` would allocate room for all addresses at the start of the node.
    maxSize: 100_000,
    sizeCalculation: () => 1,
    ttl: HOUR_MS,
    noUpdateTTL: true,
  });
  return {
    send({ to, ...content }) {
      const before = sentTo.get(to) ?? 0;
      if (before >= PER_ADDRESS_MAX) {
        dropped += 1;
        log.warn('email dropped: too many emails to its address within an hour');
        return;
      }
      sentTo.set(to, before + 1);
      const mail: SendMailOptions = {
        ...content,
        from,
        // Not as a text, which could hold a list of them.
        to: { name: '', address: to },
        // Of all tries the same: a server that took it already, and whose answer was lost, can tell.
        messageId: `<${randomUUID()}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`,
        date: new Date(),
        // RFC 3834: nobody is to answer this by a machine.
        headers: { 'Auto-Submitted': 'auto-generated' },
      };
      if (!background.run(() => deliver(mail))) log.error('email dropped: the queue is full');
    },
    get counts() {
      return { ...background.counts, dropped };
    },
    close: () => background.close(),
  };
}

/** Whether the server said for good that it will not have it. */
const isRefusal = (error: unknown): boolean => Number((error as { responseCode?: unknown })?.responseCode) >= 500;

function overSmtp(url: string): (mail: SendMailOptions) => Promise<void> {
  const transport = createTransport({ url, ...timeouts, ...sealed });
  return async (mail) => void (await transport.sendMail(mail));
}

/** Readable by the owner only: what is in a mail lets its reader into an account. */
function toFolder(folder: string, log: Logger): (mail: SendMailOptions) => Promise<void> {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows', ...sealed });
  return async (mail) => {
    const { message } = await transport.sendMail(mail);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    const name = `${new Date().toISOString().replaceAll(':', '-')}-${randomUUID().slice(0, 8)}`;
    const path = join(folder, `${name}.eml`);
    // The transport has a buffer, for `buffer: true` says so.
    await putWhole(path, message as Buffer);
    log.info({ path }, 'email written to a file, because SMTP_URL is not set');
  };
}
