import { createHook } from '../loaded.ts';

/** The encryption of the user, which also opens and encrypts messages; undefined until it is loaded. */
export const useEncryption = createHook(async (parley) => (await import('./engine.ts')).createEncryption(parley));
