import {
  AT_ONCE,
  choose,
  extract,
  OF_PART,
  PART,
  type TranscriptMessage,
  withAttachments,
  withNames,
} from '@parley/server/summary';
import type { ReadMessage } from '../../encryption/history.ts';
import type { ShownSummary } from './summary-view.tsx';

/** The maximum number of points, which is the default of the server. */
const POINTS_MAX = 12;

/** Summarizes messages, oldest first, as the embedded summarizer of the server does. */
export async function summarize(messages: readonly ReadMessage[]): Promise<ShownSummary> {
  const people = new Map<string, string>();
  /** Stands for a sender. Texts of users cannot contain it: the summarizer removes what looks like it. */
  const standInFor = (userId: string): string => {
    const known = [...people.keys()].indexOf(userId);
    const number = known < 0 ? people.size : known;
    return `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
  };
  const names = new Map<string, string>();
  const bySeq = new Map(messages.map((message) => [message.seq, message]));
  const transcript = messages.map(({ seq, sender, text, attachments, createdAt, replyTo, reactions }) => {
    const senderId = standInFor(sender?.id ?? '');
    people.set(sender?.id ?? '', senderId);
    names.set(senderId, sender?.displayName ?? '');
    return {
      seq,
      senderId,
      text: withAttachments(text, attachments),
      at: Date.parse(createdAt),
      replyTo: replyTo?.seq,
      reactions: reactions.reduce((sum, { count }) => sum + count, 0),
    } satisfies TranscriptMessage;
  });
  const points = extract(await candidatesOf(transcript), POINTS_MAX);
  return {
    model: 'device',
    stale: false,
    messageCount: messages.length,
    createdAt: new Date().toISOString(),
    highlights: points.map(({ text, kind, topic, seqs }) => ({
      text: withNames(text, (id) => names.get(id)),
      kind,
      topic,
      messages: seqs.flatMap((seq) => bySeq.get(seq) ?? []),
    })),
  };
}

/** The messages that are compared with each other: of a long conversation, those that stand out in their part. */
async function candidatesOf(transcript: readonly TranscriptMessage[]): Promise<readonly TranscriptMessage[]> {
  if (transcript.length <= AT_ONCE) return transcript;
  const candidates: TranscriptMessage[] = [];
  for (let from = 0; from < transcript.length; from += PART) {
    const part = transcript.slice(from, from + PART);
    candidates.push(...choose(part, OF_PART).flatMap((place) => part[place] ?? []));
    // The page remains responsive.
    await new Promise((resolve) => setTimeout(resolve));
  }
  return candidates;
}
