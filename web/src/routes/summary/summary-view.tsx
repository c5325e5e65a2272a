import type { SummaryFieldsFragment } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { Button } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useTimes } from '../../shell/time.ts';
import styles from './summary-panel.module.css';

/** A summary of the server, or one that was made in this browser, whose model is `device`. */
export type ShownSummary = Pick<SummaryFieldsFragment, 'highlights' | 'messageCount' | 'createdAt' | 'model' | 'stale'>;

/** A summary with the messages that it quotes. */
export function Summary({
  summary,
  isOpen,
  onJump,
  onRenew,
}: {
  summary: ShownSummary;
  isOpen: boolean;
  onJump(seq: number): void;
  onRenew: (() => void) | undefined;
}) {
  const { summary: text } = useScreenText();
  const times = useTimes();
  const { highlights, messageCount, createdAt, model, stale } = summary;
  const kinds: Readonly<Record<string, string>> = text.kinds;
  const names: Readonly<Record<string, string>> = { extractive: text.extractive, device: text.onDevice };
  return (
    <details className={styles.summary} open={isOpen}>
      <summary>
        <Icon name="forward" size={16} />
        <span>
          {text.messages(messageCount)}
          <small>
            {times.brief(createdAt)} · {names[model] ?? model}
          </small>
        </span>
        {stale && <em>{text.stale}</em>}
      </summary>
      {stale && (
        <div className={styles.stale} role="status">
          <p>{text.staleText}</p>
          {onRenew && (
            <Button kind="secondary" onClick={onRenew}>
              {text.renew}
            </Button>
          )}
        </div>
      )}
      {highlights.length === 0 && <p className={styles.none}>{text.nothing}</p>}
      <ul>
        {highlights.map((highlight, index) => {
          const { kind, text: point, topic, messages } = highlight;
          const startsTopic = index > 0 && highlights[index - 1]?.topic !== topic;
          return (
            <li key={`${topic}:${messages[0]?.id}:${kind}`} data-starts={startsTopic ? '' : undefined}>
              {kinds[kind] !== undefined && <strong data-kind={kind}>{kinds[kind]}</strong>}
              {point.split('\n').map((line, at) => (
                <Line key={at} text={line} names={messages.map(({ sender }) => sender?.displayName ?? '')} />
              ))}
              <span className={styles.sources}>
                {messages.map(({ id, seq, sender, createdAt: at }) => (
                  <button key={id} type="button" onClick={() => onJump(seq)}>
                    <bdi>{sender?.displayName}</bdi> {times.brief(at)}
                  </button>
                ))}
              </span>
            </li>
          );
        })}
      </ul>
    </details>
  );
}

/** A line of a point. The name at its beginning has no influence on the direction of what the person wrote. */
function Line({ text, names }: { text: string; names: readonly string[] }) {
  const name = names.find((each) => text.startsWith(`${each}: `));
  return (
    <p dir="auto">
      {name !== undefined && <bdi>{name}</bdi>}
      {text.slice(name?.length ?? 0)}
    </p>
  );
}
