import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Attachment, Prisma } from '../../generated/prisma/client.js';
import type { MediaStore } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { deleteOrdered } from './media.deletions.js';
import { mediaStore } from './media.files.js';
import { attachmentDone } from './media.part.js';
import { createMediaProcess, type Facts, ProcessDied, type Result } from './media.processes.js';
import { uploadsCompleted } from './upload.service.js';

/**
 * Checks and converts complete uploads, and deletes the bytes of deleted attachments, on every node. A file is claimed,
 * processed, and READY or REJECTED with one commit. If a node dies in between, another one takes over when the claim has
 * ended.
 */
export interface MediaWorker {
  /** Looks for work; to be called when uploads were completed. */
  wake(): void;
  /** What this node has done since its start. */
  readonly counts: { ready: number; rejected: number; failed: number; deleted: number };
  /** Ends the file in progress, which another node or the next start processes. */
  close(): Promise<void>;
}

/** The longest time between two looks for work, in milliseconds. */
const POLL_MS = 2_000;
/** What the claim lasts longer than the processing, in milliseconds. */
const CLAIM_EXTRA_MS = 15_000;
/** A file is rejected when its processing has been ended or has failed this many times. */
const TRIES_MAX = 3;
/** The pause before a file is processed again after the machine failed, in milliseconds. */
const RETRY_MS = 30_000;

type Claimed = Pick<Attachment, 'id' | 'kind' | 'byteSize' | 'sha256' | 'storeKey' | 'tries'>;

function createMediaWorker(deps: Deps): MediaWorker {
  const store = mediaStore.of(deps);
  const counts = { ready: 0, rejected: 0, failed: 0, deleted: 0 };
  if (!store) return { wake() {}, counts, async close() {} };
  const { config, database, log } = deps;
  const process = createMediaProcess(config.mediaProcessTimeoutMs);
  let closed = false;
  let again = false;
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function look(files: MediaStore): Promise<void> {
    while (!closed) {
      const claimed = await claim(deps, config.mediaProcessTimeoutMs + CLAIM_EXTRA_MS);
      if (!claimed) break;
      await handle(files, claimed);
    }
    if (!closed) counts.deleted += await deleteOrdered(deps, files);
  }

  async function handle(files: MediaStore, claimed: Claimed): Promise<void> {
    try {
      const result = await convert(files, claimed);
      if (result.state === 'FAILED') {
        log.warn({ attachmentId: claimed.id, reason: result.reason }, 'a file could not be processed');
        counts.failed += 1;
        if (claimed.tries < TRIES_MAX) return await release(deps, claimed.id, RETRY_MS);
      }
      const isReady = result.state === 'READY';
      if (!isReady) log.info({ attachmentId: claimed.id, reason: result.reason }, 'a file was rejected');
      counts[isReady ? 'ready' : 'rejected'] += 1;
      const isStored = await attachmentDone(deps, claimed.id, isReady ? factsToStore(result) : { state: 'REJECTED' });
      // It was deleted while it was processed.
      if (!isStored) await files.deleteAll(claimed.storeKey);
      else if (!isReady) await files.deleteAll(claimed.storeKey);
      else if (result.isChanged) await files.remove(claimed.storeKey, 'upload');
    } catch (error) {
      if (closed) return void (await release(deps, claimed.id, 0, { isUncounted: true }).catch(() => {}));
      if (!(error instanceof ProcessDied))
        log.warn({ err: error, attachmentId: claimed.id }, 'a file could not be processed');
      counts.failed += 1;
      if (claimed.tries < TRIES_MAX) return release(deps, claimed.id, error instanceof ProcessDied ? 0 : RETRY_MS);
      counts.rejected += 1;
      await attachmentDone(deps, claimed.id, { state: 'REJECTED' });
      await files.deleteAll(claimed.storeKey);
    }
  }

  const convert = (files: MediaStore, { kind, byteSize, sha256, storeKey }: Claimed): Promise<Result> =>
    files.withFile(storeKey, 'upload', async (path) => {
      const output = join(dirname(path), `new-${randomBytes(6).toString('hex')}-`);
      const names = ['original', 'preview', 'thumbnail', 'poster'] as const;
      try {
        const { mediaPixelsMax: pixelsMax } = config;
        const result = await process.run({ path, kind, byteSize, sha256, pixelsMax, output });
        if (result.state !== 'READY') return result;
        const made = [...(result.isChanged ? (['original'] as const) : []), ...result.variants.map(({ name }) => name)];
        for (const name of made) await files.put(storeKey, name, `${output}${name}`);
        return result;
      } finally {
        for (const name of names) await rm(`${output}${name}`, { force: true });
      }
    });

  function wake(): void {
    if (closed) return;
    again = true;
    clearTimeout(timer);
    looking ??= (async () => {
      while (again && !closed) {
        again = false;
        await look(store as MediaStore);
      }
    })()
      .catch((error: unknown) => {
        if (!closed) log.warn({ err: error }, 'files could not be processed; retrying');
      })
      .then(() => {
        looking = undefined;
        if (!closed) timer = setTimeout(wake, again ? 0 : POLL_MS).unref();
      });
  }

  database.onCommitted(uploadsCompleted, wake);
  wake();
  return {
    wake,
    counts,
    async close() {
      closed = true;
      clearTimeout(timer);
      process.close();
      await looking;
    },
  };
}

export const mediaWorker = defineService('media worker', createMediaWorker);

/** The columns of a file that can be served. */
function factsToStore({ isChanged: _isChanged, state, variants, ...facts }: { state: 'READY' } & Facts) {
  return { ...facts, state, variants: variants as object[] };
}

async function claim({ database: { sql } }: Deps, claimMs: number): Promise<Claimed | undefined> {
  const [claimed] = await sql.query<Claimed>(Prisma.sql`
    UPDATE attachments SET claimed_until = clock_timestamp() + ${claimMs} * interval '1 millisecond', tries = tries + 1
    WHERE id = (
      SELECT id FROM attachments WHERE state = 'PROCESSING' AND claimed_until < clock_timestamp()
      ORDER BY claimed_until, id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id::text, kind::text, byte_size AS "byteSize", sha256, store_key AS "storeKey", tries`);
  return claimed;
}

/** Ends the claim of a file that was not processed. */
async function release(
  { database: { sql } }: Deps,
  id: string,
  afterMs: number,
  { isUncounted = false }: { isUncounted?: boolean } = {},
): Promise<void> {
  await sql.query(Prisma.sql`
    UPDATE attachments SET claimed_until = clock_timestamp() + ${afterMs} * interval '1 millisecond',
           tries = tries - ${isUncounted ? 1 : 0}::int
    WHERE id = ${id}::uuid AND state = 'PROCESSING'`);
}
