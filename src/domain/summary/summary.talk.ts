/** A message as a summarizer gets it: of a person or a bot, with its text. */
export interface TalkMessage {
  seq: number;
  senderId: string;
  text: string;
  /** When it was sent, in milliseconds. */
  at: number;
  /** The message that it answers. */
  replyTo?: number | undefined;
  /** How many reactions it has. */
  reactions?: number | undefined;
}

/** What a point of a summary is, as far as that can be told. */
export const pointKinds = ['DECISION', 'TASK', 'QUESTION', 'ANSWER', 'NEWS', 'POINT'] as const;
export type PointKind = (typeof pointKinds)[number];

/** One point worth reading. People stand in its text as `personTag` writes them, so that it always has today's names. */
export interface Point {
  text: string;
  kind: PointKind;
  /** Points with the same number are of one topic. */
  topic: number;
  /** The messages that it stands on. */
  seqs: number[];
}

/** How a person stands in a stored text. */
export const personTag = (id: string): string => `<@${id}>`;

const tag = /<@([0-9a-f-]{36})>/g;

/** The people in stored texts, each once. */
export const peopleIn = (texts: readonly string[]): string[] => [
  ...new Set(texts.flatMap((text) => [...text.matchAll(tag)].map(([, id]) => id as string))),
];

/** A stored text with people's names; of whom nobody knows is called `…`. */
export const withNames = (text: string, nameOf: (id: string) => string | undefined): string =>
  text.replace(tag, (_tag, id: string) => nameOf(id) ?? '…');

/** Takes from what people wrote whatever would be taken for a tag. */
export function withoutTags(text: string): string {
  const without = text.replace(tag, '');
  // What stood around one may be one now.
  return without === text ? text : withoutTags(without);
}
