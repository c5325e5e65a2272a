import { useEffect, useState } from 'react';
import { useText } from '../locales/locale.tsx';
import { Button, IconButton } from './button.tsx';
import { Icon } from './icon.tsx';
import styles from './update-notice.module.css';

const CHECK_EVERY_MS = 30 * 60_000;

/** Shows that there is a new version, which is used after a reload. Drafts and unsent messages are not lost. */
export function UpdateNotice() {
  const { app } = useText();
  const { update, dismiss } = useUpdate();
  return (
    <div role="status" className={styles.notice}>
      {update && (
        <p>
          {app.newVersion}
          <Button kind="primary" onClick={update}>
            {app.reload}
          </Button>
          <IconButton label={app.close} onClick={dismiss}>
            <Icon name="close" size={18} />
          </IconButton>
        </p>
      )}
    </div>
  );
}

/** Installs the service worker. `update` is defined when a newer version is ready. */
function useUpdate() {
  const [update, setUpdate] = useState<() => void>();
  useEffect(() => {
    // Parts of this version are no longer on the server, and were not stored on this device.
    const onPreloadError = (event: Event) => {
      event.preventDefault();
      setUpdate(() => () => location.reload());
    };
    addEventListener('vite:preloadError', onPreloadError);
    let timer: ReturnType<typeof setInterval> | undefined;
    if (import.meta.env.PROD && 'serviceWorker' in navigator) {
      register((waiting) => setUpdate(() => () => activate(waiting))).then(
        (registration) => {
          timer = setInterval(() => void registration.update().catch(() => {}), CHECK_EVERY_MS);
        },
        // The app then needs a connection to start.
        () => {},
      );
    }
    return () => {
      clearInterval(timer);
      removeEventListener('vite:preloadError', onPreloadError);
    };
  }, []);
  return { update, dismiss: () => setUpdate(undefined) };
}

async function register(onWaiting: (worker: ServiceWorker) => void): Promise<ServiceWorkerRegistration> {
  const { serviceWorker } = navigator;
  const registration = await serviceWorker.register(scriptUrl('/sw.js') as string);
  const look = () => {
    // Without a controller, it is the first version that this browser gets.
    if (registration.waiting && serviceWorker.controller) onWaiting(registration.waiting);
  };
  look();
  registration.addEventListener('updatefound', () => registration.installing?.addEventListener('statechange', look));
  return registration;
}

function activate(worker: ServiceWorker): void {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  worker.postMessage('activate');
}

interface TrustedTypes {
  createPolicy(name: string, rules: object): { createScriptURL(url: string): unknown };
}

/** The address of a script in the form that the policy of the page requires, where browsers know it. */
function scriptUrl(url: string): unknown {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  return (
    trustedTypes?.createPolicy('parley-worker', { createScriptURL: (text: string) => text }).createScriptURL(url) ?? url
  );
}
