import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Attachment, Prisma } from '../../generated/prisma/client.js';
import { createPolling } from '../../infra/async/polling.js';
import { ScannerUnavailable, type VirusScanner } from '../../infra/media/clamd.js';
import { StoreUnavailable } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { isDirect } from './direct-uploads.js';
import { deleteOrdered, orderDeletions } from './media.deletions.js';
import { mediaStore, virusScanner } from './media.files.js';
import { attachmentDone } from './media.outcome.js';
import { createMediaProcess, type Facts, ProcessEnded, type Result } from './media.processes.js';
import { uploadsCompleted } from './upload.service.js';

/**
 * Checks and converts complete uploads, and deletes the bytes of deleted attachments, on every node. A file is claimed,
 * processed, and READY or REJECTED with one commit. If a node crashes in between, another one takes over when the claim
 * has ended.
 */
export interface MediaWorker {
  /** Checks for work; to be called when uploads were completed. */
  wake(): void;
  /** Counters since the start of this node. */
  readonly counts: {
    readonly ready: number;
    readonly rejected: number;
    readonly failed: number;
    readonly deleted: number;
    readonly scans: Readonly<Record<'clean' | 'infected' | 'failed', number>>;
  };
  /** Ends the file in progress, which another node or the next start processes. */
  close(): Promise<void>;
}

/** The longest time between two checks for work, in milliseconds. */
const POLL_MS = 2_000;
/** How long a claim lasts unless it is renewed, in milliseconds. */
const CLAIM_MS = 15_000;
const RENEW_MS = 2_000;
/** A file is rejected when its processing has been ended or has failed this many times. */
const TRIES_MAX = 3;
/** The share of the time limit for a file in which its poster must be complete: one fourth. */
const POSTER_SHARE = 4;
/** The prefix of the names of files that are not complete yet. */
const TEMPORARY = 'new-';
/** The pause before a file is processed again after the machine failed, in milliseconds. */
const RETRY_MS = 30_000;
/** The pause before a file is processed again when the store or the virus scanner did not work, in milliseconds. */
const UNAVAILABLE_RETRY_MS = 5_000;

type Claimed = Pick<Attachment, 'id' | 'kind' | 'byteSize' | 'sha256' | 'storeKey' | 'tries'>;

