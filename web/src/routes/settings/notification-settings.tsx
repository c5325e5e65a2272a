import {
  type NotificationLevel,
  notificationsOf,
  type NotificationSettings as Settings,
  type UpdateNotificationSettingsInput,
} from '@parley/client/notifications';
import { type ReactNode, useEffect, useId, useState } from 'react';
import { locales } from '../../locales/locale.tsx';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable, useServerInfo } from '../../parley.ts';
import { areSoundsOn, write } from '../../preferences.ts';
import { Button } from '../../shell/button.tsx';
import { useTimes } from '../../shell/time.ts';
import { useToast } from '../../shell/toast.tsx';
import { durations, endOf } from '../notifications/durations.ts';
import { DeviceSettings } from './device-settings.tsx';
import styles from './settings.module.css';

/** The settings that determine when the user is notified, and of what, on all of their devices. */
export function NotificationSettings() {
  const { app, errors, notifications: text, push } = useScreenText();
  const parley = useParley();
  const inbox = notificationsOf(parley);
  const stored = useReadable(inbox.settings);
  const hasDigests = useServerInfo()?.features.includes('emailDigest') ?? false;
  const toast = useToast();
  // A chosen value is shown immediately, and reverted if the server rejects it.
  const [chosen, setChosen] = useState<Partial<Settings>>({});
  const forget = (isOver: (field: keyof Settings, value: unknown) => boolean) =>
    setChosen((before) => {
      const rest = Object.entries(before).filter(([field, value]) => !isOver(field as keyof Settings, value));
      return Object.fromEntries(rest);
    });
  useEffect(() => {
    if (stored) forget((field, value) => JSON.stringify(stored[field]) === JSON.stringify(value));
  }, [stored]);
  if (!stored) return <p role="status">{app.loading}</p>;
  const current = { ...stored, ...chosen };
  const update = async (input: UpdateNotificationSettingsInput) => {
    setChosen((before) => ({ ...before, ...(input as Partial<Settings>) }));
    try {
      await inbox.updateSettings(input);
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message: string };
      toast(code === 'NETWORK' ? errors.unreachable : message);
      forget((field, value) => input[field as keyof typeof input] === value);
    }
  };
  return (
    <div className={styles.parts}>
      <Part title={push.title}>
        <DeviceSettings />
      </Part>
      <Part title={text.level} hint={text.levelHint}>
        <Choice
          name="level"
          label={text.level}
          options={text.levels}
          value={current.defaultLevel}
          onChange={(defaultLevel) => void update({ defaultLevel: defaultLevel as NotificationLevel })}
        />
      </Part>
      <Part title={text.doNotDisturb} hint={text.doNotDisturbHint}>
        <DoNotDisturb
          until={current.doNotDisturbUntil}
          onChange={(until) => void update({ doNotDisturbUntil: until?.toISOString() ?? null })}
        />
      </Part>
      <Part title={text.quietHours} hint={text.quietHoursHint}>
        <QuietHours value={current.quietHours} onChange={(quietHours) => void update({ quietHours })} />
      </Part>
      <Part title={text.preview}>
        <Choice
          name="preview"
          label={text.preview}
          options={text.previews}
          value={current.pushPreview}
          onChange={(pushPreview) => void update({ pushPreview: pushPreview as Settings['pushPreview'] })}
        />
      </Part>
      <Part title={text.other}>
        <LanguageField value={current.locale} onChange={(locale) => void update({ locale })} />
        {hasDigests && (
          <label className={styles.check}>
            <input
              type="checkbox"
              checked={current.emailDigest}
              onChange={() => void update({ emailDigest: !current.emailDigest })}
            />
            {text.digest}
          </label>
        )}
        <SoundChoice />
      </Part>
    </div>
  );
}

function Part({ title, hint, children }: { title: string; hint?: string; children: ReactNode }) {
  return (
    <div className={styles.part}>
      <h3>{title}</h3>
      {hint !== undefined && <p>{hint}</p>}
      {children}
    </div>
  );
}

