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
import { type AuditNotes, auditNotes } from '../audit/audit.notes.js';
import { recordActs } from '../audit/audit.store.js';
import { lockCredential } from '../session/credential.store.js';
import { resetMail } from './password.mails.js';

/** Asks for a mail to reset a password with, on their way from the answer to the mail. */
export interface ResetRequests {
  /**
   * Takes one on and returns at once, before anything about the address was looked up.
   * @throws {ChatError} UNAVAILABLE: too many wait.
   */
  take(email: string): void;
  /** Those that wait. */
  readonly waiting: number;
  /** Resolves when those that were taken on have become mails, or after a moment. */
  close(): Promise<void>;
}

/** By then the answer has gone out: what is done for an account that exists delays nothing that could be timed. */
const START_MS = 100;
const RETRY_MS = [1_000, 5_000, 30_000, 120_000];
const WAITING_MAX = 1_000;
const CLOSE_MS = 2_000;

/**
 * All work for a request is done here, after the answer, one request at a time: the lookup too, so that the answer to a
 * known address takes what it takes to an unknown one.
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
  audit: AuditNotes;
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
      audit.note({ action: 'PASSWORD_RESET_REQUESTED', subjectId, details: { reason } }, 'refused');
      return;
    }
    const { to, ...reset } = issued;
    mailer.send(resetMail(to, { ...reset, pageUrl: config.passwordResetUrl }));
  }

  return {
    take(email) {
      // It stays this request's, whichever other one ends before it begins.
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
  createResetRequests({ ...deps, audit: auditNotes.of(deps) }),
);

/** A token for whoever has this address; a refusal: nobody has, or they were sent as many as they may be. */
async function issueToken(
  tx: Tx,
  { passwordResetTtlMs, passwordResetsMax }: Config,
  email: string,
): Promise<{ to: string; token: string; expiresAt: Date } | { refusal: string; userId?: string }> {
  // Under the lock, so that several at once, on any node, are counted one after another.
  const account = await lockCredential(tx, { emailKey: emailKeyOf(email) }, 'UPDATE');
  if (!account) return { refusal: 'UNKNOWN_ACCOUNT' };
  const { userId } = account;
  await tx.passwordReset.deleteMany({ where: { userId, expiresAt: { lte: new Date() } } });
  if ((await tx.passwordReset.count({ where: { userId } })) >= passwordResetsMax)
    return { refusal: 'TOO_MANY', userId };
  const { token, hash } = newResetToken();
  const expiresAt = new Date(Date.now() + passwordResetTtlMs);
  await tx.passwordReset.create({ data: { tokenHash: hash, userId, expiresAt } });
  await recordActs(tx, { action: 'PASSWORD_RESET_REQUESTED', subjectId: userId });
  return { to: account.email, token, expiresAt };
}
