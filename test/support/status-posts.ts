import type { Json, Person } from './client.js';

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