/** One of several values. */
function Choice({
  name,
  label,
  options,
  value,
  onChange,
}: {
  name: string;
  label: string;
  options: Readonly<Record<string, string>>;
  value: string;
  onChange(value: string): void;
}) {
  return (
    <fieldset className={styles.availabilities} aria-label={label}>
      {Object.entries(options).map(([each, text]) => (
        <label key={each}>
          <input type="radio" name={name} value={each} checked={each === value} onChange={() => onChange(each)} />
          {text}
        </label>
      ))}
    </fieldset>
  );
}

function DoNotDisturb({ until, onChange }: { until: string | null; onChange(until: Date | null): void }) {
  const { notifications: text } = useScreenText();
  const times = useTimes();
  if (until !== null) {
    return (
      <p className={styles.row} role="status">
        <span>{text.onUntil(times.until(until))}</span>
        <Button onClick={() => onChange(null)}>{text.turnOff}</Button>
      </p>
    );
  }
  return (
    <div className={styles.buttons}>
      {durations.map((duration) => (
        <Button key={duration} onClick={() => onChange(endOf(duration))}>
          {text.durations[duration]}
        </Button>
      ))}
    </div>
  );
}

type Hours = NonNullable<Settings['quietHours']>;

/** The quiet hours that are offered first. */
const NIGHT = { from: '22:00', to: '07:00' };

function QuietHours({ value, onChange }: { value: Hours | null; onChange(value: Hours | null): void }) {
  const { notifications: text } = useScreenText();
  const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [draft, setDraft] = useState<Hours>(value ?? { ...NIGHT, timeZone: ownZone });
  useEffect(() => {
    if (value) setDraft(value);
  }, [value]);
  const change = (more: Partial<Hours>) => {
    const next = { ...draft, ...more };
    setDraft(next);
    // While a time is being written, the field is empty.
    if (value && next.from !== '' && next.to !== '' && next.from !== next.to) onChange(next);
  };
  const time = (field: 'from' | 'to') => (
    <label className={styles.time}>
      <span>{text[field]}</span>
      <input
        type="time"
        name={`quiet-${field}`}
        value={draft[field]}
        required
        onInput={(event) => change({ [field]: event.currentTarget.value })}
      />
    </label>
  );
  return (
    <>
      <label className={styles.check}>
        <input type="checkbox" checked={value !== null} onChange={() => onChange(value === null ? draft : null)} />
        {text.quietHours}
      </label>
      {value !== null && (
        <div className={styles.times}>
          {time('from')}
          {time('to')}
          <label className={styles.time}>
            <span>{text.timeZone}</span>
            <select
              name="time-zone"
              value={draft.timeZone}
              onChange={(event) => change({ timeZone: event.currentTarget.value })}
            >
              {zonesWith(draft.timeZone, ownZone).map((zone) => (
                <option key={zone} value={zone}>
                  {zone.replaceAll('_', ' ')}
                </option>
              ))}
            </select>
          </label>
        </div>
      )}
    </>
  );
}

/** All time zones, also those for which the browser uses another name. */
const zonesWith = (...zones: string[]): string[] =>
  [...new Set([...zones, 'UTC', ...Intl.supportedValuesOf('timeZone')])].sort();

function LanguageField({ value, onChange }: { value: string | null; onChange(value: string): void }) {
  const { notifications: text } = useScreenText();
  const id = useId();
  const language = value?.split('-')[0] ?? '';
  return (
    <div className={styles.time}>
      <label htmlFor={id}>{text.language}</label>
      <select id={id} value={language} onChange={(event) => onChange(event.currentTarget.value)}>
        {value === null && <option value="" />}
        {Object.entries(locales).map(([key, { tag, name }]) => (
          <option key={key} value={key} lang={tag}>
            {name}
          </option>
        ))}
        {value !== null && !locales[language] && <option value={language}>{value}</option>}
      </select>
    </div>
  );
}

function SoundChoice() {
  const { notifications: text } = useScreenText();
  const [isOn, setOn] = useState(areSoundsOn);
  return (
    <label className={styles.check}>
      <input
        type="checkbox"
        checked={isOn}
        onChange={() => {
          write('sounds', isOn ? 'off' : 'on');
          setOn(!isOn);
        }}
      />
      {text.sounds}
    </label>
  );
}
