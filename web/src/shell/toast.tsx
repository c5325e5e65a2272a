import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from 'react';
import styles from './toast.module.css';

/** How long a short message is shown, in milliseconds. */
const SHOWN_MS = 4_000;

const Context = createContext<(text: string) => void>(() => {});

/** A function that shows a short message for some seconds, such as that something was copied or has failed. */
export const useToast = () => useContext(Context);

export function Toasts({ children }: { children: ReactNode }) {
  const [text, setText] = useState<string>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const show = useCallback((next: string) => {
    clearTimeout(timer.current);
    setText(next);
    timer.current = setTimeout(() => setText(undefined), SHOWN_MS);
  }, []);
  return (
    <Context.Provider value={show}>
      {children}
      <div role="status" className={styles.toast}>
        {text !== undefined && <p>{text}</p>}
      </div>
    </Context.Provider>
  );
}
