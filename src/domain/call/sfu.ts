import { encodeGlobalId } from '../../core/ids.js';
import type { Config } from '../../infra/config/config.js';
import { createLiveKit } from '../../infra/livekit.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import type { Viewer } from '../../platform/viewer.js';
import { sfuOf } from './call.settings.js';
import { findOwnParties } from './call.store.js';

/** The SFU of a node; null if calls do not use one. */
export const sfu = defineService('SFU', ({ config }) => {
  const server = sfuOf(config);
  return { server: server ? createLiveKit(server) : null };
});

/** The room of a call. */
export const sfuRoomOf = (callId: string): string => `parley-${callId}`;

/** By which name the other devices in a room find a device. */
export const sfuIdentityOf = (partyId: string): string => encodeGlobalId('CallParty', partyId);

/** How long a token is valid that a LiveKit server has given to a connected device instead of its first one, in milliseconds. */
const RENEWED_TOKEN_MS = 10 * 60_000;

/** For how long a device that has left could use a token. */
export const tokensLastMs = ({ callSfuTokenTtlMs }: Pick<Config, 'callSfuTokenTtlMs'>): number =>
  Math.max(callSfuTokenTtlMs, RENEWED_TOKEN_MS);

/** With what a device connects to the SFU. */
export interface SfuAccess {
  token: string;
  expiresAt: Date;
}

/** What the viewer's device needs to connect to the SFU of each of these calls; null if it is not in the call. */
export async function findSfuAccess(
  deps: Deps,
  viewer: Viewer,
  callIds: readonly string[],
): Promise<(SfuAccess | null)[]> {
  const { server } = sfu.of(deps);
  const ttlMs = deps.config.callSfuTokenTtlMs;
  const partyIds = await findOwnParties(deps.database.db, viewer, callIds);
  return Promise.all(
    partyIds.map(async (partyId, index) => {
      if (!server || partyId === null) return null;
      const room = sfuRoomOf(callIds[index] as string);
      const token = await server.joinToken(room, sfuIdentityOf(partyId), ttlMs);
      return { token, expiresAt: new Date(Date.now() + ttlMs) };
    }),
  );
}
