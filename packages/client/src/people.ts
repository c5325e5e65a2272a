import { contextOf, once } from './context.js';
import type { User } from './conversation.js';
import {
  AddContactDocument,
  BlockUserDocument,
  ContactsDocument,
  PeopleDocument,
  PresenceDocument,
  RemoveContactDocument,
  UnblockUserDocument,
} from './generated/documents.js';
import type { ContactsSubscription, PresenceSubscription } from './generated/types.js';
import type { Parley } from './parley.js';
import type { Readable } from './state.js';
import type { Entity } from './storage.js';
import { normalize } from './store.js';

export type { User } from './conversation.js';

/** The viewer's contacts, the users they have blocked, and who is online. */
export interface People {
  /** The contacts, by their names. */
  readonly contacts: Readable<readonly User[]>;
  /** The users that the viewer has blocked, by their names. */
  readonly blocked: Readable<readonly User[]>;
  /**
   * A user by their id, as soon as anything about them is known. The `presence` of contacts and of the counterparts of
   * direct conversations is kept up to date.
   */
  user(id: string): Readable<User | undefined>;
  /** @throws ParleyError with the code `FORBIDDEN` and a `limit` if there are too many contacts. */
  addContact(userId: string): Promise<void>;
  removeContact(userId: string): Promise<void>;
  /** Blocks a user: neither can write to the other from then on. */
  block(userId: string): Promise<void>;
  unblock(userId: string): Promise<void>;
}

const PAGE = 100;
/** The size of a page whose items are not needed. The server has no empty pages. */
const LEAST = 1;

/**
 * The people of a client; calls with the same client return the same object. Call it right after `createParley` on
 * every page of an application, because the tab that synchronizes must include them.
 */
export const peopleOf: (parley: Parley) => People = once((parley): People => {
  const { store, sync, request } = contextOf(parley);
  const { state } = store;
  /** The ids of users who are contacts or blocked. */
  const ids = () => state.get<readonly string[]>('people') ?? [];

  async function fetch() {
    const found: Entity[] = [];
    let cursor: string | undefined;
    let contacts: { after?: string | null; isComplete?: boolean } = {};
    let blocked: typeof contacts = {};
    while (!contacts.isComplete || !blocked.isComplete) {
      const { viewer } = await request(PeopleDocument, {
        contacts: contacts.isComplete ? LEAST : PAGE,
        contactsAfter: contacts.after,
        blocked: blocked.isComplete ? LEAST : PAGE,
        blockedAfter: blocked.after,
      });
      // The first cursor covers only changes that all pages contain.
      cursor ??= viewer?.syncCursor;
      found.push(...normalize([viewer?.contacts, viewer?.blockedUsers]));
      const next = (page: { pageInfo: { hasNextPage: boolean; endCursor?: string | null } } | null | undefined) => ({
        after: page?.pageInfo.endCursor ?? null,
        isComplete: !page?.pageInfo.hasNextPage,
      });
      contacts = next(viewer?.contacts);
      blocked = next(viewer?.blockedUsers);
    }
    const people = [...new Set(found.map(({ id }) => id))];
    return { put: found, set: { people, 'cursor:contacts': cursor } };
  }

  sync.add({
    name: 'contacts',
    document: ContactsDocument,
    fetch,
    apply: (events: ContactsSubscription['contacts'][], { put, set }) => {
      const users = normalize(events);
      put.push(...users);
      set['people'] = [...new Set([...ids(), ...users.map(({ id }) => id)])];
    },
  });
  sync.addLive(PresenceDocument, ({ presence }: PresenceSubscription) => {
    void store.commit({ put: normalize(presence) });
  });

  const listOf = (flag: 'viewerIsContact' | 'viewerHasBlocked') =>
    state.derive(() =>
      ids()
        .flatMap((id) => store.read<User>(id) ?? [])
        .filter((user) => user[flag])
        .sort((one, other) => one.displayName.localeCompare(other.displayName)),
    );
  const users = new Map<string, Readable<User | undefined>>();

  async function change(document: typeof AddContactDocument | typeof BlockUserDocument, userId: string) {
    await store.receive(request(document as typeof AddContactDocument, { input: { userId } }), () => ({
      set: { people: [...new Set([...ids(), userId])] },
    }));
  }

  return {
    contacts: listOf('viewerIsContact'),
    blocked: listOf('viewerHasBlocked'),
    user(id) {
      let user = users.get(id);
      if (!user) {
        user = state.derive(() => store.read<User>(id));
        users.set(id, user);
      }
      return user;
    },
    addContact: (userId) => change(AddContactDocument, userId),
    removeContact: (userId) => change(RemoveContactDocument as never, userId),
    block: (userId) => change(BlockUserDocument, userId),
    unblock: (userId) => change(UnblockUserDocument as never, userId),
  };
});
