import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { decodeGlobalId, encodeGlobalId } from '../../dist/core/ids.js';
import { createMediaProcess } from '../../dist/domain/media/media.processes.js';
import { measureDeliveries } from '../deliveries.mjs';
import { openDevice } from '../device.mjs';
import { drive } from '../drive.mjs';
import { atEnd } from '../ending.mjs';
import { stampedText } from '../event.mjs';
import { ask, startNode, startParley } from '../parley.mjs';
import { startServer } from '../process.mjs';
import { median, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

const MiB = 1024 * 1024;
/** The number of parts that the client sends at the same time. */
const PARTS_AT_ONCE = 4;
const READS = 3;
const FIELDS =
  'attachments { id kind state filename contentType byteSize width height thumbHash path variants { name width height path } }';
const fileOf = (name) => fileURLToPath(new URL(`../servers/${name}`, import.meta.url));

export const media = {
  key: 'media',
  title: 'Files',
  async measure(world, { audiences: [audience], quick, runs, seconds, warmUp, say }) {
    const folder = await mkdtemp(join(tmpdir(), 'parley-bench-media-'));
    atEnd(() => rm(folder, { recursive: true, force: true }));
    const bytes = randomBytes((quick ? 4 : 64) * MiB);
    const pictures = quick ? 3 : 15;
    const picture = join(folder, 'picture.jpg');
    // As large as the photos of telephones.
    const noise = { type: 'gaussian', mean: 128, sigma: 30 };
    await sharp({ create: { width: 4_000, height: 3_000, channels: 3, background: 'gray', noise } })
      .blur(2)
      .jpeg({ quality: 85 })
      .toFile(picture);
    const seen = {};
    const note = (results) => {
      for (const [key, value] of Object.entries(results)) seen[key] = [...(seen[key] ?? []), value];
    };
    for (let run = 1; run <= runs; run += 1) {
      note(await transferOurs(world, folder, bytes));
      note(await transferBare(folder, bytes));
      note(await variantsOurs(folder, picture, pictures));
      note(await variantsBare(folder, picture, pictures));
      note({ plain: await deliver(world, { audience, seconds, warmUp, isAttached: false }) });
      note({ attached: await deliver(world, { audience, seconds, warmUp, isAttached: true }) });
      const last = (key) => seen[key].at(-1);
      say(
        `files, run ${run}: upload ${last('upload').toFixed(0)} MiB/s, in turn ${last('uploadInTurn').toFixed(0)} (bare ${last('bareUpload').toFixed(0)}), ` +
          `read ${last('read').toFixed(0)} (bare ${last('bareRead').toFixed(0)}), ` +
          `variants ${last('variants').toFixed(0)} ms (sharp ${last('sharp').toFixed(0)}), ` +
          `delivery with an attachment ${last('attached').cpu.toFixed(2)} µs (without ${last('plain').cpu.toFixed(2)})`,
      );
    }
    const costs = (key, field) => seen[key].map((each) => each[field]);
    const size = `${bytes.length / MiB} MiB`;
    return {
      targets: [
        {
          what: `upload of ${size} in parts, against \`pipeline(request, file)\` and fsync`,
          atLeast: 0.8,
          ...ratioOf(seen.upload, seen.bareUpload),
        },
        {
          what: `download of ${size}, against a bare \`createReadStream\``,
          atLeast: 0.85,
          ...ratioOf(seen.read, seen.bareRead),
        },
        {
          what: 'a photo of 12 megapixels: time until its variants are there, against sharp alone',
          atMost: 1.25,
          ...ratioOf(seen.variants, seen.sharp),
        },
        {
          what: `${audience} subscribers: CPU of a delivery with an attachment, compared to without`,
          atMost: 1.15,
          ...ratioOf(costs('attached', 'cpu'), costs('plain', 'cpu')),
        },
      ],
      tables: [
        {
          title: 'MiB per second',
          head: ['', 'upload', 'upload, one part at a time', 'download'],
          lines: [
            ['**Parley**', ...['upload', 'uploadInTurn', 'read'].map((key) => median(seen[key]).toFixed(0))],
            ['bare', median(seen.bareUpload).toFixed(0), '', median(seen.bareRead).toFixed(0)],
          ],
        },
        {
          title: 'µs of server CPU',
          head: ['', 'per delivery', 'per send'],
          lines: ['plain', 'attached'].map((key) => [
            key === 'plain' ? 'a message without attachments' : 'a message with an attachment',
            ...['cpu', 'cpuPerSend'].map((field) => median(costs(key, field)).toFixed(2)),
          ]),
        },
      ],
      notes: [
        `Parley: from \`createUpload\` to the response of \`completeUpload\`, ${PARTS_AT_ONCE} parts at a time with the default sizes of parts, each of which is synchronized to disk before its response. \`@parley/client\` sends one part at a time, so that an interruption costs at most one. The bare server receives one request and synchronizes once.`,
        `Downloads: ${READS} in succession over one connection, with the access token in the header.`,
        'Variants: the same two sizes in WebP on one thread. Parley also checks the file, removes its metadata and computes a ThumbHash.',
      ],
    };
  },
};

/** Sends an HTTP request, and resolves with the number of bytes of the response. */
function transfer(url, { agent, method = 'GET', token, body }) {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body ? { 'content-length': body.length } : {}),
    };
    const sending = httpRequest(url, { agent, method, headers }, (response) => {
      if (response.statusCode >= 300) reject(new Error(`${method} ${url}: ${response.statusCode}`));
      let received = 0;
      response.on('data', (chunk) => {
        received += chunk.length;
      });
      response.on('end', () => resolve(received));
    });
    sending.on('error', reject);
    sending.end(body);
  });
}

