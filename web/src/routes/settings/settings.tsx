import { lazy, type ReactNode, Suspense, useEffect, useState } from 'react';
import { useEncryptionStatus, useReadyEncryption } from '../../encryption/ready.ts';
import { locales, useLanguage } from '../../locales/locale.tsx';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useViewer } from '../../parley.ts';
import { areKeysOn, write } from '../../preferences.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { Page } from '../../shell/page.tsx';
import { Link } from '../../shell/router.tsx';
import { chooseHue, chooseTheme, currentHue, currentTheme, hues, themes } from '../../shell/theme.ts';
import { useIsModerator } from '../report/role.ts';
import { AvailabilityChoice, Blocked, PasswordForm, ProfileDialog, Sessions } from './account-settings.tsx';
import { NotificationSettings } from './notification-settings.tsx';
import styles from './settings.module.css';
import { StatusSettings } from './status-settings.tsx';

const EncryptionSettings = lazy(() => import('../encryption/encryption-settings.tsx'));
const SignOutDialog = lazy(() => import('../encryption/sign-out-dialog.tsx'));

/** How long signing out waits until it is known whether this browser has keys, in milliseconds. */
const KEYS_MS = 3_000;

/** The settings of the user and of this browser. */
export default function Settings() {
  const { app, account, encryption: encryptionText, notifications, report, settings, status } = useScreenText();
  const isModerator = useIsModerator();
  const parley = useParley();
  const viewer = useViewer();
  const user = viewer?.user;
  const [isEditing, setEditing] = useState(false);
  const encryption = useReadyEncryption();
  const [isSigningOut, setSigningOut] = useState(false);
  const encryptionStatus = useEncryptionStatus();
  useEffect(() => {
    if (!isSigningOut || encryptionStatus === 'ready') return;
    // Without a connection, it can remain unknown whether this browser has keys.
    const delay = encryptionStatus === 'loading' ? KEYS_MS : 0;
    const timer = setTimeout(() => void parley.session.signOut(), delay);
    return () => clearTimeout(timer);
  }, [parley, isSigningOut, encryptionStatus]);
  return (
    <Page title={settings.title} back={{ name: 'home' }}>
      {user && (
        <section className={styles.profile}>
          <Avatar name={user.displayName} id={user.id} url={user.avatarUrl} size={56} />
          <div className={styles.names}>
            <h2>
              <bdi>{user.displayName}</bdi>
            </h2>
            <p>
              <bdi>@{user.username}</bdi>
            </p>
          </div>
          <div className={styles.buttons}>
            <Button onClick={() => setEditing(true)}>{settings.editProfile}</Button>
            <Button busy={isSigningOut && !encryption} onClick={() => setSigningOut(true)}>
              {account.signOut}
            </Button>
          </div>
        </section>
      )}
      <Suspense>
        {encryption && isSigningOut && <SignOutDialog encryption={encryption} onClose={() => setSigningOut(false)} />}
      </Suspense>
      {viewer && isEditing && <ProfileDialog viewer={viewer} onClose={() => setEditing(false)} />}
      {viewer && (
        <Section title={settings.availability}>
          <AvailabilityChoice current={viewer.availability} />
        </Section>
      )}
      <Section title={notifications.title}>
        <NotificationSettings />
      </Section>
      <Section title={status.title}>
        <StatusSettings />
      </Section>
      <Section title={encryptionText.title}>
        <Suspense fallback={<p role="status">{app.loading}</p>}>
          <EncryptionSettings />
        </Suspense>
      </Section>
      {isModerator && (
        <Section title={report.title}>
          <p className={styles.audience}>
            <span>{report.linkHint}</span>
            <Link to={{ name: 'reports' }}>{report.link}</Link>
          </p>
        </Section>
      )}
      <Section title={settings.theme}>
        <ThemeChoice />
      </Section>
      <Section title={settings.accent}>
        <HueChoice />
      </Section>
      <Section title={settings.language}>
        <LanguageChoice />
      </Section>
      <Section title={settings.keys}>
        <KeysChoice />
      </Section>
      <Section title={settings.sessions}>
        <Sessions />
      </Section>
      <Section title={settings.blocked}>
        <Blocked />
      </Section>
      <Section title={settings.password}>
        <PasswordForm />
      </Section>
    </Page>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className={styles.section}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function ThemeChoice() {
  const { settings } = useScreenText();
  const [chosen, setChosen] = useState(currentTheme);
  const names = {
    auto: settings.themeAuto,
    light: settings.themeLight,
    dark: settings.themeDark,
    contrast: settings.themeContrast,
  };
  return (
    <fieldset className={styles.themes} aria-label={settings.theme}>
      {themes.map((theme) => (
        <label key={theme} className={styles.theme}>
          <input
            type="radio"
            name="theme"
            value={theme}
            checked={theme === chosen}
            onChange={() => {
              chooseTheme(theme);
              setChosen(theme);
            }}
          />
          <span className={styles.preview} data-theme={theme} aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {names[theme]}
        </label>
      ))}
    </fieldset>
  );
}

function HueChoice() {
  const { settings } = useScreenText();
  const [chosen, setChosen] = useState(currentHue);
  return (
    <fieldset className={styles.hues} aria-label={settings.accent}>
      {hues.map((hue) => (
        <input
          key={hue}
          type="radio"
          name="hue"
          value={hue}
          aria-label={settings.hue(hue)}
          style={{ '--hue': hue } as React.CSSProperties}
          checked={hue === chosen}
          onChange={() => {
            chooseHue(hue);
            setChosen(hue);
          }}
        />
      ))}
    </fieldset>
  );
}

function LanguageChoice() {
  const { settings } = useScreenText();
  const { key, choose } = useLanguage();
  return (
    <fieldset className={styles.languages} aria-label={settings.language}>
      {Object.entries(locales).map(([each, { name, tag }]) => (
        <label key={each} lang={tag}>
          <input type="radio" name="language" value={each} checked={each === key} onChange={() => choose(each)} />
          <bdi>{name}</bdi>
          <Icon name="check" />
        </label>
      ))}
    </fieldset>
  );
}

function KeysChoice() {
  const { settings } = useScreenText();
  const [isOn, setOn] = useState(areKeysOn);
  return (
    <label className={styles.check}>
      <input
        type="checkbox"
        checked={isOn}
        onChange={() => {
          write('keys', isOn ? 'off' : 'on');
          setOn(!isOn);
        }}
      />
      {settings.keysHint}
    </label>
  );
}
