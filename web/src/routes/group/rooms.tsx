import { useEffect, useState } from 'react';
import { JoinDocument, PublicRoomsDocument, type RoomFieldsFragment } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { useTask } from '../../shell/use-task.ts';
import { SearchField } from '../chat/people-search.tsx';
import styles from './group.module.css';

const PAUSE_MS = 200;

/** The public groups, which everybody can join. */
export default function Rooms({ onOpen }: { onOpen(id: string): void }) {
  const { group, list } = useScreenText();
  const parley = useParley();
  const task = useTask();
  const [search, setSearch] = useState('');
  const [rooms, setRooms] = useState<readonly RoomFieldsFragment[]>();
  const [end, setEnd] = useState<string>();
  const load = async (after: string | undefined, before: readonly RoomFieldsFragment[], isCurrent = () => true) => {
    const variables = { search: search.trim() || null, after: after ?? null };
    const { publicConversations: page } = await parley.request(PublicRoomsDocument, variables);
    if (!isCurrent() || !page) return;
    setRooms([...before, ...page.nodes]);
    setEnd(page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? undefined) : undefined);
  };
  useEffect(() => {
    let isCurrent = true;
    const timer = setTimeout(
      () => void load(undefined, [], () => isCurrent).catch(() => {}),
      search === '' ? 0 : PAUSE_MS,
    );
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [search]);
  const join = (id: string) =>
    task.run(async () => {
      await parley.request(JoinDocument, { input: { conversationId: id } });
      onOpen(id);
    });
  return (
    <>
      <SearchField value={search} onInput={setSearch} label={group.findRooms} autoFocus />
      <div className={styles.rooms}>
        <p role="status" className={rooms?.length === 0 ? styles.none : 'visually-hidden'}>
          {rooms?.length === 0 ? group.noRooms : ''}
        </p>
        <ul>
          {rooms?.map((room) => (
            <li key={room.id} className={styles.room}>
              <Avatar name={room.title ?? ''} id={room.id} url={room.imageUrl} />
              <span>
                <strong>
                  <bdi>{room.title}</bdi>
                </strong>
                <small>
                  <MemberCount count={room.memberCount} />
                  {room.description && <bdi> · {room.description}</bdi>}
                </small>
              </span>
              {room.viewerCanJoin ? (
                <Button
                  kind="secondary"
                  aria-label={group.joinNamed(room.title ?? '')}
                  onClick={() => void join(room.id)}
                >
                  {group.join}
                </Button>
              ) : (
                <Button kind="quiet" aria-label={group.openNamed(room.title ?? '')} onClick={() => onOpen(room.id)}>
                  {group.open}
                </Button>
              )}
            </li>
          ))}
        </ul>
        {end !== undefined && (
          <Button kind="quiet" onClick={() => void load(end, rooms ?? []).catch(() => {})}>
            {list.more}
          </Button>
        )}
      </div>
    </>
  );
}

function MemberCount({ count }: { count: number }) {
  const { pane } = useScreenText();
  return <>{pane.members(count)}</>;
}
