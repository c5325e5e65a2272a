import type { Conversation } from '@parley/client';
import { type KeyboardEvent, lazy, type ReactNode, Suspense, useEffect, useRef, useState } from 'react';
import { useReadyEncryption } from '../../encryption/ready.ts';
import { SearchMessagesDocument, type SearchMessagesQuery } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useServerInfo, useViewer } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button, IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { Link } from '../../shell/router.tsx';
import { useTimes } from '../../shell/time.ts';
import type { Hit as FoundMessage } from '../chat/chat-context.ts';
import { plainText } from '../chat/message-text.tsx';
import { nameOf } from '../chat/names.ts';
import type { FoundHit } from './found-hit.ts';
import styles from './search-panel.module.css';

type Connection = NonNullable<SearchMessagesQuery['searchMessages']>;
type Hit = Connection['edges'][number];

const EncryptedResults = lazy(() => import('./encrypted-results.tsx'));

/** How long the user must have stopped typing before the search is sent, in milliseconds. */
const PAUSE_MS = 200;

/** Searches the messages of all conversations, or of one. It stays open while results are read. */
export default function SearchPanel({
  scope,
  onLeaveScope,
  onHits,
  onClose,
}: {
  scope: Conversation | undefined;
  onLeaveScope(): void;
  /** Called with what is found, and with nothing when the search is closed. */
  onHits(hits: readonly FoundMessage[]): void;
  onClose(): void;
}) {
  const { search: text } = useScreenText();
  const maxChars = useServerInfo()?.limits.searchQueryMaxChars;
  const [query, setQuery] = useState('');
  const field = useRef<HTMLInputElement>(null);
  const { hits, error, hasMore, isBusy, loadMore } = useHits(query.trim(), scope?.id);
  useEffect(() => field.current?.focus(), []);
  const encryption = useReadyEncryption();
  const [encryptedHits, setEncryptedHits] = useState<readonly FoundHit[]>([]);
  useEffect(() => {
    const all: FoundHit[] = [...(hits ?? []), ...encryptedHits];
    onHits(all.map(({ node }) => ({ conversationId: node.conversation?.id ?? '', seq: node.seq })));
    return () => onHits([]);
  }, [hits, encryptedHits, onHits]);
  const insert = (filter: string) => {
    setQuery(`${query.trimEnd()} ${filter}`.trimStart());
    field.current?.focus();
  };
  return (
    <section
      className={styles.panel}
      aria-label={text.title}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
        else moveFocus(event);
      }}
    >
      <h1 className="visually-hidden">{text.title}</h1>
      <search className={styles.header}>
        <div className={styles.box}>
          <Icon name="search" size={18} />
          <input
            ref={field}
            type="search"
            value={query}
            maxLength={maxChars}
            placeholder={text.placeholder}
            aria-label={text.placeholder}
            autoComplete="off"
            dir={query === '' ? undefined : 'auto'}
            onInput={(event) => setQuery(event.currentTarget.value)}
          />
        </div>
        <IconButton label={text.close} onClick={onClose}>
          <Icon name="close" />
        </IconButton>
      </search>
      {scope && (
        <p className={styles.scope}>
          <span>
            {text.within} <bdi>{nameOf(scope)}</bdi>
          </span>
          <button type="button" onClick={onLeaveScope}>
            {text.everywhere}
          </button>
        </p>
      )}
      <p role="status" className="visually-hidden">
        {hits && !isBusy && text.results(hits.length, hasMore)}
      </p>
      <div className={styles.scroller} aria-busy={isBusy}>
        {error !== undefined && (
          <p role="alert" className={styles.error}>
            {error}
          </p>
        )}
        {query.trim() === '' && <Help onInsert={insert} />}
        {hits?.length === 0 && encryptedHits.length === 0 && error === undefined && !isBusy && (
          <div className={styles.none}>
            <strong>{text.none}</strong>
            <p>{text.noneHint}</p>
          </div>
        )}
        {hits && hits.length > 0 && (
          <ul>
            {hits.map((hit) => (
              <li key={hit.node.id}>
                <Result hit={hit} isScoped={scope !== undefined} />
              </li>
            ))}
          </ul>
        )}
        {hasMore && (
          <p className={styles.more}>
            <Button kind="quiet" busy={isBusy} onClick={loadMore}>
              {text.more}
            </Button>
          </p>
        )}
        <Suspense>
          {encryption && query.trim() !== '' && (
            <EncryptedResults
              encryption={encryption}
              query={query.trim()}
              scope={scope}
              onHits={setEncryptedHits}
              renderHit={(hit) => <Result hit={hit} isScoped={scope !== undefined} />}
            />
          )}
        </Suspense>
      </div>
    </section>
  );
}

