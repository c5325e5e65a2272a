import { type ChosenDevices, callsOf, type Device } from '@parley/client/calls';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { MenuItem, Popover } from '../../shell/popover.tsx';
import styles from './call.module.css';

/** Chooses the microphone, the camera and the speaker. */
export function DeviceMenu({ anchor, onClose }: { anchor: Element; onClose(): void }) {
  const { call: text } = useScreenText();
  const calls = callsOf(useParley());
  const { microphones, cameras, speakers } = useReadable(calls.devices);
  const chosen = useReadable(calls.chosen);
  const groups: [title: string, key: keyof ChosenDevices, devices: readonly Device[]][] = [
    [text.microphone, 'microphoneId', microphones],
    [text.camera, 'cameraId', cameras],
    [text.speaker, 'speakerId', speakers],
  ];
  const choose = (devices: ChosenDevices) => {
    onClose();
    void calls.choose(devices);
  };
  return (
    <Popover anchor={anchor} role="menu" label={text.devices} onClose={onClose}>
      {groups
        .filter(([, , devices]) => devices.length > 0)
        .map(([title, key, devices]) => (
          // biome-ignore lint/a11y/useSemanticElements: a group of a menu, not of a form
          <div key={key} role="group" aria-label={title} className={styles.group}>
            <p aria-hidden="true">{title}</p>
            <MenuItem checked={chosen[key] === undefined} onClick={() => choose({ [key]: undefined })}>
              {text.system}
            </MenuItem>
            {devices.map(({ id, name }) => (
              <MenuItem key={id} checked={chosen[key] === id} onClick={() => choose({ [key]: id })}>
                <bdi>{name}</bdi>
              </MenuItem>
            ))}
          </div>
        ))}
    </Popover>
  );
}
