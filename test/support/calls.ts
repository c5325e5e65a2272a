import { randomUUID } from 'node:crypto';
import { ask, connectInTest, type Json, type Listening, listen, type Person, request } from './client.js';

/** The operations of calls for tests. */

export const CALL = `id kind state endReason startedAt ringUntil answeredAt endedAt durationMs relayOnly
  startedBy { id } conversation { id } parties { id state microphoneOn cameraOn screenOn user { id } }`;
export const CALLS = `subscription ($partyId: ID) {
  calls(partyId: $partyId) { type call { ${CALL} } signal { callId seq fromPartyId toPartyId payload } }
}`;

/** The result of a mutation of a call, or its error as `CODE reason`, `CODE limit` or `CODE field`. */
async function change(person: Person, mutation: string, input: Json, selection = `call { ${CALL} }`): Promise<Json> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const { data, errors } = await person.request(
    `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${selection} } }`,
    { input },
  );
  const [error] = errors ?? [];
  if (!error) return data[mutation];
  const { code, reason, limit, field } = error.extensions;
  return [code, reason ?? limit ?? field].filter(Boolean).join(' ');
}

const JOINED = `partyId call { ${CALL} }`;

export const start = (person: Person, conversationId: string, kind = 'VOICE', clientCallId: string = randomUUID()) =>
  change(person, 'startCall', { conversationId, kind, clientCallId }, JOINED);
export const accept = (person: Person, callId: string, clientPartyId?: string) =>
  change(person, 'acceptCall', { callId, clientPartyId }, JOINED);
export const decline = (person: Person, callId: string) => change(person, 'declineCall', { callId });
export const leave = (person: Person, callId: string, partyId: string) =>
  change(person, 'leaveCall', { callId, partyId });
export const setMedia = (person: Person, input: Json) => change(person, 'updateCallMedia', input);
export const signal = (
  person: Person,
  callId: string,
  [fromPartyId, toPartyId]: readonly [string, string],
  payloads: readonly string[],
  acknowledgedSeq?: number,
) => change(person, 'sendCallSignals', { callId, fromPartyId, toPartyId, payloads, acknowledgedSeq });

/** Subscribes to calls, and resolves when the stream has caught up. It ends at the end of the test. */
export async function followCalls(person: Person, url: string, partyId?: string): Promise<Listening> {
  const stream = listen(connectInTest(url, person.token), CALLS, { partyId }, 'calls');
  await stream.until(({ type }) => type === 'CAUGHT_UP');
  return stream;
}

/** The states of a call in the order of the events, each once if it did not change in between. */
export const statesOf = ({ events }: Listening, callId: string): string[] =>
  events
    .filter(({ type, call }) => type === 'CHANGED' && call.id === callId)
    .map(({ call }) => call.state)
    .filter((state, index, all) => state !== all[index - 1]);

/** Resolves with the first event in which a call has ended. */
export const untilEnded = ({ until }: Listening, callId: string): Promise<Json> =>
  until(({ call }) => call?.id === callId && call.state === 'ENDED').then(({ call }) => call);

/** The payloads of the signals that a stream has delivered. */
export const payloadsOf = ({ events }: Listening): string[] =>
  events.flatMap(({ signal: sent }) => (sent ? [sent.payload] : []));

/** The latest calls of a conversation, newest first. */
export const historyOf = async (person: Person, conversationId: string, first = 50): Promise<Json[]> =>
  (
    await person.ask(
      `query ($id: ID!, $first: Int!) { conversation(id: $id) { calls(first: $first) { nodes { ${CALL} } } } }`,
      { id: conversationId, first },
    )
  ).conversation.calls.nodes;

/** The system messages about calls in a conversation, in order. */
export const callMessagesOf = async (person: Person, conversationId: string): Promise<Json[]> =>
  (
    await person.ask(
      `query ($id: ID!) { conversation(id: $id) { messages(last: 100) { nodes {
        kind systemEvent { type newValue actor { id } subjects { id } call { id endReason durationMs } }
      } } } }`,
      { id: conversationId },
    )
  ).conversation.messages.nodes.flatMap(({ systemEvent }: Json) =>
    systemEvent?.type === 'CALL_ENDED' ? [systemEvent] : [],
  );

/** Signs a user in with another device, which uses the node at `url`. */
export async function signInAgain(person: Person, url: string): Promise<Person> {
  const { login } = await ask(
    url,
    'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken refreshToken } } }',
    { input: { usernameOrEmail: person.username, password: person.password } },
  );
  const { accessToken: token, refreshToken } = login.tokens;
  const at = (place: string): Person => ({
    ...person,
    token,
    refreshToken,
    ask: (query, variables) => ask(place, query, variables, token),
    request: (query, variables) => request(place, query, variables, token),
    at,
  });
  return at(url);
}
