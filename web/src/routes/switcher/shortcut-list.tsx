import { useScreenText } from '../../locales/screens.ts';
import { Dialog } from '../../shell/dialog.tsx';
import styles from './switcher.module.css';

/** All keys that do something. */
export default function ShortcutList({ onClose }: { onClose(): void }) {
  const { keys, pane } = useScreenText();
  const mod = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl';
  const groups: [string, [string, string[]][]][] = [
    [
      keys.anywhere,
      [
        [keys.switcher, [mod, 'K']],
        [keys.help, ['?']],
        [keys.search, ['/']],
        [keys.new, ['N']],
        [keys.notifications, ['I']],
        [keys.move, ['↑', '↓']],
        [keys.cancel, ['Esc']],
      ],
    ],
    [
      keys.writing,
      [
        [keys.send, ['Enter']],
        [keys.newLine, ['Shift', 'Enter']],
        [keys.editLast, ['↑']],
        [keys.formats, [mod, 'B', 'I']],
      ],
    ],
    [
      keys.onMessage,
      [
        [keys.menu, ['Enter']],
        [pane.react, ['+']],
        [pane.reply, ['R']],
        [pane.edit, ['E']],
        [pane.copy, ['C']],
        [pane.pin, ['P']],
        [pane.delete, ['Del']],
      ],
    ],
  ];
  return (
    <Dialog title={keys.title} onClose={onClose}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise the keyboard could not scroll it */}
      <div className={styles.keys} tabIndex={0}>
        {groups.map(([title, shortcuts]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {shortcuts.map(([label, pressed]) => (
                <div key={label}>
                  <dt>{label}</dt>
                  <dd dir="ltr">
                    {pressed.map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