function createMediaWorker(deps: Deps): MediaWorker {
  const store = mediaStore.of(deps);
  const counts = { ready: 0, rejected: 0, failed: 0, deleted: 0, scans: { clean: 0, infected: 0, failed: 0 } };
  if (!store) return { wake() {}, counts, async close() {} };
  const files = store;
  const scanner = virusScanner.of(deps);
  const { config, database, log } = deps;
  const process = createMediaProcess(config.mediaProcessTimeoutMs);
  const polling = createPolling({
    check,
    intervalMs: POLL_MS,
    onError: (error) => log.warn({ err: error }, 'files could not be processed; retrying'),
  });

  async function check(): Promise<void> {
    while (!polling.isClosed && (await isWorking())) {
      const claimed = await claim(deps, CLAIM_MS);
      if (!claimed) break;
      const renewal = setInterval(() => {
        // The claim ends if this fails, and another node processes the file as well.
        renew(deps, claimed, CLAIM_MS).catch(() => {});
      }, RENEW_MS).unref();
      try {
        await handle(claimed);
      } finally {
        clearInterval(renewal);
      }
    }
    if (!polling.isClosed && (await files.isAvailable())) counts.deleted += await deleteOrdered(deps, files);
  }

  /** Whether everything that files need is available. Otherwise, attempts would fail, and they are counted. */
  const isWorking = async () => (await files.isAvailable()) && (!scanner || (await scanner.isAvailable()));

  async function handle(claimed: Claimed): Promise<void> {
    const { id, storeKey } = claimed;
    try {
      const result = await convert(claimed);
      if (result.state === 'FAILED') {
        log.warn({ attachmentId: id, reason: result.reason }, 'a file could not be processed');
        return await fail(claimed, result.reason, RETRY_MS);
      }
      if (result.state !== 'READY') return await reject(id, result.reason);
      // A node that was killed after it had begun an upload, and before this was stored, has left it in the bucket.
      if (isDirect(files)) await files.uploads.abortAll(storeKey);
      counts.ready += 1;
      const isStored = await attachmentDone(deps, id, factsToStore(result));
      // It was deleted while it was processed, perhaps before its new files were stored.
      if (!isStored) await orderDeletions(database.sql, [storeKey]);
    } catch (error) {
      if (polling.isClosed) return void (await release(deps, id, 0, { isUncounted: true }).catch(() => {}));
      if (error instanceof StoreUnavailable || error instanceof ScannerUnavailable) {
        counts.failed += 1;
        return release(deps, id, UNAVAILABLE_RETRY_MS, { isUncounted: true });
      }
      const hasEnded = error instanceof ProcessEnded;
      if (!hasEnded) log.warn({ err: error, attachmentId: id }, 'a file could not be processed');
      await fail(claimed, String(error), hasEnded ? 0 : RETRY_MS);
    }
  }

  /** Ends an attempt that has failed. A further one follows unless there were several. */
  async function fail({ id, tries }: Claimed, reason: string, afterMs: number): Promise<void> {
    if (tries < TRIES_MAX) await release(deps, id, afterMs);
    else await reject(id, reason);
    counts.failed += 1;
  }

  async function reject(id: string, reason: string): Promise<void> {
    log.info({ attachmentId: id, reason }, 'a file was rejected');
    counts.rejected += 1;
    await attachmentDone(deps, id, { state: 'REJECTED' });
  }

  const convert = ({ id, kind, byteSize, sha256, storeKey }: Claimed): Promise<Result> =>
    files.withFile(storeKey, 'upload', async (path) => {
      const danger = scanner && (await scan(scanner, id, path));
      if (danger !== undefined) return { state: 'REJECTED', reason: danger };
      const folder = dirname(path);
      // Left by a node that stopped while it processed the file.
      for (const name of await readdir(folder))
        if (name.startsWith(TEMPORARY)) await rm(join(folder, name), { force: true });
      const output = join(folder, `${TEMPORARY}${randomBytes(6).toString('hex')}-`);
      const names = ['original', 'preview', 'thumbnail', 'poster', 'frame'];
      try {
        const { mediaPixelsMax: pixelsMax, ffmpegPath } = config;
        // A part of the time limit, so that a video without a poster is not rejected.
        const timeoutMs = config.mediaProcessTimeoutMs / POSTER_SHARE;
        const ffmpeg = ffmpegPath === undefined ? null : { path: ffmpegPath, timeoutMs };
        const result = await process.run({ path, kind, byteSize, sha256, pixelsMax, output, ffmpeg });
        if (result.state !== 'READY') return result;
        const made = [...(result.isChanged ? (['original'] as const) : []), ...result.variants.map(({ name }) => name)];
        for (const name of made) await files.put(storeKey, name, `${output}${name}`);
        return result;
      } finally {
        for (const name of names) await rm(`${output}${name}`, { force: true });
      }
    });

  /** Returns why a file must be rejected; undefined if it is clean. */
  async function scan(virusScanner: VirusScanner, attachmentId: string, path: string): Promise<string | undefined> {
    try {
      const found = await virusScanner.scan(path);
      if (found.outcome === 'CLEAN') {
        counts.scans.clean += 1;
        return undefined;
      }
      if (found.outcome === 'INFECTED') {
        counts.scans.infected += 1;
        log.warn({ attachmentId, virus: found.virus }, 'a virus was found in a file');
        return `It contains the virus ${found.virus}.`;
      }
      counts.scans.failed += 1;
      log.warn({ attachmentId }, 'a file is too large for clamd: raise its StreamMaxLength');
      return 'It is too large for the virus scanner.';
    } catch (error) {
      counts.scans.failed += 1;
      throw error;
    }
  }

  database.onCommitted(uploadsCompleted, polling.wake);
  polling.wake();
  return {
    wake: polling.wake,
    counts,
    async close() {
      const closed = polling.close();
      process.close();
      scanner?.close();
      files.close();
      await closed;
    },
  };
}

export const mediaWorker = defineService('media worker', createMediaWorker);

/** The columns of a file that can be served. */
function factsToStore({ isChanged: _isChanged, state, variants, waveform = [], ...facts }: { state: 'READY' } & Facts) {
  // Without a waveform, the one of the client stays.
  return { ...facts, ...(waveform.length > 0 && { waveform }), state, variants: variants as object[] };
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

/** Extends the claim of a file that is being processed. */
async function renew({ database: { sql } }: Deps, { id, tries }: Claimed, claimMs: number): Promise<void> {
  await sql.query(Prisma.sql`
    UPDATE attachments SET claimed_until = clock_timestamp() + ${claimMs} * interval '1 millisecond'
    WHERE id = ${id}::uuid AND state = 'PROCESSING' AND tries = ${tries}::int`);
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