/** The throughput of some work in MiB per second. */
async function rateOf(byteCount, work) {
  const began = performance.now();
  await work();
  return byteCount / MiB / ((performance.now() - began) / 1_000);
}

const read = (url, bytes, more) =>
  rateOf(READS * bytes.length, async () => {
    for (let each = 0; each < READS; each += 1) {
      const received = await transfer(url, more);
      if (received !== bytes.length) throw new Error(`${received} bytes came`);
    }
  });

async function transferOurs({ place, people: [{ token }] }, folder, bytes) {
  const node = await startNode(place, { MEDIA_DIR: join(folder, 'media') });
  const agent = new Agent({ keepAlive: true, maxSockets: PARTS_AT_ONCE });
  const call = (query, input) => ask(node.place, query, { input }, token);
  const create = () =>
    call(
      'mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { attachment { id path } missingParts { url offset byteSize } } } }',
      { clientUploadId: randomBytes(9).toString('hex'), kind: 'FILE', filename: 'file', byteSize: bytes.length },
    );
  let attachment;
  const send = (atOnce) =>
    rateOf(bytes.length, async () => {
      const made = (await create()).createUpload.upload;
      attachment = made.attachment;
      const parts = made.missingParts;
      const work = async () => {
        for (let part = parts.shift(); part; part = parts.shift()) {
          const body = bytes.subarray(part.offset, part.offset + part.byteSize);
          await transfer(new URL(part.url, node.place), { agent, method: 'PUT', body });
        }
      };
      await Promise.all(Array.from({ length: atOnce }, work));
      await call('mutation ($input: CompleteUploadInput!) { completeUpload(input: $input) { attachment { id } } }', {
        attachmentId: attachment.id,
      });
    });
  // Once without measuring, so that the code is compiled.
  await send(PARTS_AT_ONCE);
  const upload = await send(PARTS_AT_ONCE);
  const uploadInTurn = await send(1);
  const state = 'query ($id: ID!) { node(id: $id) { ... on Attachment { state } } }';
  while ((await ask(node.place, state, { id: attachment.id }, token)).node.state !== 'READY') {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const result = {
    upload,
    uploadInTurn,
    read: await read(new URL(attachment.path, node.place), bytes, { agent, token }),
  };
  agent.destroy();
  await node.stop();
  return result;
}

async function transferBare(folder, bytes) {
  const server = await startServer(fileOf('bare-files.mjs'), { env: { FOLDER: folder } });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const url = `http://127.0.0.1:${server.place}/bare`;
  const send = () => rateOf(bytes.length, () => transfer(url, { agent, method: 'PUT', body: bytes }));
  await send();
  const bareUpload = await send();
  const result = { bareUpload, bareRead: await read(url, bytes, { agent }) };
  agent.destroy();
  await server.stop();
  return result;
}

/** The median duration of some work in milliseconds, after it has been done once. */
async function durationOf(times, work) {
  await work();
  const took = [];
  for (let each = 0; each < times; each += 1) {
    const began = performance.now();
    await work();
    took.push(performance.now() - began);
  }
  return median(took);
}

async function variantsOurs(folder, path, times) {
  const made = createMediaProcess(60_000);
  const job = { path, kind: 'IMAGE', sha256: null, pixelsMax: 50_000_000, output: join(folder, 'ours-'), ffmpeg: null };
  const { size: byteSize } = await stat(path);
  const variants = await durationOf(times, async () => {
    const { state, reason } = await made.run({ ...job, byteSize });
    if (state !== 'READY') throw new Error(`${state}: ${reason}`);
  });
  made.close();
  return { variants };
}

async function variantsBare(folder, path, times) {
  const server = await startServer(fileOf('sharp-alone.mjs'), {});
  const bare = await durationOf(times, () => server.request({ path, output: join(folder, 'bare-') }, 'made'));
  await server.stop();
  return { sharp: bare };
}

async function deliver(world, { audience, seconds, warmUp, isAttached }) {
  const subject = await startSending(world, isAttached);
  const subscribers = await subscribe(subject.plans('full', audience, FIELDS));
  await drive(subject, subscribers, { inFlight: 1, seconds: warmUp });
  const result = await measureDeliveries(subject, subscribers, { inFlight: 1, seconds });
  await subscribers.stop();
  await subject.stop();
  return result;
}

const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id seq } } }';

