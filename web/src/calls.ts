import { useServerInfo } from './parley.ts';

/** Whether users can call each other on this server; undefined until it has answered. */
export const useHasCalls = (): boolean | undefined => useServerInfo()?.features.includes('calls');
