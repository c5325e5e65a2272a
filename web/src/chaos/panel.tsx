import type { Parley } from '@parley/client';
import { changesOf } from '@parley/client/changes';
import { useEffect, useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { LatestMessagesDocument } from '../generated/screens/graphql.ts';
import { useReadable } from '../parley.ts';
import { Button } from '../shell/button.tsx';
import { compare } from './compare.ts';
import { type Fault, type Faults, FREEZE_MS } from './faults.ts';
import styles from './panel.module.css';

/** How often something fails, and how often the messages are compared with those of the server, in milliseconds. */
const FAULT_EVERY_MS = 2_500;
const COMPARE_EVERY_MS = 1_500;
const SENT = 20;
const faultNames: readonly Fault[] = ['cut', 'lost', 'expired'];

/** Shows the panel, which is for people who evaluate the app, and in English only. */
export function showChaos(parley: Parley, faults: Faults): void {
  const container = document.createElement('div');
  document.body.append(container);
  createRoot(container).render(<Panel parley={parley} faults={faults} />);
}

function Panel({ parley, faults }: { parley: Parley; faults: Faults }) {
  const { status } = useReadable(parley.connection);
  const completeUntil = useReadable(changesOf(parley).completeUntil);
  const waiting = useReadable(parley.outbox).length;
  const [prefix] = useState(() => `chaos ${Date.now().toString(36)} `);
  const [isRunning, setRunning] = useState(true);
  const [counts, setCounts] = useState({ gaps: 0, duplicates: 0, comparisons: 0, ...faults.counts });
  const [isFrozen, setFrozen] = useState(false);
  const sent = useRef(0);
  useEffect(() => {
    if (!isRunning) return;
    let turn = 0;
    const timer = setInterval(() => {
      faults.cause(faultNames[turn % faultNames.length] ?? 'cut');
      turn += 1;
    }, FAULT_EVERY_MS);
    return () => clearInterval(timer);
  }, [isRunning, faults]);
  useEffect(() => {
    const gaps = new Set<string>();
    const duplicates = new Set<string>();
    let suspects = new Set<string>();
    let comparisons = 0;
    const check = async () => {
      const id = openConversation();
      if (id !== undefined && parley.connection.value.status === 'live') {
        const { conversation } = await parley.request(LatestMessagesDocument, { id });
        const displayed = parley.conversation(id).value.rows.flatMap(({ message }) => message ?? []);
        const { missing, doubled } = compare(displayed, conversation?.messages?.nodes ?? [], prefix);
        // A message that was just stored may not have arrived yet: it counts as missing if it is also missing in the
        // next comparison.
        if (parley.connection.value.status === 'live') {
          for (const each of missing) if (suspects.has(each)) gaps.add(each);
          suspects = new Set(missing);
        }
        for (const each of doubled) duplicates.add(each);
        comparisons += 1;
      }
      setCounts({ gaps: gaps.size, duplicates: duplicates.size, comparisons, ...faults.counts });
    };
    // A comparison can be lost as well.
    const timer = setInterval(() => void check().catch(() => {}), COMPARE_EVERY_MS);
    return () => clearInterval(timer);
  }, [parley, faults, prefix]);
  const send = () => {
    const id = openConversation();
    for (let number = 0; id !== undefined && number < SENT; number += 1) {
      sent.current += 1;
      void parley.conversation(id).send(`${prefix}${sent.current}`);
    }
  };
  const freeze = () => {
    setFrozen(true);
    // After the button has been painted as busy.
    setTimeout(() => {
      faults.cause('frozen');
      setFrozen(false);
    }, 100);
  };
  return (
    <section className={styles.panel} aria-label="Chaos" dir="ltr" lang="en">
      <p>
        <strong data-bad={counts.gaps > 0 ? '' : undefined}>{counts.gaps} gaps</strong>
        <strong data-bad={counts.duplicates > 0 ? '' : undefined}>{counts.duplicates} duplicates</strong>
      </p>
      <p>
        {counts.cut} cut connections, {counts.lost} lost responses, {counts.expired} expired tokens, {counts.frozen}{' '}
        freezes
      </p>
      <p>
        {counts.comparisons} comparisons with the server. {status}, {waiting} waiting to be sent.
        {completeUntil !== undefined &&
          ` Everything up to ${new Date(completeUntil).toLocaleTimeString('en-GB')} is here.`}
      </p>
      <div>
        <Button onClick={send}>Send {SENT} messages here</Button>
        <Button onClick={freeze} busy={isFrozen}>
          Freeze this tab for {FREEZE_MS / 1_000} seconds
        </Button>
        <Button kind="quiet" onClick={() => setRunning(!isRunning)}>
          {isRunning ? 'Pause the failures' : 'Continue'}
        </Button>
      </div>
    </section>
  );
}

/** The id of the conversation that is open. */
function openConversation(): string | undefined {
  const [, id] = /^\/c\/([^/]+)/.exec(location.pathname) ?? [];
  return id === undefined ? undefined : decodeURIComponent(id);
}
