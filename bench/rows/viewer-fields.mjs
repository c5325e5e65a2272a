import { measureDeliveries } from '../deliveries.mjs';
import { drive } from '../drive.mjs';
import { ask, startNode, startParley } from '../parley.mjs';
import { median, ratioOf } from '../statistics.mjs';
import { subscribe } from '../subscribers.mjs';

/** Fields of a message that differ from viewer to viewer and stand in every frontend's fragment. */
const wanted = ['viewerReactions', 'viewerCanDelete'];

export const viewerFields = {
  key: 'viewer-fields',
  title: 'The same with fields that depend on the viewer',
  async measure(world, { audiences: [audience], runs, seconds, warmUp, say }) {
    const { there, lacking } = await findFields(world.place);
    const seen = { without: [], with: [] };
    for (let run = 1; run <= runs; run += 1) {
      for (const [key, fields] of Object.entries({ without: '', with: there.join(' ') })) {
        const { cpu } = await measure(await startParley(world), { audience, fields, seconds, warmUp });
        seen[key].push(cpu);
        say(`viewer fields, run ${run}, ${key}: ${cpu.toFixed(2)} µs`);
      }
    }
    return {
      targets: [
        {
          what: `${audience} subscribers, SENT events with \`${wanted.join('` and `')}\` against without`,
          atMost: 1.3,
          // Without all of them it is another question.
          ...(lacking.length === 0 ? ratioOf(seen.with, seen.without) : {}),
        },
      ],
      tables: [
        {
          title: `${audience} subscribers, one at a time; µs of server CPU per delivery`,
          head: ['', 'µs', 'ratio'],
          lines: [
            ['without', median(seen.without).toFixed(2), '1.00'],
            [
              `with \`${there.join('`, `')}\``,
              median(seen.with).toFixed(2),
              ratioOf(seen.with, seen.without).ratio.toFixed(2),
            ],
          ],
        },
      ],
      notes: lacking.map((field) => `The schema has no \`Message.${field}\` yet: the target waits for it.`),
    };
  },
};

async function findFields(place) {
  const node = await startNode(place);
  const { __type } = await ask(node.place, '{ __type(name: "Message") { fields { name } } }');
  await node.stop();
  const has = (name) => __type.fields.some((field) => field.name === name);
  return { there: wanted.filter(has), lacking: wanted.filter((name) => !has(name)) };
}

async function measure(subject, { audience, fields, seconds, warmUp }) {
  const subscribers = await subscribe(subject.plans('full', audience, fields));
  await drive(subject, subscribers, { inFlight: 1, seconds: warmUp });
  const result = await measureDeliveries(subject, subscribers, { inFlight: 1, seconds });
  await subscribers.stop();
  await subject.stop();
  return result;
}
