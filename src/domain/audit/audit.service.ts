import { isIP } from 'node:net';
import { badInput, ChatError } from '../../core/errors.js';
import { encodeGlobalId } from '../../core/ids.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { readServiceRole } from '../user/user.store.js';
import { auditNotes, notingRefusal } from './audit.notes.js';
import { canReadAuditLog } from './audit.policy.js';
import { type Act, type AuditEntry, type AuditFilter, listEntries } from './audit.store.js';

/**
 * Entries of the audit log that fit, the latest first. That somebody looks is put down as well, for each first page.
 * @param filter with ids of rows.
 * @throws {ChatError} FORBIDDEN to who is no admin of the service; BAD_USER_INPUT of the filter or the page's arguments.
 */
export async function pageOfAuditLog(
  deps: Deps,
  viewer: Viewer,
  filter: AuditFilter,
  args: PageArgs,
): Promise<Page<AuditEntry>> {
  const { database, config } = deps;
  checkFilter(filter);
  const asked: Act = {
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
  return notingRefusal(deps, asked, async () => {
    if (!canReadAuditLog(await readServiceRole(database.db, viewer))) {
      throw new ChatError('FORBIDDEN', 'Only admins can read the audit log.');
    }
    const list = `audit:${JSON.stringify(filter)}`;
    const page = readPageArgs(list, args, ['date', 'uuid'], config);
    const rows = await listEntries(database.db, filter, page);
    if (!page.from) auditNotes.of(deps).note(asked, 'done');
    return toPage(list, page, rows, ({ at, id }) => [at, id]);
  });
}

/** @throws {ChatError} BAD_USER_INPUT */
function checkFilter({ address, since, until }: AuditFilter): void {
  if (address !== undefined && isIP(address) === 0) throw badInput('filter.address', 'This is not a valid IP address.');
  for (const [name, at] of Object.entries({ since, until })) {
    const ms = at?.getTime() ?? 0;
    // As far as the database knows time, and further than anybody asks.
    if (ms < 0 || ms >= 1e14) throw badInput(`filter.${name}`, 'The time is out of range.');
  }
}
