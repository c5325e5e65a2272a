import { constant, createHook } from './loaded.ts';

/** The statuses of the user and of their contacts; undefined until they are loaded. */
export const useStatuses = createHook(async (parley) => (await import('@parley/client/statuses')).statusesOf(parley));

/** The ring around a picture until they have been loaded. */
export const noRing = constant<'unviewed' | 'viewed' | undefined>(undefined);
