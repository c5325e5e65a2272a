import { randomBytes } from 'node:crypto';
import { openDevice } from '../device.mjs';
import { makeGroup, startNode } from '../parley.mjs';
import { postgresCpu } from '../place.mjs';
import { median, ratioOf } from '../statistics.mjs';

const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }';
const REGISTER = 'mutation ($input: RegisterDeviceInput!) { registerDevice(input: $input) { device { id } } }';
const ENABLE = 'mutation ($input: EnableEncryptionInput!) { enableEncryption(input: $input) { __typename } }';
const COMMIT = 'mutation ($input: CommitGroupInput!) { commitGroup(input: $input) { commit { id } } }';

const AT_ONCE = 32;
/** The size of an encrypted message of about 120 characters, padded. */
const CONTENT_BYTES = 240;
/** The sizes of a commit that renews the keys of a device in a small group, and of the group info, which together are sent. */
const COMMIT_BYTES = 500;
const GROUP_INFO_BYTES = 700;

const bytes = (length) => randomBytes(length).toString('base64url');

export const encryption = {
  key: 'encryption',
  title: 'Encrypted messages and commits',
  async measure({ place, people }, { quick, runs, say }) {
    const sizes = { sends: quick ? 200 : 4_000, commits: quick ? 40 : 400 };
    const node = await startNode(place);
    const [person] = people;
    const device = await openDevice(node.place, person.token);
    const seen = { plain: [], sealed: [], large: [], commit: [] };
    try {
      const plain = await makeGroup(node.place, people.slice(0, 5), 'Plain');
      const sealed = await makeGroup(node.place, people.slice(0, 5), 'Encrypted');
      const commits = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, number) => makeGroup(node.place, people.slice(0, 5), `Commits ${number}`)),
      );
      const registered = await device.ask(REGISTER, { input: { signatureKey: bytes(32), certificate: bytes(96) } });
      const deviceId = registered.registerDevice.device.id;
      const epochs = new Map();
      const commit = ({ id: conversationId }) => {
        const epoch = epochs.get(conversationId) ?? 0;
        epochs.set(conversationId, epoch + 1);
        const content = { commit: bytes(COMMIT_BYTES), groupInfo: bytes(GROUP_INFO_BYTES) };
        return device.ask(COMMIT, { input: { conversationId, deviceId, generation: 1, epoch, ...content } });
      };
      for (const group of [sealed, ...commits]) {
        await device.ask(ENABLE, { input: { conversationId: group.id } });
        await commit(group);
      }
      const sendPlain = (length) => () =>
        device.ask(SEND, { input: { conversationId: plain.id, clientMessageId: bytes(16), text: bytes(length) } });
      const sendSealed = () =>
        device.ask(SEND, {
          input: {
            conversationId: sealed.id,
            clientMessageId: bytes(16),
            encrypted: { generation: 1, epoch: 1, deviceId, content: bytes(CONTENT_BYTES) },
          },
        });
      const cpu = async () => ({ server: node.cpu(), postgres: (await postgresCpu(place)) ?? 0 });
      const costOf = async (count, work) => {
        await inParallel(Math.ceil(count / 4), work);
        const before = await cpu();
        await inParallel(count, work);
        const after = await cpu();
        return { server: (after.server - before.server) / count, postgres: (after.postgres - before.postgres) / count };
      };
      for (let run = 1; run <= runs; run += 1) {
        seen.plain.push(await costOf(sizes.sends, sendPlain(CONTENT_BYTES)));
        seen.sealed.push(await costOf(sizes.sends, sendSealed));
        seen.large.push(await costOf(sizes.commits, sendPlain(COMMIT_BYTES + GROUP_INFO_BYTES)));
        // One commit at a time in each conversation.
        seen.commit.push(await costOf(sizes.commits, (_index, worker) => commit(commits[worker])));
        say(
          `encryption, run ${run}: ${Object.entries(seen)
            .map(([key, all]) => `${key} ${all.at(-1).server.toFixed(0)} µs`)
            .join(', ')} of the server`,
        );
      }
    } finally {
      device.close();
      await node.stop();
    }
    const of = (key, field) => seen[key].map((each) => each[field]);
    return {
      targets: [
        {
          what: 'an encrypted send against a plain one of equal bytes: CPU of the server',
          atMost: 1.1,
          ...ratioOf(of('sealed', 'server'), of('plain', 'server')),
        },
        {
          what: 'a commit against a plain send of equal bytes: CPU of the server',
          atMost: 3,
          ...ratioOf(of('commit', 'server'), of('large', 'server')),
        },
      ],
      tables: [
        {
          title: `${AT_ONCE} in flight over one WebSocket; µs of CPU`,
          head: ['', 'server', 'PostgreSQL'],
          lines: [
            [`plain send, ${CONTENT_BYTES} bytes`, 'plain'],
            [`encrypted send, ${CONTENT_BYTES} bytes`, 'sealed'],
            [`plain send, ${COMMIT_BYTES + GROUP_INFO_BYTES} bytes`, 'large'],
            [`commit, ${COMMIT_BYTES} bytes, with a group info of ${GROUP_INFO_BYTES} bytes`, 'commit'],
          ].map(([title, key]) => [title, ...['server', 'postgres'].map((field) => median(of(key, field)).toFixed(0))]),
        },
      ],
      notes: [
        'Sends go to one conversation of five members, commits to 32 such conversations, one at a time in each. All bytes are random and in base64url, also the texts of plain messages.',
      ],
    };
  },
};

/** Runs the work this number of times, some at once. It receives the number of the run and of the worker. */
async function inParallel(count, work) {
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async (_, worker) => {
      while (next < count) {
        next += 1;
        await work(next, worker);
      }
    }),
  );
}
