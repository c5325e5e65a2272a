import { createHash } from 'node:crypto';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that take much longer than others, the longest first. They begin before the others, so that none of them runs
 * alone at the end while the other workers have nothing left to do.
 */
const LONGEST = [
  'test/faults/restore.test.ts',
  'test/attacks/hostile.test.ts',
  'test/domain/permissions.test.ts',
  'test/infra/migrations.test.ts',
  'test/realtime/verify.test.ts',
  'test/faults/failover.test.ts',
  'test/domain/audit.test.ts',
  'test/domain/outside.test.ts',
  'test/domain/receipt.test.ts',
];

/** Runs the longest test files first, and the others in an order that the seed of the run determines. */
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
