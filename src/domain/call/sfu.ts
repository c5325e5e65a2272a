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

/** The name by which other devices in a room identify a device. */
export const sfuIdentityOf = (partyId: string): string => encodeGlobalId('CallParty', partyId);

/**
 * How long a token is valid with which a LiveKit server has replaced the first one of a connected device, in
 * milliseconds.
 */
const RENEWED_TOKEN_MS = 10 * 60_000;

/** For how long a device that has left could use a token, in milliseconds. */
export const tokensLastMs = ({ callSfuTokenTtlMs }: Pick<Config, 'callSfuTokenTtlMs'>): number =>
  Math.max(callSfuTokenTtlMs, RENEWED_TOKEN_MS);

/** The credentials with which a device connects to the SFU. */
export interface SfuAccess {
  token: string;
  expiresAt: Date;
}

/**
 * The credentials with which the viewer's device connects to the SFU of each of these calls, in the same order; null if
 * it is not in the call.
 */
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