/** Starts Parley. Its messages have an attachment each, which has been uploaded before. */
async function startSending(world, isAttached) {
  const subject = await startParley(world);
  const [person] = world.people;
  const device = await openDevice(subject.url, person.token);
  const uploads = [];
  return {
    ...subject,
    async send(room) {
      if (isAttached && uploads.length === 0) uploads.push(...(await insertUploads(world.place, person)));
      const input = {
        conversationId: world.rooms[room].id,
        text: stampedText(world.textLength),
        ...(isAttached ? { attachmentIds: [uploads.pop()] } : {}),
      };
      await device.ask(SEND, { input });
    },
    async stop() {
      device.close();
      await subject.stop();
    },
  };
}

/** Inserts images as if the user had uploaded them, and returns their ids. */
async function insertUploads({ query }, { id }) {
  const rows = await query(
    `INSERT INTO attachments (id, uploader_id, client_upload_id, input_hash, kind, state, filename, content_type, byte_size,
                              part_bytes, store_key, width, height, thumb_hash, variants)
     SELECT gen_random_uuid(), $1, gen_random_uuid()::text, '', 'IMAGE', 'READY', 'IMG_2031.jpg', 'image/jpeg', 2400000,
            1048576, md5(random()::text), 4000, 3000, '1QcSHQRnh493V4dIh4eXh1h4kJUI',
            '[{"name":"preview","contentType":"image/webp","width":1280,"height":960,"byteSize":90000},
              {"name":"thumbnail","contentType":"image/webp","width":320,"height":240,"byteSize":9000}]'
     FROM generate_series(1, 1000) RETURNING id`,
    [decodeGlobalId(id, 'id').id],
  );
  return rows.map((row) => encodeGlobalId('Attachment', row.id));
}
