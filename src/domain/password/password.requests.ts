import { AsyncResource } from 'node:async_hooks';
import { ChatError } from '../../core/errors.js';
import { emailKeyOf } from '../../core/text/addresses.js';
import { createBackground } from '../../infra/async/background.js';
import { newResetToken } from '../../infra/auth/tokens.js';
import type { Config } from '../../infra/config/config.js';
import type { Database, Tx } from '../../infra/database/database.js';
import type { Mailer } from '../../infra/mail.js';
import type { Logger } from '../../infra/telemetry/log.js';
import { defineService } from '../../platform/service.js';
import { type AuditLogger, auditLogger } from '../audit/audit.logger.js';
import { recordAuditEvents } from '../audit/audit.store.js';
import { lockCredential } from '../session/credential.store.js';
import { resetMail } from './password.mails.js';

/** A queue of requests for password resets, which are processed after the response was sent. */
export interface ResetRequests {
  /**
   * Queues a request and returns at once, before looking up the address.
   * @throws {ChatError} UNAVAILABLE: the queue is full.
   */
  take(email: string): void;
  /** The number of queued requests. */
  readonly waiting: number;
  /** Resolves when all queued requests have been processed, or after a time limit. */
  close(): Promise<void>;
}

/** The delay in milliseconds before processing, so that the response is sent first and its time reveals nothing. */
const START_MS = 100;
const RETRY_MS = [1_000, 5_000, 30_000, 120_000];
const WAITING_MAX = 1_000;
const CLOSE_MS = 2_000;

/**
 * Creates the queue. All work, including the lookup of the address, is done after the response and sequentially, so
 * that the response takes equally long for known and unknown addresses.
 */
export function createResetRequests({
  config,
  database,
  mailer,
  audit,
  log,
}: {
  config: Config;
  database: Database;
  mailer: Mailer;
  audit: AuditLogger;
  log: Logger;
}): ResetRequests {
  const background = createBackground({
    name: 'password reset requests',
    atOnce: 1,
    waitingMax: WAITING_MAX,
    retryMs: RETRY_MS,
    closeMs: CLOSE_MS,
    log,
  });

  async function answer(email: string): Promise<void> {
    const issued = await database.transaction((tx) => issueToken(tx, config, email));
    if ('refusal' in issued) {
      const { refusal: reason, userId: subjectId } = issued;
      audit.record({ action: 'PASSWORD_RESET_REQUESTED', subjectId, details: { reason } }, 'refused');
      return;
    }
    const { to, ...reset } = issued;
    mailer.send(resetMail(to, { ...reset, pageUrl: config.passwordResetUrl }));
  }

  return {
    take(email) {
      // The audit entry belongs to this request, even if other requests are being served when it is processed.
      if (
        background.run(
          AsyncResource.bind(() => answer(email)),
          START_MS,
        )
      )
        return;
      throw new ChatError('UNAVAILABLE', 'Too many password resets are being requested. Try again in a moment.', {
        retryAfterMs: 10_000,
      });
    },
    get waiting() {
      return background.counts.waiting;
    },
    close: () => background.close(),
  };
}

export const resetRequests = defineService('password reset requests', (deps) =>
  createResetRequests({ ...deps, audit: auditLogger.of(deps) }),
);

/**
 * Creates a token for the account with this address. Returns a refusal if there is none, or if it was sent too many
 * emails.
 */
async function issueToken(
  tx: Tx,
  { passwordResetTtlMs, passwordResetsMax }: Config,
  email: string,
): Promise<{ to: string; token: string; expiresAt: Date } | { refusal: string; userId?: string }> {
  // Under a lock, so that concurrent requests on several nodes are counted sequentially.
  const account = await lockCredential(tx, { emailKey: emailKeyOf(email) }, 'UPDATE');
  if (!account) return { refusal: 'UNKNOWN_ACCOUNT' };
  const { userId } = account;
  await tx.passwordReset.deleteMany({ where: { userId, expiresAt: { lte: new Date() } } });
  if ((await tx.passwordReset.count({ where: { userId } })) >= passwordResetsMax)
    return { refusal: 'TOO_MANY', userId };
  const { token, hash } = newResetToken();
  const expiresAt = new Date(Date.now() + passwordResetTtlMs);
  await tx.passwordReset.create({ data: { tokenHash: hash, userId, expiresAt } });
  await recordAuditEvents(tx, { action: 'PASSWORD_RESET_REQUESTED', subjectId: userId });
  return { to: account.email, token, expiresAt };
}
