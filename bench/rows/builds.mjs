import { openDevice } from '../device.mjs';
import { ask, startNode } from '../parley.mjs';
import { postgresCpu } from '../place.mjs';
import { comparison } from '../statistics.mjs';

const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }';
const REACT = 'mutation ($input: AddReactionInput!) { addReaction(input: $input) { message { id } } }';
const CURSOR = '{ viewer { syncCursor } }';
const MESSAGES =
  'subscription ($id: ID!, $after: String) { messages(conversationId: $id, after: $after) { type changeSeq message { id seq text } } }';

/** The rounds of sends and of replays of one measurement. */
const AT_ONCE = 32;

/** Compares this build with an earlier one in another directory (`--before`): what a send and a replay cost. */
export const builds = {
  key: 'builds',
  title: 'Compared with an earlier build',
  async measure(world, { before, quick, runs, say }) {
    const sizes = quick ? { sends: 200, changes: 50, replays: 3 } : { sends: 5_000, changes: 500, replays: 40 };
    const seen = { before: [], now: [] };
    for (let run = 1; run <= runs; run += 1) {
      for (const [key, build] of Object.entries({ before, now: undefined })) {
        seen[key].push(await measureBuild(world, build, sizes));
        const { send, replay } = seen[key].at(-1);
        say(`builds, run ${run}, ${key}: ${send.toFixed(0)} µs per send, ${replay.toFixed(1)} µs per replayed change`);
      }
    }
    const of = (key, field) => seen[key].map((each) => each[field]);
    return {
      tables: [
        comparison('µs of CPU of the server and PostgreSQL', [
          ['per send', of('before', 'send'), of('now', 'send'), 1],
          ['per replayed change of a message', of('before', 'replay'), of('now', 'replay'), 1],
        ]),
      ],
      notes: [
        `Reactions to ${sizes.changes} messages are replayed to ${sizes.replays} subscribers, one after another.`,
      ],
    };
  },
};

async function measureBuild({ place, rooms, people: [person] }, build, { sends, changes, replays }) {
  const node = await startNode(place, {}, build);
  const device = await openDevice(node.place, person.token);
  const { id: conversationId } = rooms.empty;
  const cpu = async () => node.cpu() + ((await postgresCpu(place)) ?? 0);
  const repeat = async (count, work) => {
    let left = count;
    const each = async () => {
      while (left > 0) {
        left -= 1;
        await work(left);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, each));
  };
  const ids = [];
  const sendOne = async () => {
    const input = { conversationId, text: 'a message as people write them to each other on some day' };
    ids.push((await device.ask(SEND, { input })).sendMessage.message.id);
  };
  await repeat(sends, sendOne);
  const beforeSends = await cpu();
  await repeat(sends, sendOne);
  const send = ((await cpu()) - beforeSends) / sends;
  const after = (await ask(node.place, CURSOR, {}, person.token)).viewer.syncCursor;
  await repeat(changes, (index) => device.ask(REACT, { input: { messageId: ids[index], emoji: '👍' } }));
  /** Returns the number of replayed changes: the cursor is as old as the last sweep, so that some sends are among them. */
  const replayAll = async (count) => {
    let replayed = 0;
    for (let each = 0; each < count; each += 1) {
      const reader = await openDevice(node.place, person.token);
      await new Promise((resolve) => {
        reader.subscribe(MESSAGES, { id: conversationId, after }, ({ type }) => {
          if (type === 'CAUGHT_UP') resolve();
          else replayed += 1;
        });
      });
      reader.close();
    }
    return replayed;
  };
  await replayAll(Math.ceil(replays / 4));
  const beforeReplays = await cpu();
  const replayed = await replayAll(replays);
  const replay = ((await cpu()) - beforeReplays) / replayed;
  device.close();
  await node.stop();
  return { send, replay };
}
