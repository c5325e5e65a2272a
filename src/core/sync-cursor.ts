import { ChatError } from './errors.js';

/**
 * A position in the change log: the generation of the database, its latest epoch (one run of the database server), and
 * the PostgreSQL snapshot (`pg_current_snapshot()`, "743:747:743") of the transactions that were visible. The changes
 * that were missed since are exactly those of transactions that are not visible in this snapshot, regardless of the
 * order in which transactions commit.
 */
export interface SyncCursor {
  generation: string;
  epoch: string;
  snapshot: string;
}

const shape = /^([0-9a-f]{12})\/([0-9a-f]{8})\/((\d{1,18}):(\d{1,18}):((?:\d{1,18}(?:,\d{1,18})*)?))$/;

/** Encodes a cursor as the opaque text that clients store. */
export const encodeSyncCursor = ({ generation, epoch, snapshot }: SyncCursor): string =>
  Buffer.from(`${generation}/${epoch}/${snapshot}`).toString('base64url');

/** The snapshot in a cursor that was created by this server. */
export const snapshotOf = (cursor: string): string =>
  Buffer.from(cursor, 'base64url').toString('utf8').split('/')[2] ?? '';

/**
 * Whether PostgreSQL accepts the snapshot: xmin <= xmax, and the ids of the transactions in progress are between them
 * in ascending order.
 */
function isSnapshot([xmin = '', xmax = '', inProgress = '']: string[]): boolean {
  const bounds = [BigInt(xmin), BigInt(xmax)] as const;
  const ids = inProgress === '' ? [] : inProgress.split(',').map(BigInt);
  const rising = ids.every((id, index) => index === 0 || id > (ids[index - 1] as bigint));
  return bounds[0] > 0n && bounds[0] <= bounds[1] && rising && ids.every((id) => id >= bounds[0] && id < bounds[1]);
}

/**
 * Decodes the cursor of a stream.
 * @throws {ChatError} BAD_USER_INPUT for `field` if this is not the cursor of a stream; CURSOR_EXPIRED if it belongs to
 *   another database.
 */
export function decodeSyncCursor(cursor: string, field: string, generation: string): SyncCursor {
  const match = shape.exec(Buffer.from(cursor, 'base64url').toString('utf8'));
  if (!match || !isSnapshot(match.slice(4))) {
    throw new ChatError('BAD_USER_INPUT', 'This is not a valid stream cursor.', { field });
  }
  if (match[1] !== generation) throw cursorExpired(field, 'it belongs to another database');
  return { generation, epoch: match[2] as string, snapshot: match[3] as string };
}

export const cursorExpired = (field: string, why: string) =>
  new ChatError(
    'CURSOR_EXPIRED',
    `The stream cannot be resumed from this cursor (${why}). Fetch again with viewer.syncCursor.`,
    {
      field,
    },
  );
