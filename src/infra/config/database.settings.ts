import { z } from 'zod';
import { ConfigError } from './config-error.js';
import { parseDatabaseUrl } from './database-url.js';
import { defineSettings, setting } from './define-settings.js';
import { duration, flag, integer, type Kind, text, textThat } from './kinds.js';
import { redisOptions } from './redis-options.js';

const databaseUrl: Kind<string> = {
  form: 'a `postgresql://` URL',
  schema: z.string().superRefine((url, context) => {
    try {
      parseDatabaseUrl(url);
    } catch (error) {
      context.addIssue((error as Error).message);
    }
  }),
  suffix: '',
};

export const databaseSettings = defineSettings(
  'Database and Redis',
  {
    DATABASE_URL: setting(databaseUrl, {
      description:
        'The PostgreSQL database (version 15 or newer), in the form that libpq and Prisma use. See docs/OPERATIONS.md#database_url.',
      whenUnset: 'an embedded database ([PGlite](https://pglite.dev)) in `DATA_DIR`',
      example: 'postgresql://user:password@host:5432/database',
      perNode: true,
    }),
    DATABASE_POOL_MAX: setting(integer(2, 500), {
      default: '10',
      description: 'The maximum number of PostgreSQL connections of one node.',
      perNode: true,
    }),
    DATABASE_PREPARED: setting(flag, {
      default: 'on',
      description:
        'Whether the most frequent statements are prepared once per connection. Set it to `off` behind a pooler that does not support prepared statements, such as PgBouncer before 1.21 in transaction mode.',
      perNode: true,
    }),
    DATABASE_STATEMENT_TIMEOUT: setting(duration(), {
      default: '20s',
      description:
        'How long a statement may take before its connection counts as dead and the call fails with `UNAVAILABLE`. The periodic check for changes has half of this time. Migrations have no limit.',
    }),
    DATA_DIR: setting(text, {
      default: '.data',
      description:
        'The folder of the embedded database, of a generated `JWT_SECRET`, and of emails that are not sent because no `SMTP_URL` is set. Only one process at a time may use it. At each start it is made inaccessible to other users of the machine.',
      perNode: true,
    }),
    DATA_DIR_MIN_FREE_BYTES: setting(integer(0, 1_099_511_627_776), {
      default: '134217728',
      description:
        'The disk space in bytes that the embedded database leaves free. With less, writes fail with `UNAVAILABLE` and reads continue. 0 disables the check.',
    }),
    DATA_DIR_CACHE_BYTES: setting(integer(1_048_576, 1_073_741_824), {
      default: '33554432',
      description:
        'The memory in bytes in which the embedded database caches pages (`shared_buffers`). It is allocated and cleared at each start.',
      perNode: true,
    }),
    REDIS_URL: setting(
      textThat(
        'a redis:// or rediss:// URL, redis://user:password@host:6379/0, or unix:///path/to/socket?db=0',
        (url) => redisOptions(url) !== undefined,
      ),
      {
        description:
          'The Redis server (version 6.2 or newer) that carries events between nodes and counts rates for all of them: `redis://`, `rediss://` for TLS, or `unix:///path/to/socket`. Requires `DATABASE_URL`. See docs/OPERATIONS.md#redis_url.',
        whenUnset: 'a single node, which needs no Redis',
        example: 'redis://user:password@host:6379/0',
      },
    ),
    REDIS_PREFIX: setting(
      textThat('1 to 64 letters, digits or _ . - characters', (prefix) => /^[\w.-]{1,64}$/.test(prefix)),
      { default: 'parley', description: 'The prefix of all Redis channels and keys.' },
    ),
  },
  (values) => {
    if (values.redisUrl !== undefined && values.databaseUrl === undefined) {
      throw new ConfigError('REDIS_URL: requires DATABASE_URL: nodes that share events must share a database');
    }
    return values;
  },
);
