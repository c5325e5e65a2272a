import { type FormEvent, useEffect, useRef, useState } from 'react';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useViewer } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Field } from '../../shell/field.tsx';
import { useToast } from '../../shell/toast.tsx';
import { useTask } from '../../shell/use-task.ts';
import styles from './encryption.module.css';
import { Step } from './step.tsx';
import { normalize } from './words.ts';

/** The words of the recovery key that the user has yet to confirm; undefined while they are being read. */
export function useRecoveryKey(encryption: Encryption, isKeyPending: boolean): readonly string[] | undefined {
  const [words, setWords] = useState<readonly string[]>();
  useEffect(() => {
    if (!isKeyPending) return;
    encryption.recoveryKey().then(
      (key) => setWords(key?.split(' ') ?? []),
      () => {},
    );
  }, [encryption, isKeyPending]);
  return words;
}

/** Shows the recovery key. */
export function Words({
  words,
  isFirst,
  isSetUp,
  onNext,
}: {
  words: readonly string[];
  /** Whether the dialog has shown nothing before. */
  isFirst: boolean;
  /** Whether it is the second step of the set-up. */
  isSetUp: boolean;
  onNext(): void;
}) {
  const { encryption: text } = useScreenText();
  const toast = useToast();
  const username = useViewer()?.user.username ?? '';
  const key = words.join(' ');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(key);
      toast(text.copied);
    } catch {
      toast(text.copyFailed);
    }
  };
  const download = () => {
    const lines = [text.fileTitle(username), location.origin, '', ...words.map((word, at) => `${at + 1}. ${word}`), ''];
    const url = URL.createObjectURL(new Blob([lines.join('\n')], { type: 'text/plain' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = `parley-${username}.txt`;
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <Step isFirst={isFirst}>
      {isSetUp && <p className={styles.count}>{text.stepOf(2, 3)}</p>}
      <p>{text.keyText}</p>
      <div className={styles.sheet}>
        <p className={styles.printed}>
          {text.fileTitle(username)} · {location.origin}
        </p>
        <ol className={styles.words} dir="ltr" lang="en" translate="no" aria-label={text.keyTitle}>
          {words.map((word, at) => (
            <li key={`${at + 1} ${word}`}>
              <span aria-hidden="true">{at + 1}</span>
              {word}
            </li>
          ))}
        </ol>
      </div>
      <div className={styles.tools}>
        <Button onClick={() => void copy()}>{text.copy}</Button>
        <Button onClick={download}>{text.download}</Button>
        <Button onClick={() => print()}>{text.print}</Button>
      </div>
      <p className={styles.warning}>{text.keyWarning}</p>
      <div className={styles.actions}>
        <Button kind="primary" onClick={onNext}>
          {text.saved}
        </Button>
      </div>
    </Step>
  );
}

/** Two different places, in ascending order. */
function twoOf(count: number): [number, number] {
  const first = Math.floor(Math.random() * count);
  const second = (first + 1 + Math.floor(Math.random() * (count - 1))) % count;
  return first < second ? [first, second] : [second, first];
}

/** Asks for two words of the recovery key before it is forgotten. */
export function Check({
  encryption,
  words,
  isSetUp,
  onBack,
}: {
  encryption: Encryption;
  words: readonly string[];
  /** Whether it is the last step of the set-up. */
  isSetUp: boolean;
  onBack(): void;
}) {
  const { encryption: text } = useScreenText();
  const { isBusy, run } = useTask();
  const [places] = useState(() => twoOf(words.length));
  const [wrong, setWrong] = useState<readonly number[]>([]);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }, [wrong]);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    const found = places.filter((place) => normalize(String(values.get(`word-${place + 1}`))) !== words[place]);
    setWrong(found);
    if (found.length > 0) return;
    void run(() => encryption.confirmRecoveryKey());
  };
  return (
    <Step>
      {isSetUp && <p className={styles.count}>{text.stepOf(3, 3)}</p>}
      <p>{text.checkText}</p>
      <form ref={form} className={styles.form} onSubmit={submit} noValidate>
        {places.map((place) => (
          <Field
            key={place}
            label={text.wordAt(place + 1)}
            name={`word-${place + 1}`}
            error={wrong.includes(place) ? text.wrongWord(place + 1) : undefined}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            dir="ltr"
          />
        ))}
        <div className={styles.actions}>
          <Button onClick={onBack}>{text.showAgain}</Button>
          <Button kind="primary" type="submit" busy={isBusy}>
            {text.confirm}
          </Button>
        </div>
      </form>
    </Step>
  );
}
