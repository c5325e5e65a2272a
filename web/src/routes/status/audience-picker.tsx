import type { User } from '@parley/client';
import { peopleOf } from '@parley/client/people';
import {
  type AudiencePage,
  type StatusAudienceInput,
  type StatusAudienceMode,
  statusesOf,
} from '@parley/client/statuses';
import { useEffect, useId, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import styles from './people.module.css';

/** How long the preview waits for another change, in milliseconds. */
const PREVIEW_AFTER_MS = 250;

const modes = ['CONTACTS', 'CONTACTS_EXCEPT', 'ONLY'] as const satisfies StatusAudienceMode[];

/** Whom an audience lists: those who were chosen for the mode, in the form that the server accepts. */
const inputOf = (mode: StatusAudienceMode, userIds: readonly string[]): StatusAudienceInput =>
  mode === 'CONTACTS' ? { mode } : { mode, userIds: [...userIds] };

/** Chooses who can see a status, and shows exactly those users. */
export default function AudiencePicker({
  initial,
  isDefaultOnly = false,
  onDone,
  onClose,
}: {
  initial: StatusAudienceInput;
  /** Whether the default is being changed, and no audience of a single status. */
  isDefaultOnly?: boolean;
  /** Called with the audience that was chosen, and whether it is to be the default as well. */
  onDone(audience: StatusAudienceInput, isDefault: boolean): void;
  onClose(): void;
}) {
  const { status: text } = useScreenText();
  const parley = useParley();
  const contacts = useReadable(peopleOf(parley).contacts);
  const [mode, setMode] = useState<StatusAudienceMode>(initial.mode);
  const [listed, setListed] = useState<readonly string[]>(initial.userIds ?? []);
  const [search, setSearch] = useState('');
  const [isDefault, setDefault] = useState(isDefaultOnly);
  const id = useId();
  const searched = search.trim().toLocaleLowerCase();
  const found = contacts.filter(({ displayName, username }) =>
    `${displayName} ${username}`.toLocaleLowerCase().includes(searched),
  );
  const toggle = (userId: string) =>
    setListed((before) => (before.includes(userId) ? before.filter((each) => each !== userId) : [...before, userId]));
  return (
    <Dialog title={text.audience} onClose={onClose}>
      <div className={styles.people}>
        <fieldset className={styles.modes} aria-label={text.audience} aria-describedby={id}>
          {modes.map((each) => (
            <label key={each}>
              <input type="radio" name="audience" checked={mode === each} onChange={() => setMode(each)} />
              {text.audienceOf[each]}
            </label>
          ))}
        </fieldset>
        <p id={id} className={styles.hint}>
          {text.audienceHint}
        </p>
        {mode !== 'CONTACTS' && (
          <>
            <p className={styles.hint}>{mode === 'ONLY' ? text.onlyHint : text.exceptHint}</p>
            <input
              type="search"
              className={styles.search}
              value={search}
              placeholder={text.search}
              aria-label={text.search}
              onInput={(event) => setSearch(event.currentTarget.value)}
            />
            <div className={styles.list}>
              {found.length === 0 && <p className={styles.hint}>{text.noContacts}</p>}
              {found.map((contact) => (
                <label key={contact.id} className={styles.person}>
                  <Avatar name={contact.displayName} id={contact.id} url={contact.avatarUrl} size={32} />
                  <bdi>{contact.displayName}</bdi>
                  <input type="checkbox" checked={listed.includes(contact.id)} onChange={() => toggle(contact.id)} />
                </label>
              ))}
            </div>
          </>
        )}
        <Preview audience={inputOf(mode, listed)} />
        {!isDefaultOnly && (
          <label className={styles.check}>
            <input type="checkbox" checked={isDefault} onChange={() => setDefault(!isDefault)} />
            {text.asDefault}
          </label>
        )}
        <Button kind="primary" onClick={() => onDone(inputOf(mode, listed), isDefault)}>
          {text.done}
        </Button>
      </div>
    </Dialog>
  );
}

/** Exactly those who would see a status, as the server computes it. */
function Preview({ audience }: { audience: StatusAudienceInput }) {
  const { app, status: text } = useScreenText();
  const statuses = statusesOf(useParley());
  const key = JSON.stringify(audience);
  const [shown, setShown] = useState<{ key: string; users: readonly User[]; page: AudiencePage }>();
  const [failed, setFailed] = useState<string>();
  const load = async (after?: string) => {
    try {
      const page = await statuses.previewAudience(audience, { after });
      setShown((before) => ({
        key,
        page,
        users: after !== undefined && before?.key === key ? [...before.users, ...page.users] : page.users,
      }));
      setFailed(undefined);
    } catch (error) {
      setFailed((error as Error).message);
    }
  };
  useEffect(() => {
    const timer = setTimeout(() => void load(), PREVIEW_AFTER_MS);
    return () => clearTimeout(timer);
  }, [key]);
  const isCurrent = shown?.key === key;
  const count = shown?.page.totalCount ?? 0;
  return (
    <section className={styles.preview} aria-busy={!isCurrent}>
      <p role="status">
        {failed ?? (isCurrent ? (count === 0 ? text.previewNone : text.preview(count)) : app.loading)}
      </p>
      {shown && shown.users.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls is scrolled with the keyboard
        <ul tabIndex={0} aria-label={text.preview(count)}>
          {shown.users.map((user) => (
            <li key={user.id}>
              <Avatar name={user.displayName} id={user.id} url={user.avatarUrl} size={28} />
              <bdi>{user.displayName}</bdi>
            </li>
          ))}
        </ul>
      )}
      {isCurrent && shown.page.after !== undefined && (
        <Button kind="quiet" onClick={() => void load(shown.page.after)}>
          {text.moreViews}
        </Button>
      )}
    </section>
  );
}
