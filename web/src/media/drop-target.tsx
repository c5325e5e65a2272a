import { useEffect, useRef, useState } from 'react';
import { useScreenText } from '../locales/screens.ts';
import { Icon } from '../shell/icon.tsx';
import styles from './drop-target.module.css';

/** Shows that files can be dropped, while they are dragged over the page. */
export default function DropTarget({ onDrop }: { onDrop(files: File[]): void }) {
  const { media: text } = useScreenText();
  const [isOver, setOver] = useState(false);
  const latest = useRef(onDrop);
  latest.current = onDrop;
  useEffect(() => {
    // Events of elements that the pointer enters and leaves alternate.
    let depth = 0;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const listeners: [keyof WindowEventMap, (event: DragEvent) => void][] = [
      [
        'dragenter',
        (event) => {
          if (!hasFiles(event)) return;
          depth += 1;
          setOver(true);
        },
      ],
      [
        'dragleave',
        (event) => {
          if (!hasFiles(event)) return;
          depth -= 1;
          if (depth <= 0) setOver(false);
        },
      ],
      [
        'dragover',
        (event) => {
          // Otherwise the browser would open the file.
          if (hasFiles(event)) event.preventDefault();
        },
      ],
      [
        'drop',
        (event) => {
          if (!hasFiles(event)) return;
          event.preventDefault();
          depth = 0;
          setOver(false);
          const files = [...(event.dataTransfer?.files ?? [])];
          // A dialog is in front of the conversation.
          if (files.length > 0 && document.querySelector('dialog[open]') === null) latest.current(files);
        },
      ],
    ];
    for (const [name, listener] of listeners) addEventListener(name, listener as (event: Event) => void);
    return () => {
      for (const [name, listener] of listeners) removeEventListener(name, listener as (event: Event) => void);
    };
  }, []);
  return isOver ? (
    <div className={styles.target}>
      <p>
        <Icon name="attach" size={36} />
        {text.drop}
      </p>
    </div>
  ) : null;
}
