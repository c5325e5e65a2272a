import type { MouseEvent } from 'react';
import styles from './action.module.css';
import { Icon } from './icon.tsx';

/** An action of a panel. */
export function Action({
  icon,
  label,
  isDangerous = false,
  hasMenu = false,
  onClick,
}: {
  icon: Parameters<typeof Icon>[0]['name'];
  label: string;
  isDangerous?: boolean;
  /** Whether it opens a menu. */
  hasMenu?: boolean;
  onClick(event: MouseEvent<HTMLButtonElement>): void;
}) {
  return (
    <button
      type="button"
      className={styles.action}
      data-danger={isDangerous ? '' : undefined}
      aria-haspopup={hasMenu ? 'menu' : undefined}
      onClick={onClick}
    >
      <Icon name={icon} />
      {label}
    </button>
  );
}
