import { type KeyboardEvent, type ReactNode, useLayoutEffect, useRef } from 'react';
import { Icon } from './icon.tsx';
import styles from './popover.module.css';

const GAP_PX = 6;
const EDGE_PX = 8;

/**
 * A layer next to an element, or at the lower edge of a narrow screen. It is open as long as it is rendered; `onClose`
 * is called when the user closes it, with Escape or by pressing outside of it.
 */
export function Popover({
  anchor,
  label,
  role = 'dialog',
  onClose,
  children,
}: {
  anchor: Element | null;
  label: string;
  role?: 'dialog' | 'menu';
  onClose(): void;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const before = document.activeElement as HTMLElement | null;
    element.showPopover();
    const place = () => {
      if (!anchor) return;
      const from = anchor.getBoundingClientRect();
      const { offsetWidth: width, offsetHeight: height } = element;
      const isRtl = document.documentElement.dir === 'rtl';
      const below = from.bottom + GAP_PX;
      const fits = below + height <= innerHeight - EDGE_PX;
      const top = fits ? below : Math.max(EDGE_PX, from.top - height - GAP_PX);
      const start = isRtl ? from.left : from.right - width;
      const left = Math.min(Math.max(EDGE_PX, start), innerWidth - width - EDGE_PX);
      element.style.setProperty('--top', `${Math.min(top, Math.max(EDGE_PX, innerHeight - height - EDGE_PX))}px`);
      element.style.setProperty('--left', `${left}px`);
    };
    place();
    // Content that is loaded later changes its size.
    const observer = new ResizeObserver(place);
    observer.observe(element);
    const first = element.querySelector<HTMLElement>('[data-autofocus], button:not(:disabled), input');
    first?.focus({ preventScroll: true });
    return () => {
      observer.disconnect();
      const hadFocus = element.contains(document.activeElement);
      if (element.matches(':popover-open')) element.hidePopover();
      if (hadFocus && before?.isConnected) before.focus({ preventScroll: true });
    };
  }, [anchor]);
  const close = useRef(onClose);
  close.current = onClose;
  // Not a passive effect, which would be undone after the next frame: until then, the next Escape would be lost.
  useLayoutEffect(() => {
    // The browser's own way of closing would end a menu that a long press has opened as soon as the finger is lifted.
    const onPointerDown = (event: PointerEvent) => {
      if (!ref.current?.contains(event.target as Node)) close.current();
    };
    const onKeyDown = (event: globalThis.KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      event.preventDefault();
      event.stopPropagation();
      close.current();
    };
    addEventListener('pointerdown', onPointerDown, true);
    addEventListener('keydown', onKeyDown, true);
    return () => {
      removeEventListener('pointerdown', onPointerDown, true);
      removeEventListener('keydown', onKeyDown, true);
    };
  }, []);
  return (
    // biome-ignore-start lint/a11y: the role is one of two, of which both have names and keys
    <div
      ref={ref}
      popover="manual"
      role={role}
      aria-label={label}
      className={styles.popover}
      onKeyDown={role === 'menu' ? moveInMenu : undefined}
    >
      {children}
    </div>
    // biome-ignore-end lint/a11y: see above
  );
}

/** The arrow keys, Home and End move between the items of a menu. */
function moveInMenu(event: KeyboardEvent<HTMLElement>): void {
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>('[role^=menuitem]:not(:disabled)')];
  const at = items.indexOf(document.activeElement as HTMLElement);
  const isRow = items[at]?.parentElement?.dataset['row'] !== undefined;
  const forward = document.documentElement.dir === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
  const next =
    event.key === 'ArrowDown' || (isRow && event.key === forward)
      ? at + 1
      : event.key === 'ArrowUp' || (isRow && /^Arrow(?:Left|Right)$/.test(event.key))
        ? at - 1
        : event.key === 'Home'
          ? 0
          : event.key === 'End'
            ? -1
            : undefined;
  if (next === undefined) return;
  event.preventDefault();
  items.at(next % items.length)?.focus();
}

/** An action of a menu. */
export function MenuItem({
  icon,
  danger = false,
  checked,
  keys,
  onClick,
  children,
}: {
  icon?: Parameters<typeof Icon>[0]['name'];
  danger?: boolean;
  /** For one of several values: whether it is the current one. */
  checked?: boolean;
  /** The key that does the same, if there is one. */
  keys?: string | undefined;
  onClick(): void;
  children: ReactNode;
}) {
  return (
    <button
      type="button"
      role={checked === undefined ? 'menuitem' : 'menuitemradio'}
      {...(checked !== undefined && { 'aria-checked': checked })}
      tabIndex={-1}
      className={styles.item}
      data-danger={danger ? '' : undefined}
      aria-keyshortcuts={keys}
      onClick={onClick}
    >
      {icon && <Icon name={icon} size={18} />}
      <span className={styles.label}>{children}</span>
      {keys && (
        <span className={styles.keys} aria-hidden="true" dir="ltr">
          {keys === 'Delete' ? 'Del' : keys}
        </span>
      )}
      {checked && <Icon name="check" size={18} />}
    </button>
  );
}