function Result({ hit: { node, plainSnippet }, isScoped }: { hit: FoundHit; isScoped: boolean }) {
  const times = useTimes();
  const { seq, sender, createdAt, conversation } = node;
  const { id = '', title, counterpart } = conversation ?? {};
  const name = sender?.displayName ?? '';
  // In direct conversations, other messages are from the user whose name is shown already.
  const isOwn = sender?.id === useViewer()?.user.id;
  const place = title ?? counterpart?.displayName ?? '';
  return (
    <Link to={{ name: 'conversation', id, seq }} className={styles.hit}>
      <Avatar name={name} id={sender?.id ?? ''} url={sender?.avatarUrl} size={32} />
      <span>
        <span className={styles.line}>
          <strong>
            <bdi>{name}</bdi>
          </strong>
          {!isScoped && (title != null || isOwn) && (
            <span className={styles.place}>
              <bdi>{place}</bdi>
            </span>
          )}
          <time dateTime={createdAt}>{times.brief(createdAt)}</time>
        </span>
        <span className={styles.snippet}>
          {partsOf(plainSnippet).map(({ text, isMatch, at }) => (isMatch ? <mark key={at}>{text}</mark> : text))}
        </span>
      </span>
    </Link>
  );
}

/** They enclose matches while the marks of formats are removed. Texts in snippets contain no control characters. */
const START = '\u0002';
const END = '\u0003';

/** The parts of a snippet, without the marks of formats, that match the query, and those between them. */
function partsOf({ text, matches }: FoundHit['plainSnippet']) {
  let marked = '';
  let end = 0;
  for (const match of matches) {
    const start = Math.max(match.start, end);
    if (match.end <= start) continue;
    marked += `${text.slice(end, start)}${START}${text.slice(start, match.end)}${END}`;
    end = match.end;
  }
  const parts: { text: string; isMatch: boolean; at: number }[] = [];
  const add = (part: string, isMatch: boolean) => {
    if (part !== '') parts.push({ text: part, isMatch, at: parts.length });
  };
  const [before = '', ...rest] = plainText(marked + text.slice(end)).split(START);
  add(before, false);
  for (const each of rest) {
    const [match = '', ...after] = each.split(END);
    add(match, true);
    add(after.join(''), false);
  }
  return parts;
}

/** The filters that can be written into the search field. */
function Help({ onInsert }: { onInsert(filter: string): void }): ReactNode {
  const { search: text } = useScreenText();
  const filters = [
    ['from:', text.help.from],
    ['from:me', text.help.fromMe],
    ['in:', text.help.in],
    ['in:@', text.help.inDirect],
    ['has:link', text.help.link],
    ['has:mention', text.help.mention],
    ['has:image', text.help.image],
    ['has:file', text.help.file],
    ['after:', text.help.after],
    ['before:', text.help.before],
    ['"…"', text.help.phrase],
    ['-', text.help.without],
  ] as const;
  return (
    <div className={styles.help}>
      <h2>{text.help.title}</h2>
      <ul>
        {filters.map(([filter, about]) => (
          <li key={filter}>
            <button type="button" onClick={() => onInsert(filter === '"…"' ? '"' : filter)}>
              <code dir="ltr">{filter}</code>
              <span>{about}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The arrow keys move between the field and the results. */
function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  if (step === 0) return;
  const stops = [...event.currentTarget.querySelectorAll<HTMLElement>('input, li a, li button')];
  const next = stops[stops.indexOf(document.activeElement as HTMLElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function useHits(query: string, conversationId: string | undefined) {
  const parley = useParley();
  const { errors } = useScreenText();
  const [state, setState] = useState<{ hits: Hit[] | undefined; end: string | undefined; error?: string }>({
    hits: undefined,
    end: undefined,
  });
  const [isBusy, setBusy] = useState(false);
  const latest = useRef(0);
  const load = async (after: string | undefined, before: Hit[]) => {
    latest.current += 1;
    const own = latest.current;
    setBusy(true);
    try {
      const variables = { query, conversationId: conversationId ?? null, after: after ?? null };
      const { searchMessages } = await parley.request(SearchMessagesDocument, variables);
      if (own !== latest.current || !searchMessages) return;
      const { edges, pageInfo } = searchMessages;
      const end = pageInfo.hasNextPage ? (pageInfo.endCursor ?? undefined) : undefined;
      setState({ hits: [...before, ...edges], end });
    } catch (thrown) {
      const { code, message } = thrown as { code: string; message: string };
      if (own === latest.current) {
        setState({ hits: before, end: undefined, error: code === 'NETWORK' ? errors.unreachable : message });
      }
    } finally {
      if (own === latest.current) setBusy(false);
    }
  };
  useEffect(() => {
    latest.current += 1;
    setBusy(false);
    if (query === '') {
      setState({ hits: undefined, end: undefined });
      return;
    }
    const timer = setTimeout(() => void load(undefined, []), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [query, conversationId]);
  return {
    hits: state.hits,
    error: state.error,
    hasMore: state.end !== undefined,
    isBusy,
    loadMore: () => void load(state.end, state.hits ?? []),
  };
}
