import type { TypedDocument } from './document.js';

/** Sends an operation as the user who is signed in. */
export type Request = <Data, Variables extends object>(
  document: string | TypedDocument<Data, Variables>,
  variables: Variables,
) => Promise<Data>;
