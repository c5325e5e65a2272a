import { beforeAll, describe, expect, it } from 'vitest';
import { encodeGlobalId } from '../../src/core/ids.js';
import { trimStatuses } from '../../src/domain/status/status.store.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  registerAll,
} from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { complete, createUpload, makePicture, makeVideo, open, putPart, uploaded } from '../support/media.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { befriend, postStatus, setStatusAudience, tryPostStatus } from '../support/status-posts.js';
import { attempt, createGroup, openDirect, remove, trySend } from '../support/talk.js';

const STATUS = 'id text style createdAt expiresAt viewerHasViewed viewCount author { id } attachment { state path }';
const EVENTS = `subscription { statuses { type statusId status { ${STATUS} } } }`;

const tryPost = (person: Person, input: Json): Promise<Json> => tryPostStatus(person, input, STATUS);
const post = (person: Person, input: Json): Promise<Json> => postStatus(person, input, STATUS);
const feedOf = async (person: Person, includeMuted = false): Promise<Json[]> =>
  (
    await person.ask(
      `query ($includeMuted: Boolean!) { viewer { statusFeed(includeMuted: $includeMuted) {
        author { id } hasUnviewed muted statuses { ${STATUS} }
      } } }`,
      { includeMuted },
    )
  ).viewer.statusFeed;
const idsInFeed = async (person: Person) =>
  (await feedOf(person, true)).flatMap(({ statuses }) => statuses.map(({ id }: Json) => id));
const ownOf = async (person: Person): Promise<Json[]> =>
  (await person.ask(`{ viewer { statuses { ${STATUS} views { nodes { user { id } } } } } }`)).viewer.statuses;
const nodeOf = async (person: Person, id: string) =>
  (await person.ask(`query ($id: ID!) { node(id: $id) { ... on Status { ${STATUS} } } }`, { id })).node;
const markViewed = (person: Person, ...statusIds: string[]): Promise<Json> =>
  attempt(person, 'markStatusesViewed', { statusIds }, 'statuses { id viewerHasViewed }');
const replyTo = async (person: Person, conversationId: string, replyToStatusId: string) => {
  const { data, errors } = await person.request(
    `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message {
      id text statusReply { excerpt status { id } }
    } } }`,
    { input: { conversationId, text: 'Nice!', replyToStatusId } },
  );
  const [error] = errors ?? [];
  return error ? `${error.extensions.code} ${error.extensions.field}` : data.sendMessage.message;
};

/** Opens the stream `statuses` of a user, and waits until it delivers all later changes. */
async function follow(node: RunningNode, person: Person): Promise<Listening> {
  const heard = listen(connectInTest(node.url, person.token), EVENTS, {}, 'statuses');
  await heard.until(({ type }) => type === 'CAUGHT_UP');
  return heard;
}
const changesOf = ({ events }: Listening) =>
  events.filter(({ type }) => type !== 'CAUGHT_UP').map(({ type, statusId }) => ({ type, statusId }));

