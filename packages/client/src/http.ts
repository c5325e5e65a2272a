import { type Hashes, payload, type TypedDocument } from './document.js';
import { type GraphQLErrorLike, ParleyError, responseError, toError } from './errors.js';

/** The response to an operation. */
export interface Result<Data = unknown> {
  data?: Data | null | undefined;
  errors?: readonly GraphQLErrorLike[] | undefined;
}

/**
 * Sends an operation over HTTP, unless another transport is documented.
 * @throws ParleyError with the code `NETWORK` if there is no GraphQL response.
 */
export type Send = <Data, Variables extends object>(
  document: string | TypedDocument<Data, Variables>,
  variables: Variables,
  token?: string | undefined,
) => Promise<Result<Data>>;

/** Sends operations over HTTP, each of which fails after `timeout` milliseconds without a response. */
export const createSend =
  (url: string, hashes: Hashes, timeout: number): Send =>
  async (document, variables, token) => {
    const body = payload(document as TypedDocument<unknown, never>, variables, hashes);
    let status: number | undefined;
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(timeout),
      });
      status = response.status;
      return await response.json();
    } catch (error) {
      if (status === undefined) throw toError(error);
      throw new ParleyError('NETWORK', `There is no GraphQL response (HTTP status ${status}).`);
    }
  };

/** The data of a response. Throws its errors. */
export function dataOf<Data>({ data, errors }: Result<Data>): Data {
  if (errors || !data) throw responseError(errors ?? [], data);
  return data;
}
