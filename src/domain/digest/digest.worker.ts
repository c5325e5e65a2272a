import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { isQuiet } from '../notification/notification.policy.js';
import { digestMail } from './digest.mail.js';
import { claimDigests, continueDigest, type DueDigest, endDigest, findUnread } from './digest.store.js';
import { unsubscribeUrl } from './unsubscribe.js';

/** Sends emails about what stays unread, on every node. */
export interface DigestWorker {
  /** The number of emails sent by this node since its start. */
  readonly sent: number;
  /** Sends the emails that are due. */
  run(): Promise<void>;
  /** Resolves when the emails in progress have been passed to the mailer. */
  close(): Promise<void>;
}

const POLL_MS = 15_000;
/** How long another node waits before it takes over, in milliseconds. */
const CLAIM_MS = 60_000;
/** The maximum number of emails that a node prepares at once. */
const BATCH = 20;
/** The maximum number of conversations in one email. */
const CONVERSATIONS_MAX = 10;
/** How long an email waits at a time while the user does not want to be interrupted, in milliseconds. */
const QUIET_MS = 10 * 60_000;

function createDigestWorker(deps: Deps): DigestWorker {
  const { config, database, log, mailer } = deps;
  const { publicUrl, smtpUrl, digestDelays } = config;
  let sent = 0;
  let closed = false;
  let running: Promise<void> | undefined;

  async function handle(due: DueDigest): Promise<void> {
    const { userId, email, isWanted, sentCount } = due;
    const unread = isWanted ? await findUnread(database.sql, due, config, CONVERSATIONS_MAX) : [];
    // Nothing came since the last email: the next message starts the pauses from the beginning.
    if (email === null || publicUrl === undefined || !unread.some(({ isNew }) => isNew)) {
      await endDigest(database.db, userId);
      return;
    }
    if (isQuiet(due, new Date())) {
      await continueDigest(database.db, userId, QUIET_MS, false);
      return;
    }
    // Stored first: an email that is lost with its node is better than one that is sent twice.
    await continueDigest(database.db, userId, digestDelays[sentCount + 1] ?? digestDelays.at(-1) ?? 0, true);
    const url = unsubscribeUrl(deps, publicUrl, userId);
    mailer.send(digestMail({ ...due, to: email, conversations: unread, publicUrl, unsubscribeUrl: url }));
    sent += 1;
  }

  async function look(): Promise<void> {
    while (!closed) {
      const due = await claimDigests(database.sql, BATCH, CLAIM_MS, config);
      for (const each of due) {
        await handle(each).catch((error: unknown) => {
          log.warn({ err: error }, 'email about unread messages could not be prepared; retrying');
        });
      }
      if (due.length < BATCH) return;
    }
  }

  function run(): Promise<void> {
    running ??= look()
      .catch((error: unknown) => {
        if (!closed) log.warn({ err: error }, 'emails about unread messages could not be read; retrying');
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  const timer = smtpUrl === undefined || publicUrl === undefined ? undefined : setInterval(() => void run(), POLL_MS);
  return {
    get sent() {
      return sent;
    },
    run,
    async close() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}

export const digestWorker = defineService('digest worker', createDigestWorker);