describe.each(modes)('statuses in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    const limits = { STATUSES_MAX: '4', STATUS_LISTED_MAX: '4', STATUS_MAX_CHARS: '200', STATUS_VIDEO_MAX: '1s' };
    [node, other] = await startTwo(await makePlace(mode), limits);
  });

  /** Posts a status with a file that no node processes before `release` is called. */
  async function postHeld(author: Person, bytes: Buffer, kind: 'IMAGE' | 'VIDEO') {
    const { attachment, missingParts } = await createUpload(author, bytes, { kind });
    for (const part of missingParts) await putPart(node.url, bytes, part);
    const claimUntil = (claimedUntil: Date) =>
      node.deps.database.db.attachment.update({ where: { id: rowId(attachment.id) }, data: { claimedUntil } });
    await claimUntil(new Date(Date.now() + 600_000));
    await complete(author, attachment.id);
    return { status: await post(author, { attachmentId: attachment.id }), release: () => claimUntil(new Date(0)) };
  }
  const countFiles = (statusId: string) =>
    node.deps.database.db.attachment.count({ where: { statusId: rowId(statusId) } });

  it('are seen by the audience and by nobody else, in every way', { timeout: 60_000 }, async () => {
    const [author, friend, listed, stranger, admirer, known, blocker, blocked] = await registerAll(
      node.url,
      ...(['author', 'friend', 'listed', 'stranger', 'admirer', 'known', 'blocker', 'blocked'] as const),
    );
    for (const person of [friend, listed, blocker, blocked]) await befriend(author, person);
    await attempt(admirer, 'addContact', { userId: author.id });
    await attempt(author, 'addContact', { userId: known.id });
    const everybody = { author, friend, listed, stranger, admirer, known, blocker, blocked };
    const direct = new Map<Person, string>();
    for (const person of Object.values(everybody)) {
      if (person !== author) direct.set(person, await openDirect(person, author));
    }
    await attempt(blocker, 'blockUser', { userId: author.id });
    await attempt(author, 'blockUser', { userId: blocked.id });
    // The blocked user is a contact again, but cannot see anything as long as the block exists.
    await attempt(author, 'addContact', { userId: blocked.id });
    const streams = new Map<string, Listening>();
    for (const [name, person] of Object.entries(everybody)) streams.set(name, await follow(other, person));
    const picture = await uploaded(node.url, author, await makePicture('jpeg'), { kind: 'IMAGE' });
    const status = await post(author, {
      text: 'On the mountain',
      attachmentId: picture.id,
      audience: { mode: 'CONTACTS_EXCEPT', userIds: [listed.id] },
    });
    await streams.get('friend')?.until(({ statusId }) => statusId === status.id);
    const path = status.attachment.path as string;
    for (const [name, person] of Object.entries(everybody)) {
      const isSeen = person === author || person === friend;
      const viewed = await markViewed(person, status.id);
      const replied = person === author ? undefined : await replyTo(person, direct.get(person) ?? '', status.id);
      const seen = {
        feed: (await idsInFeed(person)).includes(status.id),
        node: (await nodeOf(person, status.id)) !== null,
        attachment: (await person.ask('query ($id: ID!) { node(id: $id) { id } }', { id: picture.id })).node !== null,
        file: (await open(other.url, person, path)).status,
        viewed: viewed.statuses.length > 0,
        replied: person === author ? undefined : typeof replied === 'object',
        stream: changesOf(streams.get(name) as Listening).some(({ statusId }) => statusId === status.id),
      };
      expect(seen, name).toEqual({
        feed: isSeen && person !== author,
        node: isSeen,
        attachment: isSeen,
        file: isSeen ? 200 : 404,
        viewed: isSeen,
        replied: person === author ? undefined : isSeen,
        stream: isSeen,
      });
    }
    // Only the author learns who has viewed it.
    expect(await nodeOf(author, status.id)).toMatchObject({ viewCount: 1, viewerHasViewed: true });
    expect(await nodeOf(friend, status.id)).toMatchObject({ viewCount: null, viewerHasViewed: true });
    const asFriend = await friend.ask(
      'query ($id: ID!) { node(id: $id) { ... on Status { views { nodes { user { id } } } } } }',
      { id: status.id },
    );
    expect(asFriend.node.views).toBeNull();
    const [own] = await ownOf(author);
    expect(own?.views.nodes).toEqual([{ user: { id: friend.id } }]);

    // Deleted: gone in every way, for those who could see it with an event.
    expect(await attempt(author, 'deleteStatus', { statusId: status.id }, 'statusId')).toEqual({ statusId: status.id });
    await streams.get('friend')?.until(({ type, statusId }) => type === 'DELETED' && statusId === status.id);
    await streams.get('author')?.until(({ type, statusId }) => type === 'DELETED' && statusId === status.id);
    expect(changesOf(streams.get('listed') as Listening)).toEqual([]);
    for (const person of [author, friend]) {
      expect(await nodeOf(person, status.id)).toBeNull();
      expect((await open(node.url, person, path)).status).toBe(404);
    }
    expect(await attempt(author, 'deleteStatus', { statusId: status.id }, 'statusId')).toEqual({ statusId: status.id });
    expect(await attempt(friend, 'deleteStatus', { statusId: status.id })).toBe('NOT_FOUND input.statusId');
  });

  itOnce('are shown to the listed contacts only, and to nobody whom the author removes or blocks', async () => {
    const [author, one, two, three] = await registerAll(node.url, 'author', 'one', 'two', 'three');
    await befriend(author, one);
    await befriend(author, two);
    const status = await post(author, {
      text: 'Psst',
      audience: { mode: 'ONLY', userIds: [one.id, three.id] },
    });
    const seenBy = async (...people: Person[]) =>
      Promise.all(people.map(async (person) => (await idsInFeed(person)).includes(status.id)));
    expect(await seenBy(one, two, three)).toEqual([true, false, false]);
    // A later contact is in the audience if the author has listed them.
    await befriend(author, three);
    expect(await seenBy(one, two, three)).toEqual([true, false, true]);
    const heard = await follow(other, one);
    await attempt(author, 'removeContact', { userId: one.id });
    expect(await seenBy(one, three)).toEqual([false, true]);
    // The client fetches the feed again, and finds it gone.
    await eventually('it is notified', () => heard.events.filter(({ type }) => type === 'CAUGHT_UP').length >= 2);
    const suspend = (suspendedAt: Date | null) =>
      node.deps.database.db.user.update({ where: { id: rowId(author.id) }, data: { suspendedAt } });
    await suspend(new Date());
    expect(await seenBy(three)).toEqual([false]);
    await suspend(null);
    expect(await seenBy(three)).toEqual([true]);
    await attempt(three, 'blockUser', { userId: author.id });
    expect(await seenBy(three)).toEqual([false]);
    expect(await nodeOf(three, status.id)).toBeNull();
  });

  itOnce('are posted once for each clientStatusId', async () => {
    const [author] = await registerAll(node.url, 'author');
    const input = { clientStatusId: 'first', text: ' Hello ', style: 'sunset' };
    const [one, two] = await Promise.all([tryPost(author, input), tryPost({ ...author }, input)]);
    expect(one.status).toMatchObject({ text: 'Hello', style: 'sunset', viewerHasViewed: true, viewCount: 0 });
    expect(two).toEqual(one);
    expect(Date.parse(one.status.expiresAt) - Date.parse(one.status.createdAt)).toBe(86_400_000);
    expect(await tryPost(author, { ...input, text: 'Hi' })).toBe('CONFLICT input.clientStatusId');
    expect((await ownOf(author)).map(({ id }) => id)).toEqual([one.status.id]);
    // The retry of a status with a file, which the first call has used, and a list of users.
    const { id: attachmentId } = await uploaded(node.url, author, await makePicture('png'), { kind: 'IMAGE' });
    const withFile = { clientStatusId: 'second', attachmentId, audience: { mode: 'ONLY', userIds: [] } };
    const { status } = await tryPost(author, withFile);
    expect(await tryPost(author, withFile)).toMatchObject({ status: { id: status.id } });
    expect(await tryPost(author, { ...withFile, clientStatusId: 'third' })).toBe('CONFLICT input.attachmentId');
  });

  itOnce('are limited in number, length and audience, and refuse what cannot be shown', async () => {
    const [author, friend] = await registerAll(node.url, 'author', 'friend');
    const wrong: [Json, string][] = [
      [{}, 'BAD_USER_INPUT input.text'],
      [{ text: '   ' }, 'BAD_USER_INPUT input.text'],
      [{ text: '\u200b' }, 'BAD_USER_INPUT input.text'],
      [{ text: 'x'.repeat(201) }, 'BAD_USER_INPUT input.text'],
      [{ text: 'a', clientStatusId: '' }, 'BAD_USER_INPUT input.clientStatusId'],
      [{ text: 'a', style: 'x'.repeat(65) }, 'BAD_USER_INPUT input.style'],
      [{ text: 'a', audience: { mode: 'CONTACTS', userIds: [friend.id] } }, 'BAD_USER_INPUT input.audience.userIds'],
      [{ text: 'a', audience: { mode: 'ONLY', userIds: ['no id'] } }, 'BAD_USER_INPUT input.audience.userIds.0'],
      [
        { text: 'a', audience: { mode: 'ONLY', userIds: [friend.id, encodeGlobalId('User', crypto.randomUUID())] } },
        'NOT_FOUND input.audience.userIds.1',
      ],
      [
        {
          text: 'a',
          audience: {
            mode: 'ONLY',
            userIds: Array.from({ length: 5 }, () => encodeGlobalId('User', crypto.randomUUID())),
          },
        },
        'BAD_USER_INPUT input.audience.userIds',
      ],
    ];
    for (const [input, error] of wrong) expect(await tryPost(author, input), JSON.stringify(input)).toBe(error);
    const document = await uploaded(node.url, author, Buffer.from('plain'), { kind: 'FILE', filename: 'a.txt' });
    expect(await tryPost(author, { attachmentId: document.id })).toBe('BAD_USER_INPUT input.attachmentId');
    const foreign = await uploaded(node.url, friend, await makePicture('png'), { kind: 'IMAGE' });
    expect(await tryPost(author, { attachmentId: foreign.id })).toBe('NOT_FOUND input.attachmentId');
    const statuses: Json[] = [];
    for (const text of ['a', 'b', 'c', 'd']) statuses.push(await post(author, { text }));
    const { errors } = await author.request(
      'mutation ($input: PostStatusInput!) { postStatus(input: $input) { status { id } } }',
      { input: { clientStatusId: 'one more', text: 'e' } },
    );
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN', limit: 'statusesMax' });
    await attempt(author, 'deleteStatus', { statusId: statuses[0].id });
    await post(author, { text: 'e' });
    const many = Array.from({ length: 5 }, () => statuses[1].id as string);
    expect(await markViewed(author, ...many)).toBe('BAD_USER_INPUT input.statusIds');
  });

  it('are counted as viewed once per viewer, and the count equals the list', async () => {
    const [author, ...viewers] = await registerAll(node.url, 'author', 'v1', 'v2', 'v3', 'v4');
    for (const viewer of viewers) await befriend(author, viewer);
    const [status, second] = [await post(author, { text: 'one' }), await post(author, { text: 'two' })];
    const heard = await follow(other, author);
    const device = await follow(other, viewers[0] as Person);
    await Promise.all(viewers.flatMap((viewer) => [1, 2, 3].map(() => markViewed(viewer, status.id))));
    await markViewed(viewers[0] as Person, second.id, status.id);
    for (const each of await ownOf(author)) {
      expect(each.viewCount).toBe(each.id === status.id ? 4 : 1);
      expect(new Set(each.views.nodes.map(({ user }: Json) => user.id)).size).toBe(each.viewCount);
      expect(each.views.nodes).toHaveLength(each.viewCount);
    }
    // The author learns it live on every node, and so do the other devices of the viewer.
    await heard.until(
      ({ type, statusId, status: seen }) => type === 'VIEWED' && statusId === status.id && seen.viewCount === 4,
    );
    await device.until(
      ({ type, status: seen }) => type === 'VIEWED' && seen.viewerHasViewed && seen.viewCount === null,
    );
    const [entry] = await feedOf(viewers[0] as Person);
    expect(entry).toMatchObject({ hasUnviewed: false, author: { id: author.id } });
    expect((await feedOf(viewers[1] as Person))[0]).toMatchObject({ hasUnviewed: true });
  });

  itOnce('have views that are reported only among users who report theirs', async () => {
    const [author, open, secret] = await registerAll(node.url, 'author', 'open', 'secret');
    await befriend(author, open);
    await befriend(author, secret);
    const setReported = (person: Person, reported: boolean) =>
      attempt(person, 'setStatusViewsReported', { reported }, 'viewer { statusViewsReported }');
    expect(await setReported(secret, false)).toEqual({ viewer: { statusViewsReported: false } });
    const status = await post(author, { text: 'Who looks?' });
    for (const viewer of [open, secret]) await markViewed(viewer, status.id);
    expect(await nodeOf(secret, status.id)).toMatchObject({ viewerHasViewed: true });
    const viewersOf = async () => (await ownOf(author))[0]?.views?.nodes.map(({ user }: Json) => user.id) ?? null;
    expect(await viewersOf()).toEqual([open.id]);
    expect(await nodeOf(author, status.id)).toMatchObject({ viewCount: 1 });
    await setReported(author, false);
    expect(await viewersOf()).toBeNull();
    expect(await nodeOf(author, status.id)).toMatchObject({ viewCount: null });
    await setReported(author, true);
    // A view that was not reported stays so.
    await setReported(secret, true);
    await markViewed(secret, status.id);
    expect(await viewersOf()).toEqual([open.id]);
  });

  itOnce('have an audience that is stored, previewed exactly, and fixed when they are posted', async () => {
    const [author, ...friends] = await registerAll(node.url, 'author', 'f1', 'f2', 'f3');
    const [f1, f2, f3] = friends as [Person, Person, Person];
    for (const friend of [f1, f2]) await befriend(author, friend);
    await attempt(author, 'addContact', { userId: f3.id });
    const preview = async (audience?: Json) => {
      const { viewer } = await author.ask(
        `query ($audience: StatusAudienceInput) { viewer { statusAudiencePreview(audience: $audience, first: 1) {
          totalCount nodes { id } pageInfo { hasNextPage endCursor }
        } } }`,
        { audience },
      );
      const { totalCount, nodes, pageInfo } = viewer.statusAudiencePreview;
      if (!pageInfo.hasNextPage) return { totalCount, ids: nodes.map(({ id }: Json) => id) };
      const next = await author.ask(
        `query ($audience: StatusAudienceInput, $after: String) { viewer {
          statusAudiencePreview(audience: $audience, after: $after) { nodes { id } }
        } }`,
        { audience, after: pageInfo.endCursor },
      );
      const rest = next.viewer.statusAudiencePreview.nodes;
      return { totalCount, ids: [...nodes, ...rest].map(({ id }: Json) => id) };
    };
    const sorted = (...people: Person[]) =>
      people.sort((one, two) => (rowId(one.id) < rowId(two.id) ? -1 : 1)).map(({ id }) => id);
    expect((await author.ask('{ viewer { statusAudience { mode users { id } } } }')).viewer.statusAudience).toEqual({
      mode: 'CONTACTS',
      users: [],
    });
    expect(await preview()).toEqual({ totalCount: 2, ids: sorted(f1, f2) });
    expect(await preview({ mode: 'ONLY', userIds: [f3.id, f1.id] })).toEqual({ totalCount: 1, ids: [f1.id] });
    expect(await setStatusAudience(author, { mode: 'CONTACTS_EXCEPT', userIds: [f1.id] })).toEqual({
      mode: 'CONTACTS_EXCEPT',
      users: [{ id: f1.id }],
    });
    expect(await preview()).toEqual({ totalCount: 1, ids: [f2.id] });
    const status = await post(author, { text: 'As usual' });
    await setStatusAudience(author, { mode: 'CONTACTS' });
    expect(await idsInFeed(f1)).toEqual([]);
    expect(await idsInFeed(f2)).toEqual([status.id]);
    expect(await setStatusAudience(author, { mode: 'CONTACTS', userIds: [f1.id] })).toBe(
      'BAD_USER_INPUT input.userIds',
    );
  });

  itOnce('can be muted by author, and come with the unviewed ones first', async () => {
    const [viewer, ann, ben] = await registerAll(node.url, 'viewer', 'ann', 'ben');
    for (const author of [ann, ben]) await befriend(viewer, author);
    const ofAnn = await post(ann, { text: 'Ann' });
    const ofBen = await post(ben, { text: 'Ben' });
    const authors = async (includeMuted = false) =>
      (await feedOf(viewer, includeMuted)).map(({ author, muted }) => ({ id: author.id, muted }));
    expect((await authors()).map(({ id }) => id)).toEqual([ben.id, ann.id]);
    await markViewed(viewer, ofBen.id);
    expect((await authors()).map(({ id }) => id)).toEqual([ann.id, ben.id]);
    const heard = await follow(other, viewer);
    const mute = (userId: string, muted: boolean) => attempt(viewer, 'muteStatuses', { userId, muted }, 'user { id }');
    expect(await mute(ann.id, true)).toEqual({ user: { id: ann.id } });
    expect(await authors()).toEqual([{ id: ben.id, muted: false }]);
    expect(await authors(true)).toEqual([
      { id: ann.id, muted: true },
      { id: ben.id, muted: false },
    ]);
    const mutes = await viewer.ask('{ viewer { statusMutedUsers { nodes { id } } } }');
    expect(mutes.viewer.statusMutedUsers.nodes).toEqual([{ id: ann.id }]);
    // Muting hides; it does not withdraw the permission.
    expect(await nodeOf(viewer, ofAnn.id)).toMatchObject({ id: ofAnn.id });
    const [hidden, shown] = [await post(ann, { text: 'again' }), await post(ben, { text: 'again' })];
    await heard.until(({ statusId }) => statusId === shown.id);
    expect(changesOf(heard).map(({ statusId }) => statusId)).not.toContain(hidden.id);
    await mute(ann.id, false);
    expect((await authors()).map(({ id }) => id).sort()).toEqual([ann.id, ben.id].sort());
    expect(await mute(viewer.id, true)).toBe('BAD_USER_INPUT input.userId');
  });

  itOnce('are replied to in the direct conversation with the author, with an excerpt that remains', async () => {
    const [author, friend, third] = await registerAll(node.url, 'author', 'friend', 'third');
    await befriend(author, friend);
    const direct = await openDirect(friend, author);
    const elsewhere = [await openDirect(friend, third), await createGroup(friend, [author])];
    const status = await post(author, { text: `${'ab'.repeat(60)}` });
    const message = await replyTo(friend, direct, status.id);
    const excerpt = 'ab'.repeat(50);
    expect(message).toMatchObject({ text: 'Nice!', statusReply: { excerpt, status: { id: status.id } } });
    for (const id of elsewhere) expect(await replyTo(friend, id, status.id)).toBe('NOT_FOUND input.replyToStatusId');
    expect(await replyTo(author, direct, status.id)).toBe('NOT_FOUND input.replyToStatusId');
    const repliesOf = async (person: Person) =>
      (
        await person.ask(
          'query ($id: ID!) { conversation(id: $id) { messages { nodes { deletedAt statusReply { excerpt status { id } } } } } }',
          { id: direct },
        )
      ).conversation.messages.nodes;
    await attempt(author, 'deleteStatus', { statusId: status.id });
    for (const person of [author, friend]) {
      expect(await repliesOf(person)).toEqual([{ deletedAt: null, statusReply: { excerpt, status: null } }]);
    }
    await remove(friend, message.id);
    expect(await repliesOf(author)).toMatchObject([{ statusReply: null }]);
    expect(await node.deps.database.db.statusReply.count({ where: { messageId: rowId(message.id) } })).toBe(0);
    expect((await trySend(friend, direct, 'plain')).errors).toBeUndefined();
  });

  itOnce('show an image to others when it is READY, and are deleted with it', async () => {
    const [author, friend] = await registerAll(node.url, 'author', 'friend');
    await befriend(author, friend);
    const heard = await follow(other, friend);
    const good = await postHeld(author, await makePicture('png'), 'IMAGE');
    expect(good.status.attachment.state).toBe('PROCESSING');
    expect((await ownOf(author)).map(({ id }) => id)).toEqual([good.status.id]);
    expect(await nodeOf(friend, good.status.id)).toBeNull();
    await good.release();
    const event = await heard.until(({ statusId }) => statusId === good.status.id);
    expect(event).toMatchObject({ type: 'POSTED', status: { attachment: { state: 'READY' } } });
    const bad = await postHeld(author, Buffer.from('not a picture at all'), 'IMAGE');
    await bad.release();
    await eventually('the status is gone', async () => (await ownOf(author)).length === 1);
    expect(changesOf(heard).some(({ type, statusId }) => type === 'POSTED' && statusId === bad.status.id)).toBe(false);
    expect(await countFiles(bad.status.id)).toBe(0);
  });

  itOnce('are deleted if their video turns out to be too long, and refused if that is known', async () => {
    const [author, friend] = await registerAll(node.url, 'author', 'friend');
    await befriend(author, friend);
    const heard = await follow(other, friend);
    const ofAuthor = await follow(other, author);
    const [longest, tooLong] = [await makeVideo('webm', 10), await makeVideo('webm', 20)];
    const held = await postHeld(author, tooLong, 'VIDEO');
    expect(held.status.attachment.state).toBe('PROCESSING');
    await held.release();
    await ofAuthor.until(({ type, statusId }) => type === 'DELETED' && statusId === held.status.id);
    expect(await ownOf(author)).toEqual([]);
    expect(await countFiles(held.status.id)).toBe(0);
    const good = await postHeld(author, longest, 'VIDEO');
    await good.release();
    await heard.until(({ statusId }) => statusId === good.status.id);
    const posted = changesOf(heard).filter(({ type }) => type === 'POSTED');
    expect(posted.map(({ statusId }) => statusId)).toEqual([good.status.id]);
    const { id } = await uploaded(node.url, author, tooLong, { kind: 'VIDEO', filename: 'film.webm' });
    const { errors } = await author.request(
      'mutation ($input: PostStatusInput!) { postStatus(input: $input) { status { id } } }',
      { input: { clientStatusId: 'too long', attachmentId: id } },
    );
    expect(errors?.[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'input.attachmentId',
      limit: 'statusVideoMaxMs',
    });
  });

  itOnce('are posted at a limited rate, including retries, which limits nothing else', async () => {
    const limits = { RATE_LIMITS: 'on', RATE_STATUS_PER_PERSON: '2/1h' };
    const limited = await (await makePlace(mode)).start(limits);
    const [author, friend] = await registerAll(limited.url, 'author', 'friend');
    const input = { clientStatusId: 'first', text: 'Hello' };
    const { status } = await tryPost(author, input);
    expect(await tryPost(author, input)).toEqual({ status });
    expect(await tryPost(author, input)).toBe('RATE_LIMITED');
    expect(await tryPost(author, { text: '' })).toBe('BAD_USER_INPUT input.text');
    expect(await attempt(author, 'deleteStatus', { statusId: status.id }, 'statusId')).toEqual({ statusId: status.id });
    await post(friend, { text: 'Hi' });
  });

  it('write one row and one change, however many contacts can see them', async () => {
    const [author, ...friends] = await registerAll(node.url, 'author', 'f1', 'f2', 'f3');
    for (const friend of friends) await befriend(author, friend);
    const { db } = node.deps.database;
    const countOf = async () => ({
      changes: await db.change.count({ where: { conversationId: rowId(author.id) } }),
      listed: await db.statusListed.count(),
    });
    const before = await countOf();
    await post(author, { text: 'To all' });
    expect(await countOf()).toEqual({ ...before, changes: before.changes + 1 });
  });

  it('are deleted with the account', async () => {
    const [author, friend] = await registerAll(node.url, 'author', 'friend');
    await befriend(author, friend);
    const status = await post(author, { text: 'Bye' });
    const ofFriend = await post(friend, { text: 'Stay' });
    await markViewed(author, ofFriend.id);
    const heard = await follow(other, friend);
    const { deleteAccount } = await author.ask(
      'mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { __typename } }',
      { input: { password: author.password } },
    );
    expect(deleteAccount).toBeTruthy();
    expect(await idsInFeed(friend)).not.toContain(status.id);
    await eventually('it is notified', () => heard.events.filter(({ type }) => type === 'CAUGHT_UP').length >= 2);
    const { db } = node.deps.database;
    expect(await db.status.count({ where: { authorId: rowId(author.id) } })).toBe(0);
    expect(await db.statusView.count({ where: { viewerId: rowId(author.id) } })).toBe(0);
    expect((await ownOf(friend))[0]).toMatchObject({ viewCount: 0 });
  });

  it('expire in every way on time, although nothing has been cleaned up', { timeout: 60_000 }, async () => {
    // Nothing is cleaned up within the test.
    const [first, second] = await startTwo(await makePlace(mode), { STATUS_TTL: '3s' });
    const [author, friend] = await registerAll(first.url, 'author', 'friend');
    await befriend(author, friend);
    const direct = await openDirect(friend, author);
    const picture = await uploaded(first.url, author, await makePicture('jpeg'), { kind: 'IMAGE' });
    const status = await post(author, { text: 'Soon gone', attachmentId: picture.id });
    const path = status.attachment.path as string;
    expect((await open(first.url, friend, path)).headers.get('cache-control')).toBe('private, no-cache');
    const { statusReply } = await replyTo(friend, direct, status.id);
    expect(statusReply).toEqual({ excerpt: 'Soon gone', status: { id: status.id } });
    const { db } = first.deps.database;
    const { viewer } = await friend.ask('{ viewer { serverTime } }');
    const left = Date.parse(status.expiresAt) - Date.parse(viewer.serverTime);
    expect(left).toBeLessThan(3_000);
    expect(left).toBeGreaterThan(-10_000);
    await eventually('the time of the database has come', async () => {
      const [row] = await db.$queryRaw<[{ over: boolean }]>`
        SELECT clock_timestamp() >= expires_at AS over FROM statuses WHERE id = ${rowId(status.id)}::uuid`;
      return row.over;
    });
    for (const person of [author, friend]) {
      expect(await nodeOf(person, status.id)).toBeNull();
      expect(await idsInFeed(person)).toEqual([]);
      expect(await ownOf(person)).toEqual([]);
      expect((await open(first.url, person, path)).status).toBe(404);
      expect((await open(second.url, person, path)).status).toBe(404);
      const asked = await person.ask('query ($id: ID!) { node(id: $id) { id } }', { id: picture.id });
      expect(asked.node).toBeNull();
    }
    expect(await markViewed(friend, status.id)).toEqual({ statuses: [] });
    expect(await replyTo(friend, direct, status.id)).toBe('NOT_FOUND input.replyToStatusId');
    const replies = await friend.ask(
      'query ($id: ID!) { conversation(id: $id) { messages { nodes { statusReply { excerpt status { id } } } } } }',
      { id: direct },
    );
    expect(replies.conversation.messages.nodes).toEqual([{ statusReply: { excerpt: 'Soon gone', status: null } }]);
    expect(await db.status.count()).toBe(1);
    // It is cleaned up later, with its file.
    await db.status.updateMany({ data: { expiresAt: new Date(Date.now() - 3_600_000) } });
    expect(await trimStatuses(db)).toBe(1);
    expect([await db.status.count(), await db.attachment.count()]).toEqual([0, 0]);
  });
});
