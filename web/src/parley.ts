import type { Parley, ParleyError, Readable, Viewer } from '@parley/client';
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import { ServerInfoDocument, type ServerInfoQuery } from './generated/graphql.ts';

export const ParleyContext = createContext<Parley | undefined>(undefined);

export function useParley(): Parley {
  const parley = useContext(ParleyContext);
  if (!parley) throw new Error('There is no ParleyContext.Provider.');
  return parley;
}

/** The current value of something that changes. */
export const useReadable = <T>(readable: Readable<T>): T =>
  useSyncExternalStore(readable.subscribe, () => readable.value);

/** A part of something that changes. The component is rendered again only if this part is another value. */
export const useSelected = <T, Part>({ subscribe, value }: Readable<T>, select: (value: T) => Part): Part =>
  useSyncExternalStore(subscribe, () => select(value));

/** How many changes are shown immediately, and how long further ones wait for each other, in milliseconds. */
const PACE_BURST = 4;
const PACE_MS = 50;
const paced = new WeakMap<Readable<unknown>, Readable<unknown>['subscribe']>();

/** The same as `useReadable` for what changes with each message: many changes in a short time are rendered together. */
export function usePaced<T>(readable: Readable<T>): T {
  const subscribe = paced.get(readable) ?? paceOf(readable);
  paced.set(readable, subscribe);
  return useSyncExternalStore(subscribe, () => readable.value);
}

const paceOf =
  (readable: Readable<unknown>): Readable<unknown>['subscribe'] =>
  (listener) => {
    let left = PACE_BURST;
    let last = performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const notify = () => {
      timer = undefined;
      listener(readable.value);
      // After it has been rendered, so that slow devices have time for input in between.
      queueMicrotask(() => {
        last = performance.now();
      });
    };
    const stop = readable.subscribe(() => {
      if (timer !== undefined) return;
      const now = performance.now();
      left = Math.min(PACE_BURST, left + (now - last) / PACE_MS) - 1;
      last = now;
      if (left >= 0) notify();
      else timer = setTimeout(notify, PACE_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  };

/** The user who is signed in, as soon as they are known. */
export function useViewer(): Viewer | undefined {
  const session = useReadable(useParley().session);
  return session.status === 'signedIn' ? session.viewer : undefined;
}

type ServerInfo = ServerInfoQuery['serverInfo'];

const infos = new WeakMap<Parley, Promise<ServerInfo>>();

/** The features and limits of the server, which are fetched once. */
export function serverInfoOf(parley: Parley): Promise<ServerInfo> {
  const found = infos.get(parley) ?? parley.request(ServerInfoDocument).then(({ serverInfo }) => serverInfo);
  infos.set(parley, found);
  found.catch(() => infos.delete(parley));
  return found;
}

/** The same; undefined until the server has answered. */
export function useServerInfo(): ServerInfo | undefined {
  const parley = useParley();
  const [info, setInfo] = useState<ServerInfo>();
  useEffect(() => {
    serverInfoOf(parley).then(setInfo, () => {});
  }, [parley]);
  return info;
}

/** The messages of the wrong arguments of a mutation by their paths. */
export function wrongFields({ errors }: ParleyError): ReadonlyMap<string, string> {
  const [{ message = '', extensions = {} } = {}] = errors;
  const listed = extensions['fields'] as { field: string; message: string }[] | undefined;
  const first = extensions['field'] as string | undefined;
  const wrong = listed ?? (first === undefined ? [] : [{ field: first, message }]);
  return new Map(wrong.map((each) => [each.field, each.message]));
}
