import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stampedText } from '../event.mjs';
import { works } from '../machine.mjs';
import { ask, register, startNode } from '../parley.mjs';
import { postgresTimes } from '../place.mjs';
import { startServer } from '../process.mjs';
import { openSender } from '../sender.mjs';
import { median, percentile, ratioOf } from '../statistics.mjs';

/** The time between two sends, so that the notifier processes each message on its own, in milliseconds. */
const EVERY_MS = 150;
/** The number of times that each run measures both states alternately, so that other load affects both. */
const BLOCKS = 4;

export const notifications = {
  key: 'notifications',
  title: 'Notifications of a large group, and sending pushes',
  async measure({ place }, { quick, runs, say }) {
    const group = { members: quick ? 500 : 10_000, devices: quick ? 50 : 1_000, sends: quick ? 8 : 240 };
    const notified = await measureNotifier(place, group, runs, say);
    const pushed = await measureSending(quick ? 300 : 5_000, runs, say);
    const size = [group.members, 'members with', group.devices, 'devices']
      .map((part) => part.toLocaleString('en'))
      .join(' ');
    return {
      targets: [
        {
          what: `${size}: CPU of the notifier for a message, server and PostgreSQL, ms`,
          atMost: 5,
          ratio: median(notified.addedMs),
          ratios: notified.addedMs,
        },
        {
          what: `${size}: p99 of a send with the notifier compared to without`,
          atMost: 1.1,
          ...ratioOf(
            notified.on.map(({ p99 }) => p99),
            notified.off.map(({ p99 }) => p99),
          ),
        },
        ...(pushed
          ? [
              {
                what: 'pushes/s to one push service, against the package `web-push`',
                atLeast: 2,
                ...ratioOf(
                  pushed.parley.map(({ rate }) => rate),
                  pushed.package.map(({ rate }) => rate),
                ),
              },
            ]
          : []),
      ],
      tables: [
        {
          title: `A message every ${EVERY_MS} ms to a group of ${size}; ${group.sends} messages in each run`,
          head: ['', 'CPU of the server per message, ms', 'of PostgreSQL, ms', 'send p50, ms', 'send p99, ms'],
          lines: [
            ['with the notifier', notified.on],
            ['without', notified.off],
          ].map(([what, all]) => [
            what,
            ...['serverMs', 'postgresMs', 'p50', 'p99'].map((field) =>
              median(all.map((each) => each[field])).toFixed(2),
            ),
          ]),
        },
        ...(pushed
          ? [
              {
                title: '50 pushes at once to a push service that accepts all of them, over HTTPS',
                head: ['Sender', 'pushes/s', 'CPU per push, µs'],
                lines: [
                  ['**Parley**', pushed.parley],
                  ['web-push', pushed.package],
                ].map(([what, all]) => [
                  what,
                  Math.round(median(all.map(({ rate }) => rate))),
                  Math.round(median(all.map(({ cpuUs }) => cpuUs))),
                ]),
              },
            ]
          : []),
      ],
      notes: [
        'The level of all members is ALL. Their devices are paused, so that pushes are queued and collapsed but not sent. For the row “without”, the database states that another node, which does not exist, has claimed the notifier.',
        'Bodies of Parley are padded to 2,048 bytes; those of web-push are as long as their text. web-push signs each push. The push service runs on the core of the clients.',
        ...(pushed ? [] : ['Sending was not measured, because openssl is missing.']),
      ],
    };
  },
};

