import { useEffect, useState } from 'react';
import { type PushFieldsFragment, PushStateDocument, RemovePushDocument } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable, useServerInfo } from '../../parley.ts';
import { type DeviceState, deviceOf } from '../../push/device.ts';
import { useTurnOn } from '../../push/use-turn-on.ts';
import { Button } from '../../shell/button.tsx';
import { useTimes } from '../../shell/time.ts';
import { useToast } from '../../shell/toast.tsx';
import styles from './device-settings.module.css';
import lists from './settings.module.css';

/** Whether this browser receives pushes, what to do if it cannot, and the other devices of the viewer that receive them. */
export function DeviceSettings() {
  const { app, push } = useScreenText();
  const device = deviceOf(useParley());
  const state = useReadable(device.state);
  const features = useServerInfo()?.features;
  const { turnOn, isBusy, error } = useTurnOn();
  const problems: Partial<Record<DeviceState, string>> = {
    blocked: push.blocked,
    'not-installed': push.notInstalled,
    unsupported: push.unsupported,
  };
  const problem = features?.includes('webPush') === false ? push.unavailable : problems[state];
  const isKnown = features !== undefined && state !== 'unknown';
  return (
    <div className={styles.device}>
      {!isKnown && <p role="status">{app.loading}</p>}
      {isKnown && problem !== undefined && <p className={styles.problem}>{problem}</p>}
      {isKnown && problem === undefined && (
        <div className={styles.choice}>
          <p>
            <strong>{state === 'on' ? push.isOn : push.isOff}</strong>
            <small>{push.hint}</small>
          </p>
          {state === 'on' ? (
            <Button onClick={() => void device.turnOff()}>{push.turnOff}</Button>
          ) : (
            <Button kind="primary" busy={isBusy} onClick={turnOn}>
              {push.turnOn}
            </Button>
          )}
        </div>
      )}
      {error !== undefined && <p role="alert">{error}</p>}
      <Devices state={state} />
    </div>
  );
}

/** The devices of the viewer that receive pushes. */
function Devices({ state }: { state: DeviceState }) {
  const { push, settings } = useScreenText();
  const parley = useParley();
  const times = useTimes();
  const toast = useToast();
  const [devices, setDevices] = useState<readonly PushFieldsFragment[]>([]);
  const load = async () => setDevices((await parley.request(PushStateDocument)).viewer?.pushSubscriptions ?? []);
  useEffect(() => {
    load().catch(() => {});
  }, [state]);
  const remove = async (pushSubscriptionId: string) => {
    try {
      await parley.request(RemovePushDocument, { input: { pushSubscriptionId } });
      await load();
    } catch (error) {
      toast((error as Error).message);
    }
  };
  if (devices.length === 0) return null;
  return (
    <>
      <h4>{push.devices}</h4>
      <ul className={lists.list}>
        {devices.map(({ id, session, createdAt }) => {
          const name = session?.deviceName ?? settings.unnamedSession;
          return (
            <li key={id}>
              <span>
                <strong>
                  <bdi>{name}</bdi>
                </strong>
                <small>{push.since(times.brief(createdAt))}</small>
              </span>
              {session?.current ? (
                <em>{settings.currentSession}</em>
              ) : (
                <Button aria-label={push.removeNamed(name)} onClick={() => void remove(id)}>
                  {push.remove}
                </Button>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}
