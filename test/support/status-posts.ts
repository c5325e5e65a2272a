import type { Json, Person } from './client.js';
import { attempt } from './talk.js';

/** Makes all of these users contacts of each other. */
export async function befriend(...people: Person[]): Promise<void> {
  const pairs = people.flatMap((one) => people.flatMap((other) => (one === other ? [] : [[one, other] as const])));
  await Promise.all(pairs.map(([one, other]) => attempt(one, 'addContact', { userId: other.id })));
}

let posted = 0;

/** Posts a status. Returns the result of the mutation, or the error as `CODE field`. */
export function tryPostStatus(person: Person, input: Json, selection = 'id'): Promise<Json> {
  posted += 1;
  return attempt(person, 'postStatus', { clientStatusId: `status ${posted}`, ...input }, `status { ${selection} }`);
}

/** Posts a status. Returns the selected fields of it. */
export async function postStatus(person: Person, input: Json, selection = 'id'): Promise<Json> {
  const result = await tryPostStatus(person, input, selection);
  if (typeof result === 'string') throw new Error(result);
  return result.status;
}

/** The user's own statuses with what the selection names. */
export const statusesOfAuthor = async (person: Person, selection = 'id text'): Promise<Json[]> =>
  (await person.ask(`{ viewer { statuses { ${selection} } } }`)).viewer.statuses;

/** Sets the audience of a user's next statuses. Returns it, or the error as `CODE field`. */
export async function setStatusAudience(person: Person, input: Json): Promise<Json> {
  const { data, errors } = await person.request(
    `mutation ($input: StatusAudienceInput!) { setStatusAudience(input: $input) {
      viewer { statusAudience { mode users { id } } }
    } }`,
    { input },
  );
  const [error] = errors ?? [];
  if (error) return [error.extensions.code, error.extensions.field].filter(Boolean).join(' ');
  return data.setStatusAudience.viewer.statusAudience;
}
