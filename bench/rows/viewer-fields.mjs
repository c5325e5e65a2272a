import { measureDeliveries } from '../deliveries.mjs';
import { openDevice } from '../device.mjs';
import { drive } from '../drive.mjs';
import { changesOf } from '../event.mjs';
import { startParley } from '../parley.mjs';
import { median, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

/** Fields of a message that differ between viewers and that most frontends request. */
const wanted = ['viewerReactions', 'viewerCanDelete'];

export const viewerFields = {
  key: 'viewer-fields',
  title: 'Fields that depend on the viewer',
  async measure(world, { audiences: [audience], runs, seconds, warmUp, say }) {
    const seen = { SENT: { without: [], with: [] }, REACTED: { without: [], with: [] } };
    for (let run = 1; run <= runs; run += 1) {
      for (const [key, fields] of Object.entries({ without: '', with: wanted.join(' ') })) {
        for (const [type, start] of [
          ['SENT', startParley],
          ['REACTED', startReacting],
        ]) {
          const { cpu } = await measure(await start(world), type, { audience, fields, seconds, warmUp });
          seen[type][key].push(cpu);
          say(`viewer fields, run ${run}, ${type} ${key}: ${cpu.toFixed(2)} µs`);
        }
      }
    }
    const ratio = (type) => ratioOf(seen[type].with, seen[type].without);
    const named = `\`${wanted.join('` and `')}\``;
    return {
      targets: [
        {
          what: `${audience} subscribers, SENT events with ${named} compared to without`,
          atMost: 1.3,
          ...ratio('SENT'),
        },
        {
          what: `${audience} subscribers, reactions by one of them with ${named} compared to without`,
          atMost: 1.5,
          ...ratio('REACTED'),
        },
      ],
      tables: Object.entries(seen).map(([type, found]) => ({
        title: `${type} to ${audience} subscribers, one at a time; µs of server CPU per delivery`,
        head: ['', 'µs', 'ratio'],
        lines: [
          ['without', median(found.without).toFixed(2), '1.00'],
          [
            `with \`${wanted.join('`, `')}\``,
            median(found.with).toFixed(2),
            ratioOf(found.with, found.without).ratio.toFixed(2),
          ],
        ],
      })),
      notes: [
        'One of the subscribers adds and removes a reaction in turn; the plain fragment also contains `reactions`.',
      ],
    };
  },
};

/**
 * Starts Parley with reactions instead of sends: a subscriber reacts to a message and removes the reaction,
 * alternately.
 */
async function startReacting(world) {
  const subject = await startParley(world);
  const device = await openDevice(subject.url, world.people[0].token);
  const messages = {};
  for (const [room, { id: conversationId }] of Object.entries({ full: world.rooms.full, empty: world.rooms.empty })) {
    const input = { conversationId, text: 'to be reacted to, as people do it with what somebody has said to them' };
    const { sendMessage } = await device.ask(SEND, { input });
    messages[room] = { id: sendMessage.message.id, next: 'addReaction' };
  }
  return {
    ...subject,
    plans: (room, count, fields) => subject.plans(room, count, undefined, changesOf(fields)),
    async send(room) {
      const message = messages[room];
      const act = message.next;
      message.next = act === 'addReaction' ? 'removeReaction' : 'addReaction';
      await device.ask(REACT[act], { input: { messageId: message.id, emoji: '👍' } });
    },
    async stop() {
      device.close();
      await subject.stop();
    },
  };
}

const SEND = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }';
const REACT = {
  addReaction: 'mutation ($input: AddReactionInput!) { addReaction(input: $input) { message { id } } }',
  removeReaction: 'mutation ($input: RemoveReactionInput!) { removeReaction(input: $input) { message { id } } }',
};

async function measure(subject, type, { audience, fields, seconds, warmUp }) {
  const subscribers = await subscribe(subject.plans('full', audience, fields), { marker: `"${type}"` });
  await drive(subject, subscribers, { inFlight: 1, seconds: warmUp });
  const result = await measureDeliveries(subject, subscribers, { inFlight: 1, seconds });
  await subscribers.stop();
  await subject.stop();
  return result;
}
