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
