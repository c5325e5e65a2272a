// `npm run media -- verify [--delete-orphans]`: compares the stored files with the database. The exit status is 0 if they
// agree.

import { readConfig } from './app/config.js';
import { exitWithError } from './app/exit.js';
import { startServices } from './app/node.js';
import { encodeGlobalId } from './core/ids.js';
import { deleteOrdered } from './domain/media/media.deletions.js';
import { mediaStore } from './domain/media/media.files.js';
import { deleteOrphans, verifyMedia } from './domain/media/media.verify.js';
import { ConfigError } from './infra/config/config-error.js';
import { createLog } from './infra/telemetry/log.js';

// Files in DATA_DIR are accessible to their owner only.
process.umask(0o077);
try {
  const [command, option, ...others] = process.argv.slice(2);
  if (command !== 'verify' || ![undefined, '--delete-orphans'].includes(option) || others.length > 0) {
    throw new ConfigError('usage: npm run media -- verify [--delete-orphans]');
  }
  const { deps, close } = await startServices(readConfig(process.env), createLog('warn'));
  try {
    const store = mediaStore.of(deps);
    if (!store) throw new ConfigError('neither MEDIA_DIR nor S3_BUCKET is set: this server stores no files');
    const { attachments, orphans, damaged } = await verifyMedia(deps, store);
    for (const { id, object, expected, found } of damaged) {
      const name = `${encodeGlobalId('Attachment', id)}/${object}`;
      console.log(
        found === undefined ? `missing: ${name}` : `damaged: ${name} has ${found} bytes instead of ${expected}`,
      );
    }
    for (const key of orphans) console.log(`orphan: ${key}`);
    console.log(`${attachments} attachments, ${damaged.length} damaged or missing objects, ${orphans.length} orphans`);
    const isDeleting = option !== undefined;
    if (isDeleting) {
      await deleteOrphans(deps, orphans);
      console.log(`${await deleteOrdered(deps, store)} deleted`);
    }
    process.exitCode = damaged.length > 0 || (orphans.length > 0 && !isDeleting) ? 1 : 0;
  } finally {
    await close();
  }
} catch (error) {
  exitWithError(error);
}
