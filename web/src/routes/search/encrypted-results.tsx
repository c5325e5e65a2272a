import type { Conversation } from '@parley/client';
import { matchesConversation, matchesQuery, parseQuery, type SearchQuery, snippetOf } from '@parley/server/search';
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { createHistory, type History, type ReadMessage } from '../../encryption/history.ts';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable, useViewer } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import type { FoundHit } from './found-hit.ts';
import styles from './search-panel.module.css';

/** How long the user must have stopped typing before the search begins, in milliseconds. */
const PAUSE_MS = 200;
/** After how many results the search waits until the user wants more. */
const RESULTS_AT_ONCE = 50;

/** Searches encrypted conversations in this browser, because the server cannot read them. */
export default function EncryptedResults({
  encryption,
  query,
  scope,
  onHits,
  renderHit,
}: {
  encryption: Encryption;
  query: string;
  scope: Conversation | undefined;
  onHits(hits: readonly FoundHit[]): void;
  renderHit(hit: FoundHit): ReactNode;
}) {
  const { search: text } = useScreenText();
  const { searched, total, hits, state, error, stop, more } = useSearch(encryption, query, scope);
  useEffect(() => {
    onHits(hits);
    return () => onHits([]);
  }, [hits, onHits]);
  if (total === 0) return null;
  return (
    <section className={styles.encrypted} aria-label={text.encrypted}>
      <h2>{text.encrypted}</h2>
      <div className={styles.progress}>
        {state !== 'done' && <progress value={searched} max={total} aria-label={text.searchProgress} />}
        <p>{text.searched(searched, total)}</p>
        {state === 'running' && <Button onClick={stop}>{text.stop}</Button>}
        {state === 'stopped' && searched < total && <Button onClick={more}>{text.continue}</Button>}
      </div>
      <p role="status" className="visually-hidden">
        {state !== 'running' && text.results(hits.length, searched < total)}
      </p>
      {error !== undefined && (
        <p role="alert" className={styles.error}>
          {error}
        </p>
      )}
      {state === 'done' && hits.length === 0 && <p className={styles.noneHere}>{text.none}</p>}
      {hits.length > 0 && (
        <ul>
          {hits.map((hit) => (
            <li key={hit.node.id}>{renderHit(hit)}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

interface SearchState {
  hits: readonly FoundHit[];
  /** How many messages have been read. */
  searched: number;
  state: 'running' | 'stopped' | 'done';
  error?: string;
}

const initial: SearchState = { hits: [], searched: 0, state: 'running' };

function useSearch(encryption: Encryption, text: string, scope: Conversation | undefined) {
  const parley = useParley();
  const { errors } = useScreenText();
  const viewer = useViewer()?.user.username ?? '';
  const { status } = useReadable(encryption.state);
  const { conversations } = useReadable(parley.conversations);
  const { e2ee } = encryption;
  // Messages are read once while the search is open.
  const history = useMemo(() => (e2ee ? createHistory(parley, e2ee) : undefined), [parley, e2ee, status]);
  const [found, setFound] = useState(initial);
  const run = useRef<Run>(undefined);
  const query = useMemo(() => parsed(text), [text]);
  // The list changes with each message; the search goes on with those that were there when it began.
  const places = useRef<readonly Conversation[]>([]);
  places.current = conversations.filter(
    (conversation) =>
      conversation.encryption === 'END_TO_END' &&
      (scope === undefined || conversation.id === scope.id) &&
      query !== undefined &&
      matchesConversation(query, {
        title: conversation.kind === 'DIRECT' ? undefined : (conversation.title ?? ''),
        counterpart: conversation.counterpart?.username,
      }),
  );
  const total = places.current.reduce((sum, { latestSeq }) => sum + latestSeq, 0);
  useEffect(() => {
    setFound(initial);
    if (!history || !query) return;
    const timer = setTimeout(() => {
      run.current = startRun(history, places.current, query, viewer, (next) =>
        setFound('code' in next ? (before) => ({ ...before, state: 'stopped', error: messageOf(next) }) : next),
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      run.current?.stop();
      run.current = undefined;
    };
  }, [history, query, viewer, scope?.id]);
  const messageOf = ({ code, message }: Failure) => (code === 'NETWORK' ? errors.unreachable : message);
  return {
    ...found,
    total: history && query ? total : 0,
    stop: () => run.current?.stop(),
    more: () => run.current?.more(),
  };
}

function parsed(text: string): SearchQuery | undefined {
  try {
    return text === '' ? undefined : parseQuery(text);
  } catch {
    // The server explains what is wrong.
    return undefined;
  }
}

interface Failure {
  code: string;
  message: string;
}

interface Run {
  stop(): void;
  /** Continues after it was stopped, or has found many messages. */
  more(): void;
}

/** Reads the conversations page by page, and reports what it finds. */
function startRun(
  history: History,
  conversations: readonly Conversation[],
  query: SearchQuery,
  viewer: string,
  report: (next: SearchState | Failure) => void,
): Run {
  const pages = eachPage(history, conversations);
  let hits: FoundHit[] = [];
  let searched = 0;
  let isStopped = false;
  let isBusy = false;

  async function go(): Promise<void> {
    isStopped = false;
    if (isBusy) return;
    isBusy = true;
    const enough = hits.length + RESULTS_AT_ONCE;
    try {
      for (;;) {
        const { done, value } = await pages.next();
        if (value) {
          searched += value.count;
          const more = value.messages.filter((message) => matches(query, message, viewer));
          hits = [...hits, ...more.map((message) => hitOf(message, value.conversation, query))].sort(newestFirst);
        }
        if (isStopped) return;
        const state = done ? 'done' : hits.length >= enough ? 'stopped' : 'running';
        report({ hits, searched, state });
        if (state !== 'running') return;
      }
    } catch (error) {
      if (!isStopped) report(error as Failure);
    } finally {
      isBusy = false;
    }
  }

  void go();
  return {
    stop() {
      isStopped = true;
      report({ hits, searched, state: 'stopped' });
    },
    more() {
      report({ hits, searched, state: 'running' });
      void go();
    },
  };
}

async function* eachPage(history: History, conversations: readonly Conversation[]) {
  for (const conversation of conversations) {
    let before = 0;
    for await (const { messages, count } of history.pages(conversation.id)) {
      yield { conversation, messages, count: count - before };
      before = count;
    }
  }
}

const matches = (query: SearchQuery, message: ReadMessage, viewer: string): boolean =>
  matchesQuery(
    query,
    {
      text: message.text,
      attachments: message.attachments,
      hasMention: message.mentionsEveryone || message.mentions.length > 0,
      sender: message.sender?.username,
      createdAt: new Date(message.createdAt),
    },
    viewer,
  );

const newestFirst = (one: FoundHit, other: FoundHit) => (one.node.createdAt < other.node.createdAt ? 1 : -1);

function hitOf(
  { id, seq, createdAt, sender, text }: ReadMessage,
  conversation: Conversation,
  query: SearchQuery,
): FoundHit {
  const { title, counterpart } = conversation;
  return {
    plainSnippet: snippetOf(text, query.phrases),
    node: { id, seq, createdAt, sender, conversation: { id: conversation.id, title, counterpart } },
  };
}
