import type { Change, ChangeKind } from '../../realtime/change.js';
import type { MessageChanged } from '../message/message.events.js';
import type { MessageChangeType } from '../message/message.part.js';
import { findCommitsById, type GroupCommit } from './group.store.js';

/** A commit as events carry it, with its content in base64url. */
export type CommitInfo = Pick<GroupCommit, 'id' | 'conversationId' | 'generation' | 'epoch' | 'deviceId'> & {
  commit: string;
};

export const commitInfoOf = ({
  id,
  conversationId,
  generation,
  epoch,
  deviceId,
  commit,
}: Pick<GroupCommit, keyof CommitInfo>): CommitInfo => ({
  id,
  conversationId,
  generation,
  epoch,
  deviceId,
  commit: Buffer.from(commit).toString('base64url'),
});

/** The data of a commit on the stream `messages`, which is not about a message. */
export type GroupCommitted = MessageChanged & { commit: CommitInfo };

/** In the log of the conversation: a device committed. `subjectId` is the commit, so that replays contain each of them. */
export const groupCommitted: MessageChangeType = {
  type: 'GROUP_COMMITTED',
  event: 'COMMITTED',
  description:
    'A device changed the group of an encrypted conversation: see `commit`. Process it before the messages that follow.',
};

/** To be incremented whenever the data sent between nodes changes. */
const VERSION = 2;
/** The maximum length of a commit that nodes send to each other, in characters. Longer ones are read from the database. */
const WIRE_MAX_CHARS = 65_536;

export const commitChange = (
  { conversationId, changeSeq }: Pick<Change, 'conversationId' | 'changeSeq'>,
  commit: CommitInfo,
  actorId: string,
): Change<GroupCommitted> => ({
  conversationId,
  changeSeq,
  type: groupCommitted.type,
  messageId: null,
  subjectId: commit.id,
  actorId,
  data: { message: null, actor: null, commit },
});

export const commitChanges: ChangeKind<GroupCommitted> = {
  types: [groupCommitted.type],
  encode: ({ commit }) => ({ v: VERSION, ...(commit.commit.length <= WIRE_MAX_CHARS && { commit }) }),
  decode(json) {
    const { v, commit } = json as { v: number; commit?: CommitInfo };
    return v === VERSION && commit ? { message: null, actor: null, commit } : undefined;
  },
  async load(db, rows) {
    const commits = await findCommitsById(
      db,
      rows.map(({ subjectId }) => subjectId ?? ''),
    );
    return commits.map((commit) => commit && { message: null, actor: null, commit: commitInfoOf(commit) });
  },
};
