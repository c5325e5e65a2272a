import { isIP } from 'node:net';
import { badInput, ChatError } from '../../core/errors.js';
import { encodeGlobalId } from '../../core/ids.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { readServiceRole } from '../user/user.store.js';
import { auditActions } from './audit.actions.js';
import { auditingDenials, auditLogger } from './audit.logger.js';
import { canReadAuditLog } from './audit.policy.js';
import { type AuditEntry, type AuditEvent, type AuditFilter, listEntries } from './audit.store.js';

/**
 * Lists the entries of the audit log that match a filter, latest first. Reading a first page is recorded as well.
 * @param filter with ids of rows.
 * @throws {ChatError} FORBIDDEN: the viewer is not an admin; BAD_USER_INPUT of the filter or the page's arguments.
 */
export async function pageOfAuditLog(
  deps: Deps,
  viewer: Viewer,
  filter: AuditFilter,
  args: PageArgs,
): Promise<Page<AuditEntry>> {
  const { database, config } = deps;
  checkFilter(filter);
  const event: AuditEvent = {
    action: 'AUDIT_LOG_READ',
    actor: viewer,
    details: {
      actorId: filter.actorId && encodeGlobalId('User', filter.actorId),
      subjectId: filter.subjectId && encodeGlobalId('User', filter.subjectId),
      conversationId: filter.conversationId && encodeGlobalId('Conversation', filter.conversationId),
      action: filter.action,
      address: filter.address,
      since: filter.since?.toISOString(),
      until: filter.until?.toISOString(),
      outcome: filter.refused === undefined ? undefined : filter.refused ? 'REFUSED' : 'DONE',
    },
  };
  return auditingDenials(deps, event, async () => {
    if (!canReadAuditLog(await readServiceRole(database.db, viewer))) {
      throw new ChatError('FORBIDDEN', 'Only admins of the service can read the audit log.');
    }
    return readPage(args, config, {
      name: `audit:${JSON.stringify(filter)}`,
      keys: ['date', 'uuid'],
      read: async (page) => {
        const rows = await listEntries(database.db, filter, auditActions.of(deps), page);
        if (!page.from) auditLogger.of(deps).record(event, 'done');
        return rows;
      },
      keysetOf: ({ at, id }) => [at, id],
    });
  });
}

/** Validates the filter. Throws BAD_USER_INPUT with the path of the invalid value. */
function checkFilter({ address, since, until }: AuditFilter): void {
  if (address !== undefined && isIP(address) === 0) throw badInput('filter.address', 'This is not a valid IP address.');
  for (const [name, at] of Object.entries({ since, until })) {
    const ms = at?.getTime() ?? 0;
    // Bounded by what PostgreSQL can represent.
    if (ms < 0 || ms >= 1e14) throw badInput(`filter.${name}`, 'The time is out of range.');
  }
}
