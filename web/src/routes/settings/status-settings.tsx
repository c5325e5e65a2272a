import { type StatusAudienceMode, statusesOf } from '@parley/client/statuses';
import { lazy, Suspense, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { useTask } from '../../shell/use-task.ts';
import styles from './settings.module.css';

const AudiencePicker = lazy(() => import('../status/audience-picker.tsx'));

/** Who can see the user's statuses by default, and whether views are shared, on all devices. */
export function StatusSettings() {
  const { app, status: text } = useScreenText();
  const statuses = statusesOf(useParley());
  const settings = useReadable(statuses.settings);
  const { run, isBusy } = useTask();
  const [isPicking, setPicking] = useState(false);
  if (!settings) return <p role="status">{app.loading}</p>;
  const { mode, users } = settings.audience;
  const names = users.map(({ displayName }) => displayName).join(', ');
  return (
    <div className={styles.parts}>
      <p className={styles.audience}>
        <span>
          {text.defaultAudience}: {text.audienceOf[mode as Exclude<StatusAudienceMode, '%future added value'>]}{' '}
          <bdi>{names}</bdi>
        </span>
        <Button busy={isBusy} aria-haspopup="dialog" onClick={() => setPicking(true)}>
          {text.change}
        </Button>
      </p>
      <label className={styles.check}>
        <input
          type="checkbox"
          checked={settings.viewsReported}
          onChange={() => void run(() => statuses.setViewsReported(!settings.viewsReported))}
        />
        <span>
          {text.viewsReported}: {text.viewsReportedHint}
        </span>
      </label>
      <Suspense>
        {isPicking && (
          <AudiencePicker
            isDefaultOnly
            initial={{ mode, ...(mode !== 'CONTACTS' && { userIds: users.map(({ id }) => id) }) }}
            onClose={() => setPicking(false)}
            onDone={(audience) => {
              setPicking(false);
              void run(() => statuses.setAudience(audience));
            }}
          />
        )}
      </Suspense>
    </div>
  );
}
