/** Bytes of an event's frame, of every server. */
export const FRAME_BYTES = 390;

/** Microseconds of the clock that the subscribers read too. */
const stamp = () => String(process.hrtime.bigint() / 1_000n);

/** A text of so many characters that tells when it was made. */
export const stampedText = (length) =>
  `${stamp()} `.padEnd(length, 'a message as people write them ').trimEnd().padEnd(length, '.');

/** Events like one of Parley's; what makes a frame as long as Parley's is the text. */
export const eventsLike = (template) => (seq, text) => ({
  ...template,
  changeSeq: seq,
  message: { ...template.message, seq, text },
});

/** What Parley's subscribers ask for, and with them everybody's; `fields` are further ones of the message. */
const subscriptionOf = (fields = '') =>
  `subscription ($conversationId: ID) { messages(conversationId: $conversationId) { type cursor changeSeq message { id seq text createdAt ${fields} sender { id username } conversation { id } } } }`;

/** The same of what happens to one message: it is the changes that follow each other there. */
export const changesOf = (fields = '') =>
  `subscription ($conversationId: ID) { messages(conversationId: $conversationId) { type cursor seq: changeSeq message { id text createdAt reactions { emoji count } ${fields} sender { id username } conversation { id } } } }`;

/** The steps of a subscriber of graphql-transport-ws, up to where `last` comes. */
export const graphqlSteps = ({ token, conversationId, fields, query = subscriptionOf(fields), last }) => [
  { send: JSON.stringify({ type: 'connection_init', ...(token ? { payload: { authorization: token } } : {}) }) },
  { await: 'connection_ack' },
  {
    send: JSON.stringify({
      id: '1',
      type: 'subscribe',
      payload: { query, variables: { conversationId } },
    }),
  },
  ...last,
];
