import { SignJWT } from 'jose';

/** The URL of a LiveKit server, and its API key. */
export interface LiveKitServer {
  /** The URL for clients, which begins with `ws:` or `wss:`. */
  url: string;
  key: string;
  secret: string;
}

/**
 * A client of a LiveKit server: an SFU, which receives the audio and video of each device in a room once and sends them
 * to the others.
 */
export interface LiveKit {
  readonly url: string;
  /** A token with which a device can join a room, send and receive. `identity` is its name for the other devices. */
  joinToken(room: string, identity: string, ttlMs: number): Promise<string>;
  /** Disconnects a device. Its tokens remain valid. It is no error if it is not in the room. */
  removeParticipant(room: string, identity: string): Promise<void>;
  /** Disconnects all devices. It is no error if the room does not exist. */
  deleteRoom(room: string): Promise<void>;
}

/** The time limit of a request, and the validity of its token, in milliseconds. */
const TIMEOUT_MS = 5_000;
const REQUEST_TOKEN_MS = 60_000;

export function createLiveKit({ url, key, secret }: LiveKitServer): LiveKit {
  const signingKey = new TextEncoder().encode(secret);
  // The same server accepts WebSockets and requests.
  const base = url.replace(/^ws/, 'http').replace(/\/$/, '');

  const tokenFor = (video: object, ttlMs: number, identity?: string): Promise<string> => {
    const token = new SignJWT({ video })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(key)
      .setExpirationTime(Math.floor((Date.now() + ttlMs) / 1_000));
    return (identity === undefined ? token : token.setSubject(identity)).sign(signingKey);
  };

  /** @throws {Error} if the server cannot be reached or refuses, except because there is no such room or participant. */
  async function call(method: string, grant: object, body: object): Promise<void> {
    const response = await fetch(`${base}/twirp/livekit.RoomService/${method}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await tokenFor(grant, REQUEST_TOKEN_MS)}`,
      },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = await response.text();
    if (response.ok || (response.status === 404 && codeOf(answer) === 'not_found')) return;
    throw new Error(`the LiveKit server responded to ${method} with status ${response.status}`);
  }

  return {
    url,
    joinToken: (room, identity, ttlMs) =>
      tokenFor({ room, roomJoin: true, canPublish: true, canSubscribe: true, canPublishData: false }, ttlMs, identity),
    removeParticipant: (room, identity) => call('RemoveParticipant', { room, roomAdmin: true }, { room, identity }),
    deleteRoom: (room) => call('DeleteRoom', { room, roomCreate: true }, { room }),
  };
}

/** The error code in a response of Twirp. A proxy that does not find the server has none. */
function codeOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { code?: unknown } | null)?.code;
  } catch {
    return undefined;
  }
}
