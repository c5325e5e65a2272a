import { createHook } from '../loaded.ts';

/** The encryption of the user; undefined until the conversations are displayed. */
export const useEncryption = createHook(async (parley) => (await import('./engine.ts')).createEncryption(parley));
