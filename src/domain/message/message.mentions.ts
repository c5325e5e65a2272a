import { badInput } from '../../core/errors.js';
import { namesIn } from '../../core/text/mentions.js';
import { EVERYONE } from '../../core/usernames.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { findMembersByName } from '../user/user.store.js';

/** The mentions that a text contains. */
export interface Mentions {
  /** The ids of the mentioned members, in the order of the text. */
  mentionedIds: string[];
  /** Whether the text contains `@everyone`, which takes effect only if an owner or admin of a group writes it. */
  asksEveryone: boolean;
}

/** Finds the members that a text mentions. Names of users who are not members of the conversation are ignored. */
export async function findMentions(db: Db | Tx, conversationId: string, text: string): Promise<Mentions> {
  const names = namesIn(text);
  const requested = new Set(names.flat());
  if (requested.size === 0) return { mentionedIds: [], asksEveryone: false };
  const members = await findMembersByName(db, conversationId, [...requested]);
  const byName = new Map(members.map(({ usernameKey, id }) => [usernameKey, id]));
  const mentioned = new Set(names.flatMap((each) => byName.get(each.find((name) => byName.has(name)) ?? '') ?? []));
  return { mentionedIds: [...mentioned], asksEveryone: requested.has(EVERYONE) };
}

/**
 * Checks the number of mentions. Call it only after the permission to send has been checked: otherwise, the error would
 * reveal who is a member of the conversation.
 * @throws {ChatError} BAD_USER_INPUT with the field `input.text` if there are more than `max` mentions.
 */
export function checkMentions(mentionedIds: readonly string[], max: number): void {
  if (mentionedIds.length > max) {
    throw badInput('input.text', `A message can mention at most ${max} users.`, 'mentionsMax');
  }
}

/**
 * The ids of the users for whom a message counts as an unread mention. The sender is excluded, and the list is empty if
 * the message mentions everyone, because such mentions are counted by message.
 */
export const countedMentions = ({
  mentionedIds,
  mentionsEveryone,
  senderId,
}: Pick<Message, 'mentionedIds' | 'mentionsEveryone' | 'senderId'>): string[] =>
  mentionsEveryone ? [] : mentionedIds.filter((id) => id !== senderId);
