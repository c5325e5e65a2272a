import type { OutgoingRequests } from '../outgoing/requests.js';
import { encryptPush, type PushKeys, textBytesMax } from './encryption.js';
import { failureOf, outcomeOfError, type PushOutcome } from './outcome.js';
import type { VapidAuthorization } from './vapid.js';

export interface WebPushMessage {
  endpoint: string;
  keys: PushKeys;
  /** The text of the push; at most `webPushTextMax(size)` bytes in UTF-8. */
  text: string;
  /** How large the body is, whatever the length of the text. */
  size: WebPushSize;
  /** A push replaces one of the same topic that the device has not received yet. At most 32 characters of base64url. */
  topic: string;
  /** How long the service keeps the push while the device is offline, in seconds. */
  ttlSeconds: number;
  urgency: 'normal' | 'high';
}

/**
 * The lengths of bodies in bytes. Services must accept 4,096 bytes (RFC 8030), but some of them add to the body before
 * they pass it on, so the regular length has a reserve. The small length is for services that reject it nevertheless.
 */
const BODY_BYTES = { REGULAR: 2_048, SMALL: 1_024 } as const;
export type WebPushSize = keyof typeof BODY_BYTES;

/** The maximum length of a text in bytes for this size. */
export const webPushTextMax = (size: WebPushSize): number => textBytesMax(BODY_BYTES[size]);

/** Sends pushes to browsers, and to UnifiedPush distributors, which use the same protocol (RFC 8030, 8291, 8292). */
export interface WebPush {
  /**
   * Failures are outcomes.
   * @throws {RangeError} if the text is too long for the size.
   */
  send(message: WebPushMessage): Promise<PushOutcome>;
}

export function createWebPush({
  requests,
  authorizationFor,
}: {
  requests: OutgoingRequests;
  authorizationFor: VapidAuthorization;
}): WebPush {
  return {
    async send({ endpoint, keys, text, size, topic, ttlSeconds, urgency }) {
      const body = encryptPush(Buffer.from(text), keys, BODY_BYTES[size]);
      try {
        const url = new URL(endpoint);
        const headers = {
          authorization: await authorizationFor(url.origin),
          'content-encoding': 'aes128gcm',
          'content-type': 'application/octet-stream',
          ttl: String(ttlSeconds),
          topic,
          urgency,
        };
        const response = await requests.post(url, headers, body);
        return response.status >= 200 && response.status < 300 ? { kind: 'DELIVERED' } : failureOf(response);
      } catch (error) {
        return outcomeOfError(error);
      }
    },
  };
}
