import { useEffect, useState } from 'react';
import type { Encryption } from '../../encryption/types.ts';
import { EncryptionDevicesDocument, type EncryptionDevicesQuery } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Confirm } from '../../shell/confirm.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Field } from '../../shell/field.tsx';
import { useTimes } from '../../shell/time.ts';
import { useTask } from '../../shell/use-task.ts';
import { Form } from '../account/form.tsx';
import { useForm } from '../account/use-form.ts';
import lists from '../settings/settings.module.css';
import styles from './encryption.module.css';

type Device = NonNullable<NonNullable<EncryptionDevicesQuery['viewer']>['user']['devices']>[number];

/** The devices of the viewer that can read encrypted messages. */
export function Devices({ encryption }: { encryption: Encryption }) {
  const { app, encryption: text, settings } = useScreenText();
  const parley = useParley();
  const times = useTimes();
  const { run } = useTask();
  const [devices, setDevices] = useState<readonly Device[]>();
  const [renamed, setRenamed] = useState<Device>();
  const [removed, setRemoved] = useState<Device>();
  const [isStolen, setStolen] = useState(false);
  const load = async () => setDevices((await parley.request(EncryptionDevicesDocument)).viewer?.user.devices ?? []);
  useEffect(() => {
    load().catch(() => {});
  }, []);
  const nameOf = ({ name }: Device) => name ?? settings.unnamedSession;
  return (
    <div className={lists.part}>
      <h3>{text.devices}</h3>
      <p>{text.devicesHint}</p>
      {!devices && <p role="status">{app.loading}</p>}
      <ul className={lists.list}>
        {devices?.map((device) => (
          <li key={device.id}>
            <span>
              <strong>
                <bdi>{nameOf(device)}</bdi>
              </strong>
              <small>{text.since(times.brief(device.createdAt))}</small>
              {device.id === encryption.deviceId && <em>{settings.currentSession}</em>}
            </span>
            <Button
              aria-haspopup="dialog"
              aria-label={text.renameNamed(nameOf(device))}
              onClick={() => setRenamed(device)}
            >
              {text.rename}
            </Button>
            {device.id !== encryption.deviceId && (
              <Button
                aria-haspopup="dialog"
                aria-label={text.removeNamed(nameOf(device))}
                onClick={() => setRemoved(device)}
              >
                {text.remove}
              </Button>
            )}
          </li>
        ))}
      </ul>
      <button type="button" className={styles.link} aria-haspopup="dialog" onClick={() => setStolen(true)}>
        {text.stolen}
      </button>
      {renamed && (
        <Rename
          name={nameOf(renamed)}
          onClose={() => setRenamed(undefined)}
          onRename={async (name) => {
            await encryption.rename(renamed.id, name);
            await load();
          }}
        />
      )}
      {removed && (
        <Confirm
          title={text.removeTitle(nameOf(removed))}
          text={text.removeText}
          action={text.remove}
          onClose={() => setRemoved(undefined)}
          onConfirm={() => {
            setRemoved(undefined);
            void run(async () => {
              await encryption.removeDevice(removed.id);
              await load();
            });
          }}
        />
      )}
      {isStolen && (
        <Stolen
          onClose={() => setStolen(false)}
          onReplace={() =>
            run(async () => {
              await encryption.changeRecoveryKey({ rotateHistoryKey: true });
              setStolen(false);
              encryption.openSetup();
            })
          }
        />
      )}
    </div>
  );
}

function Rename({ name, onRename, onClose }: { name: string; onRename(name: string): Promise<void>; onClose(): void }) {
  const { encryption: text, pane } = useScreenText();
  const form = useForm<'name'>(['name'], async (values) => {
    await onRename(values.name.trim());
    onClose();
  });
  return (
    <Dialog title={text.renameTitle} onClose={onClose}>
      <div className={styles.step}>
        <Form form={form} action={pane.save}>
          <Field
            label={text.deviceName}
            name="name"
            maxLength={80}
            defaultValue={name}
            error={form.errors.name}
            autoComplete="off"
            autoFocus
          />
        </Form>
      </div>
    </Dialog>
  );
}

/** What to do after a device was stolen. */
function Stolen({ onReplace, onClose }: { onReplace(): Promise<unknown>; onClose(): void }) {
  const { encryption: text, pane } = useScreenText();
  const [isBusy, setBusy] = useState(false);
  return (
    <Dialog title={text.stolen} onClose={onClose}>
      <div className={styles.step}>
        <ol className={styles.advice}>
          {text.stolenSteps.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ol>
        <p>{text.replaceText}</p>
        <div className={styles.actions}>
          <Button onClick={onClose}>{pane.cancel}</Button>
          <Button
            kind="danger"
            busy={isBusy}
            onClick={() => {
              setBusy(true);
              void onReplace().finally(() => setBusy(false));
            }}
          >
            {text.replace}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