async function measureNotifier(place, { members, devices, sends }, runs, say) {
  const node = await startNode(place, { NOTIFICATION_LEVEL: 'ALL', PUSH_HOSTS: 'https://127.0.0.1:9' });
  const sender = await register(node.place, `notifying${randomBytes(3).toString('hex')}`);
  const conversationId = await fillGroup(place, node.place, sender, members, devices);
  const { send, close } = await openSender(node.place, sender.token);
  /** Sends messages one after another, and resolves with the times until they were answered, in milliseconds. */
  const sendMany = async (count) => {
    const times = [];
    for (let number = 0; number < count; number += 1) {
      const began = performance.now();
      await send(conversationId, stampedText(60));
      times.push(performance.now() - began);
      await delay(EVERY_MS - (performance.now() - began));
    }
    await delay(500);
    return times;
  };
  const measureBlock = async () => {
    const before = { server: node.cpu(), postgres: await postgresTimes(place) };
    const times = await sendMany(sends / BLOCKS);
    const after = { server: node.cpu(), postgres: await postgresTimes(place) };
    // A connection that was closed meanwhile is missing; those that were opened begin at zero.
    const postgres = [...(after.postgres ?? [])].map(([pid, us]) => us - (before.postgres?.get(pid) ?? 0));
    return {
      times,
      serverMs: (after.server - before.server) / 1_000 / times.length,
      postgresMs: postgres.reduce((sum, us) => sum + us, 0) / 1_000 / times.length,
    };
  };
  const seen = { on: [], off: [], addedMs: [] };
  // The first messages compile the code, and add the pushes that later ones collapse with.
  await sendMany(Math.ceil(sends / 4));
  // As autovacuum does it once a minute.
  await place.query('VACUUM ANALYZE push_jobs, push_positions, messages');
  for (let run = 1; run <= runs; run += 1) {
    const blocks = { on: [], off: [] };
    for (let block = 0; block < BLOCKS; block += 1) {
      // The order changes each time, so that neither state is always measured first.
      for (const state of block % 2 === 0 ? ['on', 'off'] : ['off', 'on']) {
        await switchNotifier(place, state === 'on');
        await sendMany(2);
        blocks[state].push(await measureBlock());
      }
    }
    for (const [state, those] of Object.entries(blocks)) {
      const times = those.flatMap((block) => block.times);
      seen[state].push({
        serverMs: median(those.map(({ serverMs }) => serverMs)),
        postgresMs: median(those.map(({ postgresMs }) => postgresMs)),
        p50: percentile(times, 0.5),
        p99: percentile(times, 0.99),
      });
    }
    const cpu = ({ serverMs, postgresMs }) => serverMs + postgresMs;
    seen.addedMs.push(median(blocks.on.map((block, index) => cpu(block) - cpu(blocks.off[index]))));
    const [on, off] = [seen.on.at(-1), seen.off.at(-1)];
    const figures = ({ serverMs, postgresMs, p99 }) =>
      `${serverMs.toFixed(2)} + ${postgresMs.toFixed(2)} ms of CPU per message, p99 ${p99.toFixed(1)} ms`;
    say(`notifications, run ${run}: with ${figures(on)}; without ${figures(off)}`);
  }
  close();
  const [{ jobs }] = await place.query('SELECT count(*)::int AS jobs FROM push_jobs');
  if (jobs !== devices) throw new Error(`${jobs} pushes are queued for ${devices} devices`);
  await node.stop();
  return seen;
}

/** Lets the node be the notifier from the present on, or pretends that another node is. */
async function switchNotifier(place, isOn) {
  await place.query(`
    UPDATE notifier_state SET claimed_by = 'bench', seen = pg_current_snapshot()::text, target = NULL, after_xid = NULL,
      after_log_id = NULL, after_change_seq = NULL,
      claimed_until = clock_timestamp() + interval '${isOn ? -1 : 86_400} seconds'`);
  const isOther = async () => (await place.query(`SELECT claimed_by = 'bench' AS other FROM notifier_state`))[0].other;
  // A node checks every two seconds for a notifier that has crashed.
  for (let tries = 0; isOn && (await isOther()); tries += 1) {
    if (tries === 100) throw new Error('the node does not become the notifier');
    await delay(100);
  }
}

