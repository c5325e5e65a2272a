/** Bytes of an event's frame, of every server. */
export const FRAME_BYTES = 390;

/** What Parley's subscribers ask for, and with them everybody's. */
export const SUBSCRIPTION =
  'subscription ($conversationId: ID) { messages(conversationId: $conversationId) { type cursor changeSeq message { id seq text createdAt sender { id username } conversation { id } } } }';

/** Microseconds of the clock that the subscribers read too. */
const stamp = () => String(process.hrtime.bigint() / 1_000n);

/** A text of so many characters that tells when it was made. */
export const stampedText = (length) =>
  `${stamp()} `.padEnd(length, 'a message as people write them ').trimEnd().padEnd(length, '.');

/** Events like one of Parley's: what makes a frame of each server exactly as long as Parley's is in the text. */
export const eventsLike = (template) => (seq, textLength) => ({
  ...template,
  changeSeq: seq,
  message: { ...template.message, seq, text: stampedText(textLength) },
});

/** The steps of a subscriber of graphql-transport-ws, up to where `last` comes. */
export const graphqlSteps = ({ token, conversationId, last }) => [
  { send: JSON.stringify({ type: 'connection_init', ...(token ? { payload: { authorization: token } } : {}) }) },
  { await: 'connection_ack' },
  {
    send: JSON.stringify({
      id: '1',
      type: 'subscribe',
      payload: { query: SUBSCRIPTION, variables: { conversationId } },
    }),
  },
  ...last,
];
