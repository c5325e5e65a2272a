import { badInput } from '../../core/errors.js';
import { EVERYONE, USERNAME_MAX, USERNAME_MIN } from '../../core/usernames.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database.js';
import { caseKey, findMembersByName } from '../user/user.store.js';

/** An `@` and what may be a username. Not within a word, as in an address: ana@example.com. */
const MENTION = /(?<![A-Za-z0-9_.-])@([A-Za-z0-9_.-]+)/g;

/** Whom a text names. */
export interface Mentions {
  /** Ids of members, in the order of the text. */
  mentionedIds: string[];
  /** It says `@everyone`, which counts when a moderator of a group does. */
  asksEveryone: boolean;
}

/**
 * For each `@` of a text the usernames that it may stand for, the longest first: what ends a sentence may end a
 * username too, so "@ana." is "ana." where there is one, else "ana".
 */
export function namesIn(text: string): string[][] {
  return [...text.matchAll(MENTION)]
    .map(([, run = '']) => {
      const key = caseKey(run);
      const shortest = key.replace(/[_.-]+$/, '');
      const from = Math.max(shortest.length, USERNAME_MIN);
      const names: string[] = [];
      for (let length = Math.min(key.length, USERNAME_MAX); length >= from; length -= 1) {
        names.push(key.slice(0, length));
      }
      return shortest.length > USERNAME_MAX ? [] : names;
    })
    .filter((names) => names.length > 0);
}

/** Finds whom a text names. Who is not in the conversation is not named. */
export async function findMentions(db: Db | Tx, conversationId: string, text: string): Promise<Mentions> {
  const names = namesIn(text);
  const asked = new Set(names.flat());
  if (asked.size === 0) return { mentionedIds: [], asksEveryone: false };
  const members = await findMembersByName(db, conversationId, [...asked]);
  const byName = new Map(members.map(({ usernameKey, id }) => [usernameKey, id]));
  const mentioned = new Set(names.flatMap((each) => byName.get(each.find((name) => byName.has(name)) ?? '') ?? []));
  return { mentionedIds: [...mentioned], asksEveryone: asked.has(EVERYONE) };
}

/**
 * To be asked when it is known that they may write there: before, the answer would tell who is in it.
 * @throws {ChatError} BAD_USER_INPUT of `input.text`: too many.
 */
export function checkMentions(mentionedIds: readonly string[], max: number): void {
  if (mentionedIds.length > max) throw badInput('input.text', `A message names at most ${max} people.`);
}

/** Who has an unread mention of a message: not its sender, and nobody by name where it is for everyone. */
export const countedMentions = ({
  mentionedIds,
  mentionsEveryone,
  senderId,
}: Pick<Message, 'mentionedIds' | 'mentionsEveryone' | 'senderId'>): string[] =>
  mentionsEveryone ? [] : mentionedIds.filter((id) => id !== senderId);
