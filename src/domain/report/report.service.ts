import { z } from 'zod';
import { badInput, ChatError, notFound } from '../../core/errors.js';
import { encodeGlobalId, newId } from '../../core/ids.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import { isStorable } from '../../core/text/characters.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { auditingDenials, auditLogger } from '../audit/audit.logger.js';
import { type AuditEvent, recordAuditEvents } from '../audit/audit.store.js';
import { canModerateService } from '../user/service-role.policy.js';
import { readServiceRole, requireActiveViewer } from '../user/user.store.js';
import { reportCounts } from './report.counts.js';
import { checkDisclosure, type Disclosure, evidenceOf } from './report.evidence.js';
import { canDecide, canReport } from './report.policy.js';
import {
  findReportable,
  hasOpen,
  listReports,
  lockReport,
  type Report,
  type ReportFilter,
  storeReport,
} from './report.store.js';

type ReportReason = Report['reason'];
export type ReportResolution = NonNullable<Report['resolution']>;

const reportPerPerson = definePersonRate(
  'You are reporting messages too quickly. Try again later.',
  ({ rateReportPerPerson }) => rateReportPerPerson,
);

const commented = z.object({
  comment: z
    .string()
    .trim()
    .refine(isStorable, 'The comment must not contain NUL characters or unpaired surrogates.')
    .nullish(),
});

/** A message to report. The ids are those of rows. */
export interface ReportInput {
  messageId: string;
  reason: ReportReason;
  comment?: string | null | undefined;
  /** What verifies an encrypted message. */
  disclosure?: Disclosure | undefined;
}

/**
 * Reports a message to the moderators of the service, with a copy of it. If the viewer has an open report of the message, this one
 * remains unchanged.
 * @returns the message.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.messageId`; FORBIDDEN of `input.messageId`: it is the viewer's own or a system
 *   message; all errors of `evidenceOf`; RATE_LIMITED.
 */
export async function reportMessage(deps: Deps, viewer: Viewer, input: ReportInput): Promise<Message> {
  const { config, database } = deps;
  const { userId } = viewer;
  const comment = checkInput(commented, input).comment || null;
  const max = config.reportCommentMaxChars;
  if (comment !== null && comment.length > max) {
    throw badInput('input.comment', `A comment can have at most ${max} characters.`, 'reportCommentMaxChars');
  }
  const { messageId, reason, disclosure } = input;
  if (disclosure) checkDisclosure(config, disclosure);
  take(deps, reportPerPerson, viewer);
  const message = await findReportable(database.db, userId, messageId);
  if (!message) throw notFound('input.messageId', 'Message');
  const { senderId, conversationId } = message;
  if (!canReport(message, userId) || senderId === null) {
    throw new ChatError('FORBIDDEN', 'Only messages of other users can be reported.', { field: 'input.messageId' });
  }
  const reported = () => database.db.message.findUniqueOrThrow({ where: { id: messageId } });
  if (await hasOpen(database.db, userId, messageId)) return reported();
  const { files, ...evidence } = await evidenceOf(database.db, message, disclosure);
  const id = newId();
  const isStored = await database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const isNew = await storeReport(tx, {
      id,
      reporterId: userId,
      reason,
      comment,
      messageId,
      openForMessageId: messageId,
      conversationId,
      reportedUserId: senderId,
      ...evidence,
      files: files.map((file) => ({ ...file })),
      sentAt: message.createdAt,
      editedAt: message.editedAt,
      deletedAt: message.deletedAt,
    });
    if (!isNew) return false;
    const details = { reportId: encodeGlobalId('Report', id), messageId: encodeGlobalId('Message', messageId), reason };
    await recordAuditEvents(tx, {
      action: 'MESSAGE_REPORTED',
      actor: viewer,
      subjectId: senderId,
      conversationId,
      details,
    });
    return true;
  });
  if (isStored) reportCounts.of(deps).reported[reason] += 1;
  return reported();
}

async function requireModerator(db: Db | Tx, viewer: Viewer): Promise<void> {
  if (canModerateService(await readServiceRole(db, viewer))) return;
  throw new ChatError('FORBIDDEN', 'Only moderators and admins of the service can read and resolve reports.');
}

/**
 * Lists the reports of messages of others, latest first. Reading a first page is recorded.
 * @throws {ChatError} FORBIDDEN: the viewer is not a moderator; BAD_USER_INPUT of the page's arguments.
 */
export function pageOfReports(deps: Deps, viewer: Viewer, filter: ReportFilter, args: PageArgs): Promise<Page<Report>> {
  const { config, database } = deps;
  const state = filter.isOpen === undefined ? undefined : filter.isOpen ? 'OPEN' : 'RESOLVED';
  const act: AuditEvent = { action: 'REPORTS_READ', actor: viewer, details: { state } };
  return auditingDenials(deps, act, async () => {
    await requireModerator(database.db, viewer);
    return readPage(args, config, {
      name: `reports:${state ?? ''}`,
      keys: ['date', 'uuid'],
      read: async (page) => {
        const reports = await listReports(database.db, viewer.userId, filter, page);
        if (!page.from) auditLogger.of(deps).record(act, 'done');
        return reports;
      },
      keysetOf: ({ createdAt, id }) => [createdAt, id],
    });
  });
}

/**
 * Resolves a report. Resolving a resolved report has no effect.
 * @returns the report afterwards.
 * @throws {ChatError} FORBIDDEN: the viewer is not a moderator; NOT_FOUND of `input.reportId`, also if the report is about the viewer.
 */
export function resolveReport(
  deps: Deps,
  viewer: Viewer,
  { reportId, resolution }: { reportId: string; resolution: ReportResolution },
): Promise<Report> {
  const { database } = deps;
  const details = { reportId: encodeGlobalId('Report', reportId), resolution };
  const act: AuditEvent = { action: 'REPORT_RESOLVED', actor: viewer, details };
  return auditingDenials(deps, act, async () => {
    // Checked before rows are locked, because anyone can call this.
    await requireModerator(database.db, viewer);
    const { report, isResolved } = await database.transaction(async (tx) => {
      await requireActiveViewer(tx, viewer);
      await requireModerator(tx, viewer);
      const found = await lockReport(tx, reportId);
      if (!found || !canDecide(found, viewer.userId)) throw notFound('input.reportId', 'Report');
      if (found.resolvedAt) return { report: found, isResolved: false };
      const { reportedUserId: subjectId, conversationId } = found;
      await recordAuditEvents(tx, { ...act, subjectId, conversationId });
      const resolved = await tx.report.update({
        where: { id: reportId },
        data: { resolution, resolvedAt: new Date(), resolvedById: viewer.userId, openForMessageId: null },
      });
      return { report: resolved, isResolved: true };
    });
    if (isResolved) reportCounts.of(deps).resolved[resolution] += 1;
    return report;
  });
}
