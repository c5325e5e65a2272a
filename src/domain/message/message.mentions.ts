import { badInput } from '../../core/errors.js';
import { namesIn } from '../../core/text/mentions.js';
import { EVERYONE } from '../../core/usernames.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { findMembersByName } from '../user/user.store.js';

/** Whom a text names. */
export interface Mentions {
  /** Ids of members, in the order of the text. */
  mentionedIds: string[];
  /** It says `@everyone`, which counts when a moderator of a group does. */
  asksEveryone: boolean;
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
  if (mentionedIds.length > max) {
    throw badInput('input.text', `A message can mention at most ${max} users.`, 'mentionsMax');
  }
}

/** Who has an unread mention of a message: not its sender, and nobody by name where it is for everyone. */
export const countedMentions = ({
  mentionedIds,
  mentionsEveryone,
  senderId,
}: Pick<Message, 'mentionedIds' | 'mentionsEveryone' | 'senderId'>): string[] =>
  mentionsEveryone ? [] : mentionedIds.filter((id) => id !== senderId);
