import { randomUUID } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { type BackgroundCounts, createBackground } from './async/background.js';
import { createCache } from './cache.js';
import type { Mailbox } from './config/mailbox.js';
import { writeFileAtomically } from './database/data-dir.js';
import type { Logger } from './telemetry/log.js';

/** The content and the recipient of an email. */
export interface Mail {
  /** A single address. */
  to: string;
  subject: string;
  text: string;
  html: string;
  /** Further headers. */
  headers?: Record<string, string>;
}

export interface Mailer {
  /**
   * Queues an email and returns at once; it never throws. Failed attempts are retried for about 45 minutes. An email
   * that cannot be sent is logged without its address and content.
   */
  send(mail: Mail): void;
  /** The outcomes so far. `dropped` counts emails that exceeded the limit per address. */
  readonly counts: BackgroundCounts & { readonly dropped: number };
  /** Resolves when all queued emails have been sent, or after `CLOSE_MS`. */
  close(): Promise<void>;
}

/** The delays before retries. Together they are shorter than the default lifetime of a link that resets a password. */
const RETRY_MS = [1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000];
/** The maximum number of emails that are queued or being sent. Further emails are not sent. */
const WAITING_MAX = 1_000;
/** The maximum number of concurrent connections to the SMTP server. */
const CONNECTIONS_MAX = 4;
const CLOSE_MS = 5_000;
/**
 * The maximum number of emails to one address per hour and node, so that nobody can flood an address through this
 * server.
 */
const PER_ADDRESS_MAX = 20;
const HOUR_MS = 3_600_000;
/** The time limits of the steps of an SMTP session. */
const timeouts = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000 };
/** Prevents nodemailer from reading files and URLs that are named in an email. */
const noExternalContent = { disableFileAccess: true, disableUrlAccess: true };

/** Creates a mailer that uses SMTP, or without `smtpUrl` writes .eml files to DATA_DIR/outbox. */
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
    atOnce: CONNECTIONS_MAX,
    waitingMax: WAITING_MAX,
    retryMs,
    isFinal: isPermanentFailure,
    closeMs,
    log,
  });
  let dropped = 0;
  const sentTo = createCache<number>(100_000, { ttl: HOUR_MS, noUpdateTTL: true });
  return {
    send({ to, headers, ...content }) {
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
        // An object, because a text could be parsed as a list of addresses.
        to: { name: '', address: to },
        // The same for all attempts, so that a server that accepted the email, but whose response was lost, can detect
        // the duplicate.
        messageId: `<${randomUUID()}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`,
        date: new Date(),
        // RFC 3834: prevents automatic replies.
        headers: { 'Auto-Submitted': 'auto-generated', ...headers },
      };
      if (!background.run(() => deliver(mail))) log.error('email dropped: the queue is full');
    },
    get counts() {
      return { ...background.counts, dropped };
    },
    close: () => background.close(),
  };
}

/** Whether the SMTP server rejected the email permanently. */
const isPermanentFailure = (error: unknown): boolean =>
  Number((error as { responseCode?: unknown })?.responseCode) >= 500;

function overSmtp(url: string): (mail: SendMailOptions) => Promise<void> {
  const transport = createTransport({ url, ...timeouts, ...noExternalContent });
  return async (mail) => void (await transport.sendMail(mail));
}

/** Writes emails as files that only the owner can read, because their links grant access to accounts. */
function toFolder(folder: string, log: Logger): (mail: SendMailOptions) => Promise<void> {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows', ...noExternalContent });
  return async (mail) => {
    const { message } = await transport.sendMail(mail);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    const name = `${new Date().toISOString().replaceAll(':', '-')}-${randomUUID().slice(0, 8)}`;
    const path = join(folder, `${name}.eml`);
    // A buffer, because the transport was created with `buffer: true`.
    await writeFileAtomically(path, message as Buffer);
    log.info({ path }, 'email written to a file, because SMTP_URL is not set');
  };
}
