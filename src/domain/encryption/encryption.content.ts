import type { Db, Tx } from '../../infra/database/database.js';

/** The encrypted content of a message, and under which keys and by which device it was encrypted. */
export interface EncryptedContent {
  generation: number;
  epoch: number;
  /** The id of the row. */
  deviceId: string;
  /** In base64url. */
  content: string;
}

/** The generation, the epoch (4 bytes each, big-endian) and the id of the device precede the content. */
const HEADER_BYTES = 24;

/** The value of the column `encrypted`, in PostgreSQL's text format. */
export function toColumn({ generation, epoch, deviceId, content }: EncryptedContent): string {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(generation, 0);
  header.writeUInt32BE(epoch, 4);
  const hex = Buffer.from(content, 'base64url').toString('hex');
  return `\\x${header.toString('hex')}${deviceId.replaceAll('-', '')}${hex}`;
}

/** Reads the column `encrypted`. */
export function readColumn(column: Uint8Array): EncryptedContent {
  const bytes = Buffer.from(column.buffer, column.byteOffset, column.byteLength);
  const hex = bytes.toString('hex', 8, HEADER_BYTES);
  return {
    generation: bytes.readUInt32BE(0),
    epoch: bytes.readUInt32BE(4),
    deviceId: [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'),
    content: bytes.toString('base64url', HEADER_BYTES),
  };
}

/** The encrypted contents of messages by their ids, in the same order; null for messages without one. */
export async function findContents(db: Db | Tx, messageIds: readonly string[]): Promise<(EncryptedContent | null)[]> {
  if (messageIds.length === 0) return [];
  const rows = await db.$queryRaw<{ id: string; encrypted: Uint8Array }[]>`
    SELECT id::text, encrypted FROM messages WHERE id = ANY (${messageIds}::uuid[]) AND encrypted IS NOT NULL`;
  const byId = new Map(rows.map(({ id, encrypted }) => [id, readColumn(encrypted)]));
  return messageIds.map((id) => byId.get(id) ?? null);
}
