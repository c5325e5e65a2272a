import { type ClipboardEvent, type FormEvent, type KeyboardEvent, useEffect, useId, useRef, useState } from 'react';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { Button } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useTask } from '../../shell/use-task.ts';
import styles from './encryption.module.css';
import { Step } from './step.tsx';
import { completionOf, correctionOf, isWord, suggestionsFor, WORDS, wordsOf } from './words.ts';

/** Asks for the words of the recovery key. */
export function RecoveryForm({
  encryption,
  isFirst,
  onDone,
  onLost,
}: {
  encryption: Encryption;
  isFirst: boolean;
  /** Called after the keys were recovered. */
  onDone?(): void;
  /** Called if the user has lost the recovery key, which is offered with it. */
  onLost?(): void;
}) {
  const { encryption: text } = useScreenText();
  const { isBusy, run } = useTask();
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const [words, setWords] = useState<readonly string[]>(() => Array.from({ length: WORDS }, () => ''));
  const [focused, setFocused] = useState(0);
  /** The places of words that are not in the list. They are marked when the user has left the field. */
  const [wrong, setWrong] = useState<readonly number[]>([]);
  const [failure, setFailure] = useState<string>();
  const fieldAt = (place: number) => form.current?.querySelectorAll('input')[place];
  const suggestions = suggestionsFor(words[focused] ?? '');
  const firstWrong = wrong.find((place) => words[place] !== '');

  useEffect(() => {
    fieldAt(0)?.focus();
  }, []);

  /** Writes words from a place on, in place of those that are there; a whole key into all fields. */
  function fill(place: number, parts: readonly string[]): void {
    const from = parts.length >= WORDS ? 0 : place;
    setFailure(undefined);
    const next = words.map((word, at) => (at >= from ? (parts[at - from] ?? word) : word));
    setWords(next);
    setWrong(next.flatMap((word, at) => (at >= from && at < from + parts.length && !isWord(word) ? [at] : [])));
    fieldAt(Math.min(from + parts.length, WORDS - 1))?.focus();
  }

  function onInput(place: number, value: string): void {
    const parts = wordsOf(value);
    setFailure(undefined);
    if (parts.length > 1) {
      fill(place, parts);
      return;
    }
    setWords(words.map((word, at) => (at === place ? (parts[0] ?? '') : word)));
    setWrong(wrong.filter((at) => at !== place));
  }

  function onPaste(place: number, event: ClipboardEvent): void {
    const parts = wordsOf(event.clipboardData?.getData('text') ?? '');
    if (parts.length < 2) return;
    event.preventDefault();
    fill(place, parts);
  }

  function onKeyDown(place: number, event: KeyboardEvent<HTMLInputElement>): void {
    if (event.key === ' ' || (event.key === 'Enter' && place < WORDS - 1 && words.includes(''))) {
      event.preventDefault();
      if (words[place] !== '') fieldAt(place + 1)?.focus();
    } else if (event.key === 'Backspace' && words[place] === '' && place > 0) {
      event.preventDefault();
      fieldAt(place - 1)?.focus();
    }
  }

  function onBlur(place: number): void {
    const word = words[place] ?? '';
    const completed = completionOf(word);
    if (completed !== undefined) setWords((before) => before.map((each, at) => (at === place ? completed : each)));
    else if (word !== '' && !isWord(word)) setWrong((before) => [...before.filter((at) => at !== place), place]);
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    const completed = words.map((word) => completionOf(word) ?? word);
    const unknown = completed.flatMap((word, at) => (isWord(word) ? [] : [at]));
    setWords(completed);
    setWrong(unknown);
    const [first] = unknown;
    if (first !== undefined) {
      setFailure(completed[first] === '' ? text.missingWords : undefined);
      fieldAt(first)?.focus();
      return;
    }
    setFailure(undefined);
    void run(async () => {
      try {
        await encryption.recover(completed.join(' '));
        onDone?.();
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === 'INVALID_RECOVERY_KEY') setFailure(text.invalidKey);
        else if (code === 'WRONG_RECOVERY_KEY') setFailure(text.wrongKey);
        else throw error;
      }
    });
  }

  const wrongWord = firstWrong === undefined ? undefined : (words[firstWrong] ?? '');
  const correction = wrongWord === undefined ? undefined : correctionOf(wrongWord);
  return (
    <Step isFirst={isFirst}>
      <p>{text.recoverText}</p>
      <form ref={form} className={styles.form} onSubmit={submit} noValidate>
        <datalist id={`${id}-words`}>
          {suggestions.map((word) => (
            <option key={word} value={word} />
          ))}
        </datalist>
        <ol className={styles.words} dir="ltr">
          {words.map((word, place) => (
            <li key={place} data-invalid={wrong.includes(place) ? '' : undefined}>
              <span aria-hidden="true">{place + 1}</span>
              <input
                name={`word-${place + 1}`}
                aria-label={text.wordAt(place + 1)}
                aria-invalid={wrong.includes(place) ? true : undefined}
                aria-describedby={place === firstWrong ? `${id}-wrong` : undefined}
                value={word}
                list={`${id}-words`}
                lang="en"
                autoComplete="off"
                autoCapitalize="none"
                autoCorrect="off"
                spellCheck={false}
                enterKeyHint={place < WORDS - 1 ? 'next' : 'done'}
                onFocus={() => setFocused(place)}
                onInput={(event) => onInput(place, event.currentTarget.value)}
                onPaste={(event) => onPaste(place, event)}
                onKeyDown={(event) => onKeyDown(place, event)}
                onBlur={() => onBlur(place)}
              />
            </li>
          ))}
        </ol>
        <div id={`${id}-wrong`} role="alert" className={styles.error}>
          {firstWrong !== undefined && (
            <p>
              {text.unknownWord(firstWrong + 1, wrongWord ?? '')}{' '}
              {correction !== undefined && (
                <button type="button" className={styles.link} onClick={() => fill(firstWrong, [correction])}>
                  {text.didYouMean(correction)}
                </button>
              )}
            </p>
          )}
          {failure !== undefined && (
            <p>
              <Icon name="alert" size={18} />
              {failure}
            </p>
          )}
        </div>
        <div className={styles.actions}>
          {onLost && (
            <Button kind="quiet" onClick={onLost}>
              {text.lost}
            </Button>
          )}
          <Button kind="primary" type="submit" busy={isBusy}>
            {text.recover}
          </Button>
        </div>
      </form>
    </Step>
  );
}
