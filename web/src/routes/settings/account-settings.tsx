import type { Viewer } from '@parley/client';
import { peopleOf } from '@parley/client/people';
import { useEffect, useState } from 'react';
import { useCanAttach } from '../../files.ts';
import {
  type Availability,
  ChangePasswordDocument,
  EndSessionDocument,
  SessionsDocument,
  type SessionsQuery,
  SetAvailabilityDocument,
  UpdateProfileDocument,
} from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { PicturePicker } from '../../media/picture-picker.tsx';
import { useParley, useReadable } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Field, PasswordField } from '../../shell/field.tsx';
import { TextArea } from '../../shell/text-area.tsx';
import { useTimes } from '../../shell/time.ts';
import { useToast } from '../../shell/toast.tsx';
import { useTask } from '../../shell/use-task.ts';
import { Form } from '../account/form.tsx';
import { useForm } from '../account/use-form.ts';
import styles from './settings.module.css';

type Session = NonNullable<SessionsQuery['viewer']>['sessions'][number];
/** Changes what others see of the viewer. */
export function ProfileDialog({ viewer: { user }, onClose }: { viewer: Viewer; onClose(): void }) {
  const canAttach = useCanAttach();
  const { settings, pane } = useScreenText();
  const parley = useParley();
  const form = useForm<'displayName' | 'bio' | 'avatarUrl'>([], async ({ displayName, bio, avatarUrl }) => {
    const input = {
      displayName: displayName.trim() || null,
      bio: bio.trim() || null,
      ...(!canAttach && { avatarUrl: avatarUrl.trim() || null }),
    };
    await parley.request(UpdateProfileDocument, { input });
    onClose();
  });
  const { errors } = form;
  return (
    <Dialog title={settings.editProfile} onClose={onClose}>
      <div className={styles.dialog}>
        {canAttach && (
          <PicturePicker
            name={user.displayName}
            id={user.id}
            url={user.avatarUrl}
            onChange={(avatarAttachmentId) => {
              const input = avatarAttachmentId === null ? { avatarUrl: null } : { avatarAttachmentId };
              return parley.request(UpdateProfileDocument, { input });
            }}
          />
        )}
        <Form form={form} action={pane.save}>
          <Field
            label={settings.displayName}
            name="displayName"
            maxLength={80}
            defaultValue={user.displayName}
            error={errors.displayName}
            autoComplete="name"
          />
          <TextArea
            label={settings.bio}
            name="bio"
            maxLength={1_000}
            defaultValue={user.bio ?? ''}
            error={errors.bio}
          />
          {!canAttach && (
            <Field
              label={settings.picture}
              name="avatarUrl"
              type="url"
              maxLength={2_000}
              defaultValue={user.avatarUrl ?? ''}
              error={errors.avatarUrl}
              autoComplete="photo"
            />
          )}
        </Form>
      </div>
    </Dialog>
  );
}

/** How the viewer appears to others. It is shown immediately, and reverted if the server rejects it. */
export function AvailabilityChoice({ current }: { current: string }) {
  const { settings } = useScreenText();
  const parley = useParley();
  const task = useTask();
  const [chosen, setChosen] = useState<string>();
  useEffect(() => setChosen(undefined), [current]);
  const choose = async (availability: Availability) => {
    setChosen(availability);
    const isDone = await task.run(() => parley.request(SetAvailabilityDocument, { input: { availability } }));
    if (!isDone) setChosen(undefined);
  };
  return (
    <>
      <p className={styles.hint}>{settings.availabilityHint}</p>
      <fieldset className={styles.availabilities} aria-label={settings.availability}>
        {Object.entries(settings.availabilities).map(([value, label]) => (
          <label key={value}>
            <input
              type="radio"
              name="availability"
              value={value}
              checked={value === (chosen ?? current)}
              onChange={() => void choose(value as Availability)}
            />
            <i className={styles.dot} data-status={value} aria-hidden="true" />
            {label}
          </label>
        ))}
      </fieldset>
    </>
  );
}

/** The devices on which the viewer is signed in. */
export function Sessions() {
  const { app, settings } = useScreenText();
  const times = useTimes();
  const parley = useParley();
  const task = useTask();
  const [sessions, setSessions] = useState<readonly Session[]>();
  const load = async () => setSessions((await parley.request(SessionsDocument)).viewer?.sessions ?? []);
  useEffect(() => {
    load().catch(() => {});
  }, []);
  const end = (sessionId: string) =>
    task.run(async () => {
      await parley.request(EndSessionDocument, { input: { sessionId } });
      await load();
    });
  return (
    <>
      <p className={styles.hint}>{settings.sessionsHint}</p>
      {!sessions && <p role="status">{app.loading}</p>}
      <ul className={styles.list}>
        {sessions?.map(({ id, deviceName, lastUsedAt, current }) => {
          const name = deviceName ?? settings.unnamedSession;
          return (
            <li key={id}>
              <span>
                <strong>
                  <bdi>{name}</bdi>
                </strong>
                <small>{settings.lastUsed(times.brief(lastUsedAt))}</small>
              </span>
              {current ? (
                <em>{settings.currentSession}</em>
              ) : (
                <Button aria-label={settings.endSessionNamed(name)} onClick={() => void end(id)}>
                  {settings.endSession}
                </Button>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}

/** The users whom the viewer has blocked. */
export function Blocked() {
  const { group, settings } = useScreenText();
  const people = peopleOf(useParley());
  const blocked = useReadable(people.blocked);
  const task = useTask();
  return (
    <>
      {blocked.length === 0 && <p>{settings.noBlocked}</p>}
      <ul className={styles.list}>
        {blocked.map(({ id, displayName, username, avatarUrl }) => (
          <li key={id}>
            <Avatar name={displayName} id={id} url={avatarUrl} size={36} />
            <span>
              <strong>
                <bdi>{displayName}</bdi>
              </strong>
              <small>
                <bdi>@{username}</bdi>
              </small>
            </span>
            <Button
              aria-label={settings.unblockNamed(displayName)}
              onClick={() => void task.run(() => people.unblock(id))}
            >
              {group.unblock}
            </Button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Changes the password, which signs out all other devices. */
export function PasswordForm() {
  const { account, settings } = useScreenText();
  const parley = useParley();
  const toast = useToast();
  const form = useForm<'currentPassword' | 'newPassword'>(['currentPassword', 'newPassword'], async (input) => {
    const { changePassword } = await parley.request(ChangePasswordDocument, { input });
    if (changePassword) await parley.session.useTokens(changePassword.tokens);
    form.ref.current?.reset();
    toast(settings.passwordChanged);
  });
  return (
    <Form form={form} action={settings.changePassword}>
      <PasswordField
        label={settings.currentPassword}
        name="currentPassword"
        error={form.errors.currentPassword}
        autoComplete="current-password"
      />
      <PasswordField
        label={account.newPassword}
        name="newPassword"
        hint={account.passwordHint}
        error={form.errors.newPassword}
        autoComplete="new-password"
      />
    </Form>
  );
}
