import { readdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { eventually } from './client.js';
import { atEnd } from './ending.js';
import type { Place } from './place.js';

/** An email as received by a server or written to a file. */
export interface Received {
  to: string[];
  subject: string;
  /** The whole email, decoded. */
  source: string;
}

/** An SMTP server that stores the emails it receives. */
export interface MailServer {
  /** For SMTP_URL. */
  url: string;
  /** The emails to this address so far. */
  to(address: string): Received[];
  /** Resolves with the emails to this address when there are `count` of them. */
  until(address: string, count?: number): Promise<Received[]>;
  close(): Promise<void>;
}

/**
 * Starts a server on this port or a free one. `answer` can reject an email by throwing an error with a `responseCode`.
 */
export async function startMailServer({
  port = 0,
  answer = () => {},
  end = atEnd,
}: {
  port?: number;
  /** Registers its end: by default at the end of the current test. */
  end?: typeof atEnd;
  answer?: (mail: Received) => void;
} = {}): Promise<MailServer> {
  const mails: Received[] = [];
  const server = new SMTPServer({
    authOptional: true,
    // Clients would not trust the certificate of a test.
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    logger: false,
    closeTimeout: 100,
    onData(stream, session, done) {
      let source = '';
      stream.on('data', (chunk: Buffer) => {
        source += chunk.toString();
      });
      stream.on('end', () => {
        const mail = received(
          session.envelope.rcptTo.map(({ address }) => address),
          source,
        );
        try {
          answer(mail);
          mails.push(mail);
          done();
        } catch (error) {
          done(error as Error);
        }
      });
    },
  });
  // Ignores clients that disconnect unexpectedly.
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= new Promise<void>((resolve) => server.close(resolve)));
  end(close);
  const to = (address: string) => mails.filter((mail) => mail.to.includes(address));
  return {
    url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    to,
    async until(address, count = 1) {
      await eventually(`${count} mails to ${address}`, () => to(address).length >= count);
      return to(address);
    },
    close,
  };
}

function received(to: string[], encoded: string): Received {
  const source = encoded
    .replaceAll('\r\n', '\n')
    .replaceAll('=\n', '')
    .replace(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return { to, source, subject: /^Subject: (.*)$/m.exec(source)?.[1] ?? '' };
}

/** The token in an email: on a line of its own, or after `token=`. */
export function tokenOf({ source }: Received): string {
  const token = /(?:^|token=)([\w-]{43})$/m.exec(source)?.[1];
  if (token === undefined) throw new Error(`no token in: ${source}`);
  return token;
}

/** The directory of emails of a place without an SMTP server. */
export const outboxOf = ({ env }: Place): string => join(env['DATA_DIR'] ?? '', 'outbox');

/** The first email to this address in the directory. */
export async function mailInFolder(folder: string, address: string): Promise<Received> {
  let found: Received | undefined;
  await eventually(`a mail to ${address} in ${folder}`, async () => {
    const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.eml'));
    const sources = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    const mails = sources.map((source) => received([/^To: (.*)$/m.exec(source)?.[1]?.trim() ?? ''], source));
    found = mails.find(({ to }) => to.includes(address));
    return found !== undefined;
  });
  return found as Received;
}