/** Creates a group with members who are stored directly, some of whom have a device each. */
export async function fillGroup(place, url, owner, members, devices) {
  const data = await ask(
    url,
    'mutation { createGroup(input: { title: "Everybody is notified", memberIds: [] }) { conversation { id } } }',
    {},
    owner.token,
  );
  const { id } = data.createGroup.conversation;
  const [{ group }] = await place.query(`SELECT id AS group FROM conversations WHERE title = 'Everybody is notified'`);
  await place.query(`
    INSERT INTO users (id, username, username_key, display_name, search_words)
    SELECT gen_random_uuid(), 'notified' || n, 'notified' || n, 'Notified ' || n, ARRAY['notified' || n]
    FROM generate_series(1, ${members - 1}) n`);
  await place.query(
    `INSERT INTO memberships (id, conversation_id, user_id)
     SELECT gen_random_uuid(), $1, id FROM users WHERE username_key LIKE 'notified%' AND display_name LIKE 'Notified %'`,
    [group],
  );
  await place.query(
    `INSERT INTO marks (conversation_id, user_id)
     SELECT conversation_id, user_id FROM memberships WHERE conversation_id = $1 ON CONFLICT DO NOTHING`,
    [group],
  );
  await place.query('UPDATE conversations SET member_count = $2 WHERE id = $1', [group, members]);
  await place.query(`
    INSERT INTO sessions (id, user_id, refresh_family_hash, refresh_hash, expires_at)
    SELECT gen_random_uuid(), id, sha256(id::text::bytea), sha256(id::text::bytea), now() + interval '30 days'
    FROM users WHERE display_name LIKE 'Notified %' ORDER BY md5(id::text) LIMIT ${devices}`);
  await place.query(`
    INSERT INTO push_subscriptions (id, user_id, session_id, kind, endpoint, p256dh, auth, paused_until)
    SELECT gen_random_uuid(), sessions.user_id, sessions.id, 'WEB', 'https://127.0.0.1:9/' || sessions.id,
           '\\x04', '\\x00', now() + interval '30 days'
    FROM sessions JOIN users ON users.id = sessions.user_id WHERE users.display_name LIKE 'Notified %'`);
  for (const table of ['users', 'memberships', 'marks', 'conversations', 'sessions', 'push_subscriptions']) {
    await place.query(`VACUUM ANALYZE ${table}`);
  }
  return id;
}

/** Sends pushes with both senders alternately; undefined if no certificate can be made. */
async function measureSending(pushes, runs, say) {
  if (!works('openssl', ['version'])) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'parley-bench-'));
  const file = (name) => fileURLToPath(new URL(`../servers/${name}.mjs`, import.meta.url));
  const pem = join(folder, 'sink.pem');
  try {
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    execFileSync('openssl', ['req', '-x509', ...key, '-days', '2', ...subject, '-keyout', pem, '-out', `${pem}.crt`], {
      stdio: 'ignore',
    });
    execFileSync('sh', ['-c', 'cat "$0.crt" >> "$0"', pem]);
    const sink = await startServer(file('push-sink'), { env: { CERTIFICATE: pem }, core: 'client' });
    const env = { SINK: `https://127.0.0.1:${sink.place}`, NODE_EXTRA_CA_CERTS: `${pem}.crt` };
    const senders = {
      parley: await startServer(file('push-sender'), { env: { ...env, KIND: 'parley' } }),
      package: await startServer(file('push-sender'), { env: { ...env, KIND: 'package' } }),
    };
    const seen = { parley: [], package: [] };
    for (let run = 0; run <= runs; run += 1) {
      for (const [kind, server] of Object.entries(senders)) {
        const { ms, cpuMs } = await server.request({ pushes: run === 0 ? Math.ceil(pushes / 4) : pushes }, 'sent');
        // The first run is a warm-up.
        if (run === 0) continue;
        seen[kind].push({ rate: (1_000 * pushes) / ms, cpuUs: (1_000 * cpuMs) / pushes });
        say(`notifications, run ${run}, ${kind}: ${Math.round((1_000 * pushes) / ms)} pushes/s`);
      }
    }
    for (const server of [...Object.values(senders), sink]) await server.stop();
    return seen;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
