import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Json } from './client.js';

/** A request to the API of a LiveKit server. */
interface RoomRequest {
  method: string;
  body: Json;
  /** The claims of its token, whose signature was verified. */
  claims: Json;
}

/** Reads a token as a LiveKit server does: without the library that signs it. Throws if the signature is wrong. */
export function readToken(token: string, secret: string): Json {
  const [header = '', payload = '', signature] = token.split('.');
  const expected = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
  if (signature !== expected) throw new Error('the signature of the token is wrong');
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
  if (read(header).alg !== 'HS256') throw new Error('the token is signed in another way');
  return read(payload);
}

/** A fake LiveKit server, as far as nodes use one: it verifies tokens, and records what it is asked to do. */
export async function startLiveKit(key: string, secret: string) {
  const requests: RoomRequest[] = [];
  /** The status with which requests fail; undefined if they succeed. */
  let failure: number | undefined;
  let failed = 0;
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const fail = (status: number, code: string) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ code, msg: code }));
    try {
      const method = request.url?.replace('/twirp/livekit.RoomService/', '') ?? '';
      const body = JSON.parse(text);
      const claims = readToken(request.headers.authorization?.replace('Bearer ', '') ?? '', secret);
      const isValid = claims.iss === key && claims.exp > Date.now() / 1_000;
      const { video } = claims;
      const isAllowed = method === 'DeleteRoom' ? video.roomCreate : video.roomAdmin && video.room === body.room;
      if (!isValid) return fail(401, 'unauthenticated');
      if (!isAllowed) return fail(403, 'permission_denied');
      if (failure !== undefined) {
        failed += 1;
        return fail(failure, 'unavailable');
      }
      requests.push({ method, body, claims });
      // As if the device had already disconnected.
      if (method === 'RemoveParticipant') return fail(404, 'not_found');
      return response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    } catch {
      return fail(401, 'unauthenticated');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    /** Lets requests fail with a status, or succeed again. */
    failWith(status: number | undefined) {
      failure = status;
    },
    /** The number of requests that failed because of `failWith`. */
    get failed() {
      return failed;
    },
    close: () => server.close(),
  };
}
