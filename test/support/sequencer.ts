import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The slowest files, approximately in descending order: those that take more than 15 s. They start first, so that none of
 * them runs alone at the end while the other workers are idle. Files that mostly wait alternate with those that mostly
 * compute, so that the workers do not all wait at the same time. Shorter files are not listed, because they would not
 * follow those that use the same shared nodes.
 */
const LONGEST = [
  // Of `npm run test:short`.
  'test/process.test.ts',
  'test/faults/restore.test.ts',
  'test/attacks/hostile.test.ts',
  'test/seed.test.ts',
  'test/faults/sockets.test.ts',
  'test/first-run.test.ts',
  'test/faults/notifier.test.ts',
  'test/role.test.ts',
  'test/faults/redis.test.ts',
  'test/attacks/injection.test.ts',
  'test/attacks/fuzz.test.ts',
  'test/faults/nodes.test.ts',
  'test/attacks/enumeration.test.ts',
  'test/packages/e2ee/nodes.test.ts',
  'test/packages/client/encryption.test.ts',
  'test/packages/e2ee/account.test.ts',
  'test/packages/e2ee/engine.test.ts',
  'test/packages/client/recovery.test.ts',
  'test/domain/media.s3.test.ts',
  'test/clients/follow.test.ts',
  'test/domain/summary/written.test.ts',
  'test/packages/client/tabs.test.ts',
  'test/infra/pglite.test.ts',
  'test/server/memory-limits.test.ts',
  'test/server/request-time.test.ts',
  // Of `npm run test:web`.
  'test/web/chat.test.ts',
  'test/web/account.test.ts',
  // Of `npm test`.
  'test/realtime/verify.test.ts',
  'test/domain/media.test.ts',
  'test/realtime/cluster.test.ts',
  'test/domain/status.test.ts',
  'test/domain/typing.test.ts',
  'test/domain/service.test.ts',
  'test/domain/permissions.test.ts',
  'test/domain/push.test.ts',
  'test/domain/password.test.ts',
  'test/domain/call.test.ts',
  'test/domain/audit.test.ts',
  'test/domain/inbox.test.ts',
  'test/domain/report.test.ts',
  'test/packages/client/statuses.test.ts',
  'test/domain/summary/summary.test.ts',
  'test/domain/receipt.test.ts',
  'test/domain/encryption.test.ts',
  'test/packages/client/session.test.ts',
  'test/domain/pictures.test.ts',
  'test/domain/presence.test.ts',
  'test/server/limits.test.ts',
];

/** A call that uses shared nodes, with the settings of these nodes. */
const SHARED_USE = /\bshared(?:Node|Two)\([\w']+(?:, (\{[^}]*\}|\w+))?\)/g;

/** The settings of the shared nodes that a test file uses; undefined if it uses none. */
async function sharedSettings(path: string): Promise<string | undefined> {
  const uses = [...(await readFile(path, 'utf8')).matchAll(SHARED_USE)].map(([use]) => use);
  return uses.length === 0 ? undefined : [...new Set(uses)].sort().join();
}

/**
 * Runs the slowest test files first, and the others in an order that is determined by the seed of the run. Among these,
 * files that share nodes with the same settings follow each other, because a process keeps only a few nodes. Files that
 * start nodes of their own are distributed between them.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { seed } = this.ctx.config.sequence;
    const random = (text: string) => createHash('sha256').update(`${seed} ${text}`).digest('hex');
    const placed = await Promise.all(
      files.map(async (file) => ({
        file,
        longest: LONGEST.findIndex((path) => file.moduleId.endsWith(`/${path}`)),
        shared: await sharedSettings(file.moduleId),
      })),
    );
    const longest = placed.filter((each) => each.longest !== -1).sort((one, other) => one.longest - other.longest);
    const sorted = (list: typeof placed, key: (each: (typeof placed)[number]) => string) =>
      list.sort((one, other) => (key(one) < key(other) ? -1 : 1));
    const others = placed.filter((each) => each.longest === -1);
    const sharing = sorted(
      others.filter(({ shared }) => shared !== undefined),
      ({ file, shared }) => `${random(shared ?? '')} ${random(file.moduleId)}`,
    );
    const separate = sorted(
      others.filter(({ shared }) => shared === undefined),
      ({ file }) => random(file.moduleId),
    );
    const place = (list: typeof placed) => list.map((each, index) => ({ each, at: (index + 0.5) / list.length }));
    const mixed = [...place(sharing), ...place(separate)].sort((one, other) => one.at - other.at);
    return [...longest, ...mixed.map(({ each }) => each)].map(({ file }) => file);
  }
}
