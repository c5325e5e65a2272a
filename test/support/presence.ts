import type { Listening, Person } from './client.js';

/** The operations of presence and typing for tests. */

export const PRESENCE = `subscription ($userIds: [ID!]) {
  presence(userIds: $userIds) { user { id username presence { status lastSeenAt } } }
}`;

export const TYPING = `subscription ($conversationId: ID) {
  typing(conversationId: $conversationId) { conversationId isTyping expiresAt user { id username } }
}`;

export const setAvailability = (person: Person, availability: string) =>
  person.ask(
    'mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) { viewer { availability } } }',
    { input: { availability } },
  );

export async function setTyping(person: Person, conversationId: string, isTyping = true): Promise<boolean> {
  const data = await person.ask('mutation ($input: SetTypingInput!) { setTyping(input: $input) { accepted } }', {
    input: { conversationId, isTyping },
  });
  return data.setTyping.accepted;
}

/** The statuses that a presence stream sent for a user, in order; null if the viewer was not allowed to see them. */
export const statusesOf = ({ events }: Listening, { id }: Person): (string | null)[] =>
  events.filter(({ user }) => user.id === id).map(({ user }) => user.presence?.status ?? null);

/** Resolves when the latest status that a presence stream sent for a user is this one. */
export const untilStatus = ({ until, events }: Listening, { id }: Person, status: string) =>
  until(() => events.findLast(({ user }) => user.id === id)?.user.presence?.status === status);
