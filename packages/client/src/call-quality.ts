/** What a device sends at a level of quality. */
export interface QualityStep {
  /** The maximum bit rate of the camera's video, in bits per second. */
  maxBitrate: number;
  /** The number by which the width and the height of the video are divided. */
  scaleResolutionDownBy: number;
}

/** The levels, from the best to the worst. */
export const qualitySteps: readonly QualityStep[] = [
  { maxBitrate: 1_500_000, scaleResolutionDownBy: 1 },
  { maxBitrate: 700_000, scaleResolutionDownBy: 1.5 },
  { maxBitrate: 300_000, scaleResolutionDownBy: 2 },
  { maxBitrate: 120_000, scaleResolutionDownBy: 4 },
];

/** The state of a connection since the previous measurement. */
export interface QualitySample {
  /** The part of the packets that were lost, from 0 to 1, in the direction where more were lost. */
  loss: number;
  /** The time to the other device and back, in milliseconds; undefined if it is not known. */
  roundTripMs: number | undefined;
  /** Whether the browser sends video of a lower quality than it may, because the network or the device is too slow. */
  isLimited: boolean;
}

/** How well a connection works. */
export type CallQuality = 'good' | 'fair' | 'poor';

/**
 * The number of successive good measurements after which the quality is raised, so that it does not change all the
 * time.
 */
const RAISE_AFTER = 5;
/**
 * The number of successive measurements with a limit after which the quality is lowered: browsers assume at first that
 * a connection is slow.
 */
const LOWER_AFTER = 3;

/** The quality of a connection as a user perceives it. */
export function qualityOf({ loss, roundTripMs = 0 }: QualitySample): CallQuality {
  if (loss > 0.1 || roundTripMs > 700) return 'poor';
  return loss > 0.03 || roundTripMs > 350 ? 'fair' : 'good';
}

/**
 * Chooses the level of quality of one connection: a worse one if packets are lost or the browser is limited, and a
 * better one after some time without either.
 * @param receivers the number of devices that receive the video: each of them is sent a copy.
 */
export function createQualityControl(receivers: number) {
  // With several copies, the best level would fill the connections of most homes.
  const best = receivers > 2 ? 2 : receivers > 1 ? 1 : 0;
  const worst = qualitySteps.length - 1;
  let index = best;
  let limitedCount = 0;
  let goodCount = 0;

  function next({ loss, isLimited }: QualitySample): QualityStep {
    limitedCount = isLimited ? limitedCount + 1 : 0;
    goodCount = loss < 0.02 && !isLimited ? goodCount + 1 : 0;
    if (loss > 0.08 || limitedCount >= LOWER_AFTER) {
      index = Math.min(worst, index + 1);
      limitedCount = 0;
    } else if (goodCount >= RAISE_AFTER) {
      index = Math.max(best, index - 1);
      goodCount = 0;
    }
    return qualitySteps[index] as QualityStep;
  }

  return { next };
}

/** The numbers of one measurement, of which the browser counts most from the beginning. */
export interface CallStatistics {
  packetsSent: number;
  packetsReceived: number;
  /** Packets of this device that the other one did not receive, and the other way around. */
  packetsLostThere: number;
  packetsLostHere: number;
  bytesSent: number;
  bytesReceived: number;
  framesDecoded: number;
  framesPerSecond: number;
  roundTripMs: number | undefined;
  availableBitrate: number | undefined;
  isLimited: boolean;
  /** Whether the connection goes through a TURN server. */
  isRelayed: boolean;
}

type Entry = Record<string, unknown> & { type: string };

/** Reads the report of a connection. */
export function readStatistics(report: Iterable<Entry>): CallStatistics {
  const all = [...report];
  const byId = new Map(all.map((entry) => [entry['id'], entry]));
  const sum = (type: string, field: string) =>
    all.filter((entry) => entry.type === type).reduce((total, entry) => total + Number(entry[field] ?? 0), 0);
  const transport = all.find((entry) => entry.type === 'transport');
  const isUsed = (entry: Entry) =>
    entry.type === 'candidate-pair' && entry['nominated'] && entry['state'] === 'succeeded';
  const pair = byId.get(transport?.['selectedCandidatePairId']) ?? all.find(isUsed);
  const roundTrip = pair?.['currentRoundTripTime'];
  const available = pair?.['availableOutgoingBitrate'];
  const types = [pair?.['localCandidateId'], pair?.['remoteCandidateId']].map((id) => byId.get(id)?.['candidateType']);
  return {
    packetsSent: sum('outbound-rtp', 'packetsSent'),
    packetsReceived: sum('inbound-rtp', 'packetsReceived'),
    packetsLostThere: sum('remote-inbound-rtp', 'packetsLost'),
    packetsLostHere: sum('inbound-rtp', 'packetsLost'),
    bytesSent: sum('outbound-rtp', 'bytesSent'),
    bytesReceived: sum('inbound-rtp', 'bytesReceived'),
    framesDecoded: sum('inbound-rtp', 'framesDecoded'),
    framesPerSecond: sum('inbound-rtp', 'framesPerSecond'),
    roundTripMs: typeof roundTrip === 'number' ? roundTrip * 1_000 : undefined,
    availableBitrate: typeof available === 'number' ? available : undefined,
    isLimited: all.some(({ type, qualityLimitationReason: reason }) => {
      return type === 'outbound-rtp' && (reason === 'cpu' || reason === 'bandwidth');
    }),
    isRelayed: types.includes('relay'),
  };
}

/** The difference between two measurements. */
export function sampleBetween(before: CallStatistics | undefined, after: CallStatistics): QualitySample {
  const since = (field: 'packetsSent' | 'packetsReceived' | 'packetsLostThere' | 'packetsLostHere') =>
    Math.max(0, after[field] - (before?.[field] ?? 0));
  const part = (lost: number, arrived: number) => (lost + arrived === 0 ? 0 : lost / (lost + arrived));
  const sent = since('packetsSent');
  const lostThere = Math.min(sent, since('packetsLostThere'));
  const { roundTripMs, isLimited } = after;
  const loss = Math.max(part(lostThere, sent - lostThere), part(since('packetsLostHere'), since('packetsReceived')));
  return { loss, roundTripMs, isLimited };
}
