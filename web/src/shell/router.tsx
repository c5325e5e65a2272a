import {
  type AnchorHTMLAttributes,
  createContext,
  type MouseEvent,
  type ReactNode,
  useContext,
  useEffect,
  useState,
} from 'react';

/** A page of the app. */
export type Route =
  | {
      name:
        | 'home'
        | 'sign-in'
        | 'sign-up'
        | 'recover'
        | 'reset'
        | 'settings'
        | 'notifications'
        | 'reports'
        | 'not-found';
    }
  /** With `seq`, at this message. */
  | { name: 'conversation'; id: string; seq?: number | undefined }
  | { name: 'invitation'; userId: string };

const pages: Readonly<Record<string, Exclude<Route['name'], 'conversation' | 'invitation' | 'not-found'>>> = {
  '/': 'home',
  '/sign-in': 'sign-in',
  '/sign-up': 'sign-up',
  '/recover': 'recover',
  '/reset': 'reset',
  '/settings': 'settings',
  '/notifications': 'notifications',
  '/reports': 'reports',
};

/** The page at a path. */
function parsePath(path: string): Route {
  const page = pages[path.replace(/(?<=.)\/$/, '')];
  if (page) return { name: page };
  const [, kind, encoded, seq] = /^\/(c|invite)\/([^/]+)(?:\/(\d{1,9}))?\/?$/.exec(path) ?? [];
  const id = encoded === undefined ? undefined : decoded(encoded);
  if (id === undefined) return { name: 'not-found' };
  if (kind === 'invite') return { name: 'invitation', userId: id };
  return { name: 'conversation', id, seq: seq === undefined ? undefined : Number(seq) };
}

/** The path of a page. */
export function pathOf(route: Route): string {
  if (route.name === 'conversation') {
    const { id, seq } = route;
    return `/c/${encodeURIComponent(id)}${seq === undefined ? '' : `/${seq}`}`;
  }
  if (route.name === 'invitation') return `/invite/${encodeURIComponent(route.userId)}`;
  return Object.entries(pages).find(([, name]) => name === route.name)?.[0] ?? '/';
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

interface Navigation {
  route: Route;
  /** Shows a page. With `replace`, the current page leaves the history of the browser. */
  go(route: Route, options?: { replace?: boolean }): void;
}

const Context = createContext<Navigation>({ route: { name: 'home' }, go() {} });

/** The current page, and how to change it. */
export const useNavigation = (): Navigation => useContext(Context);

export function Router({ children }: { children: ReactNode }) {
  const [route, setRoute] = useState(() => parsePath(location.pathname));
  useEffect(() => {
    const follow = () => setRoute(parsePath(location.pathname));
    addEventListener('popstate', follow);
    return () => removeEventListener('popstate', follow);
  }, []);
  const go: Navigation['go'] = (next, { replace = false } = {}) => {
    const path = pathOf(next);
    if (replace) history.replaceState(null, '', path);
    else if (path !== location.pathname) history.pushState(null, '', path);
    setRoute(next);
  };
  return <Context.Provider value={{ route, go }}>{children}</Context.Provider>;
}

/** A link to a page of the app, which can be opened in a new tab like every other link. */
export function Link({ to, onClick, ...rest }: { to: Route } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  const { go } = useNavigation();
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return <a {...rest} href={pathOf(to)} onClick={follow} />;
}
