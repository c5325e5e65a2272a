import { createHash } from 'node:crypto';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The slowest files, in descending order. They start first, so that none of them runs alone at the end while the other
 * workers are idle.
 */
const LONGEST = [
  'test/faults/restore.test.ts',
  'test/attacks/hostile.test.ts',
  'test/seed.test.ts',
  'test/process.test.ts',
  'test/role.test.ts',
  'test/first-run.test.ts',
  'test/attacks/injection.test.ts',
  'test/attacks/fuzz.test.ts',
  'test/faults/sockets.test.ts',
  'test/faults/redis.test.ts',
  'test/faults/nodes.test.ts',
  'test/attacks/enumeration.test.ts',
  'test/web/chat.test.ts',
  'test/web/account.test.ts',
  'test/domain/summary/written.test.ts',
  'test/domain/typing.test.ts',
  'test/clients/follow.test.ts',
  'test/server/memory-limits.test.ts',
  'test/domain/password.test.ts',
  'test/packages/client/recovery.test.ts',
  'test/packages/client/session.test.ts',
  'test/packages/client/adapters.test.ts',
  'test/domain/audit.test.ts',
  'test/server/request-time.test.ts',
  'test/domain/presence.test.ts',
  'test/realtime/change-stream.test.ts',
  'test/domain/identity-provider.test.ts',
  'test/domain/receipt.test.ts',
  'test/domain/relationship.test.ts',
  'test/packages/client/people.test.ts',
  'test/packages/client/notifications.test.ts',
  'test/domain/service.test.ts',
  'test/realtime/verify.test.ts',
  'test/domain/history.test.ts',
  'test/realtime/cluster.test.ts',
  'test/packages/client/outbox.test.ts',
  'test/server/limits.test.ts',
  'test/domain/membership.test.ts',
  'test/clients/tokens.test.ts',
  'test/server/http.test.ts',
  'test/domain/search.plan.test.ts',
  'test/domain/group.test.ts',
  'test/packages/client/tabs.test.ts',
  'test/infra/pglite.test.ts',
  'test/infra/sql.test.ts',
  'test/server/statements.test.ts',
  'test/domain/rates.test.ts',
  'test/domain/summary/summary.test.ts',
  'test/domain/texts.test.ts',
  'test/infra/redis.test.ts',
  'test/domain/viewer-changes.test.ts',
  'test/domain/receipt.histories.test.ts',
  'test/infra/database-url.test.ts',
  'test/realtime/interleavings.test.ts',
  'test/domain/session.test.ts',
  'test/server/metrics.test.ts',
  'test/domain/conversation-lists.test.ts',
  'test/domain/permissions.test.ts',
  'test/server/fairness.test.ts',
  'test/domain/pin.test.ts',
  'test/domain/presence.added.test.ts',
  'test/server/sharing.test.ts',
];

/** Runs the slowest test files first, and the others in an order that is determined by the seed of the run. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { seed } = this.ctx.config.sequence;
    const placed = files.map((file) => {
      const index = LONGEST.findIndex((path) => file.moduleId.endsWith(`/${path}`));
      const random = createHash('sha256').update(`${seed} ${file.moduleId}`).digest('hex');
      return { file, rank: index === -1 ? LONGEST.length : index, random };
    });
    return placed
      .sort((one, other) => one.rank - other.rank || (one.random < other.random ? -1 : 1))
      .map(({ file }) => file);
  }
}
