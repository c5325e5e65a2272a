import { useEffect } from 'react';
import { areKeysOn } from '../preferences.ts';

/** Whether keys that are pressed there are text. */
function isWriting(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches('input, textarea, select, [contenteditable]');
}

/**
 * Calls a function when a key is pressed anywhere. `mod+k` stands for Ctrl+K, and on a Mac for ⌘K. Keys without a modifier
 * work outside of fields and dialogs, if the user has not switched them off.
 */
export function useShortcut(key: string, run: () => void): void {
  useEffect(() => {
    const [, mod, letter] = /^(mod\+)?(.+)$/.exec(key) ?? [];
    const onKeyDown = (event: KeyboardEvent) => {
      const hasMod = event.ctrlKey || event.metaKey;
      if (event.key.toLowerCase() !== letter || hasMod !== (mod !== undefined) || event.altKey) return;
      if (!mod && (!areKeysOn() || isWriting(event.target) || document.querySelector('dialog[open]'))) return;
      event.preventDefault();
      run();
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  });
}
