/** A message for a summarizer: written by a person or a bot, with its text and a description of its attachments. */
export interface TranscriptMessage {
  seq: number;
  senderId: string;
  text: string;
  /** When it was sent, in milliseconds. */
  at: number;
  /** The message that it replies to. */
  replyTo?: number | undefined;
  /** The number of reactions. */
  reactions?: number | undefined;
}

/** An attachment of a message, as far as it can be described. */
export interface TranscriptAttachment {
  kind: 'IMAGE' | 'VIDEO' | 'AUDIO' | 'VOICE' | 'FILE';
  filename: string;
  altText: string | null;
}

const attachmentNames: Record<TranscriptAttachment['kind'], string> = {
  IMAGE: 'image',
  VIDEO: 'video',
  AUDIO: 'recording',
  VOICE: 'voice message',
  FILE: 'file',
};

/**
 * A text with its attachments: `Look! [image: two cats]`. Names of images and recordings rarely describe their content.
 */
export const withAttachments = (text: string, attachments: readonly TranscriptAttachment[]): string =>
  [
    text,
    ...attachments.map(({ kind, filename, altText }) => {
      const content = altText ?? (kind === 'FILE' ? filename : undefined);
      return `[${attachmentNames[kind]}${content === undefined ? '' : `: ${content}`}]`;
    }),
  ]
    .filter((each) => each !== '')
    .join(' ');

/** The kinds of points, as far as they can be determined. */
export const pointKinds = ['DECISION', 'TASK', 'QUESTION', 'ANSWER', 'NEWS', 'POINT'] as const;
export type PointKind = (typeof pointKinds)[number];

/** One point of a summary. Its text refers to users by `personTag`, so that their present names are shown. */
export interface Point {
  text: string;
  kind: PointKind;
  /** Points with the same number have the same topic. */
  topic: number;
  /** The messages that it is based on. */
  seqs: number[];
}

/** The reference to a user in a stored text. */
export const personTag = (id: string): string => `<@${id}>`;

const tag = /<@([0-9a-f-]{36})>/g;

/** The users referenced in stored texts, without duplicates. */
export const peopleIn = (texts: readonly string[]): string[] => [
  ...new Set(texts.flatMap((text) => [...text.matchAll(tag)].map(([, id]) => id as string))),
];

/** Replaces references in a stored text by names; unknown users are shown as `…`. */
export const withNames = (text: string, nameOf: (id: string) => string | undefined): string =>
  text.replace(tag, (_tag, id: string) => nameOf(id) ?? '…');

/** Removes texts that look like references from user content. */
export function withoutTags(text: string): string {
  const without = text.replace(tag, '');
  // The surrounding text may form a reference now.
  return without === text ? text : withoutTags(without);
}
