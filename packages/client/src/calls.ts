import {
  type Call,
  type CallHandle,
  type CallTransport,
  type CallView,
  createCall,
  type SfuAccess,
  toCall,
} from './call.js';
import {
  type ChosenDevices,
  type Devices,
  type MediaError,
  type MediaSource,
  openTracks,
  toMediaError,
  watchDevices,
} from './call-devices.js';
import { contextOf, once } from './context.js';
import { isTemporary, ParleyError, toError } from './errors.js';
import {
  AcceptCallDocument,
  CallHistoryDocument,
  CallOfMessageDocument,
  CallsDocument,
  ConversationCallsDocument,
  DeclineCallDocument,
  LeaveCallDocument,
  StartCallDocument,
} from './generated/calls.js';
import type { CallKind, CallsSubscription } from './generated/types.js';
import { dataOf } from './http.js';
import type { Parley } from './parley.js';
import { pause, retryDelay } from './pause.js';
import type { Request } from './request.js';
import type { Readable } from './state.js';

export {
  type Call,
  type CallHandle,
  type CallOptions,
  type CallParty,
  type CallTransport,
  type CallView,
  createCall,
  type OtherParty,
} from './call.js';
export { type ChosenDevices, type Device, type Devices, MediaError, type MediaSource } from './call-devices.js';
export type { CallQuality, CallStatistics } from './call-quality.js';
export type { CallKind } from './generated/types.js';

/** A page of the history of calls, newest first. */
export interface CallPage {
  calls: readonly Call[];
  /** Pass it for the next page; undefined if this is the last one. */
  after: string | undefined;
}

/** The calls of one user. */
export interface Calls {
  /** The calls that ring or are in progress in the conversations of the user, whoever takes part in them. */
  readonly live: Readable<readonly Call[]>;
  /** The calls that ring for the user now. They stop in all tabs and on all devices as soon as one of them has answered. */
  readonly ringing: Readable<readonly Call[]>;
  /** The call of this tab; undefined if there is none. One that has ended remains until `dismiss` or the next call. */
  readonly current: Readable<CallView | undefined>;
  /** The devices of this computer. Browsers reveal their names only after the user has permitted a microphone or a camera. */
  readonly devices: Readable<Devices>;
  /** The devices that the user has chosen in this tab. */
  readonly chosen: Readable<ChosenDevices>;
  /** Chooses devices, also during a call. The speaker is to be applied by the application (`setSinkId`). */
  choose(devices: ChosenDevices): Promise<void>;
  /**
   * Calls the other members of a conversation. A call of this tab that is in progress is left first.
   * @throws MediaError if there is no microphone that can be used: then nobody is called. ParleyError if the server rejects it.
   */
  start(conversationId: string, kind: CallKind): Promise<void>;
  /**
   * Answers a call in this tab. Without a microphone that can be used, the user only listens: see `errors`.
   * @param options whether the camera is to be turned on; by default, if it is a video call.
   * @throws ParleyError with the `reason` `ANSWERED_ELSEWHERE` or `CALL_ENDED`.
   */
  accept(callId: string, options?: { camera?: boolean }): Promise<void>;
  decline(callId: string): Promise<void>;
  /** Leaves the call of this tab. */
  leave(): Promise<void>;
  /**
   * Fetches the credentials with which LiveKit's client connects this tab to a call whose `call.sfu` is not null: see
   * `CallHandle.sfuAccess`.
   * @throws ParleyError NOT_FOUND: there is no such call in this tab.
   */
  sfuAccess(): Promise<SfuAccess>;
  /** Removes another device of the user from a call. */
  leaveElsewhere(callId: string): Promise<void>;
  /** Removes a call that has ended from `current`. */
  dismiss(): void;
  setMicrophone(isOn: boolean): Promise<void>;
  setCamera(isOn: boolean): Promise<void>;
  /** Shares a screen or a window, which the user chooses in a dialog of the browser. */
  setScreen(isOn: boolean): Promise<void>;
  /** The history of one conversation or, without one, of all. */
  history(options?: {
    conversationId?: string | undefined;
    after?: string | undefined;
    first?: number;
  }): Promise<CallPage>;
  /** The call that a system message reports; undefined if there is none. */
  ofMessage(messageId: string): Promise<Call | undefined>;
}

/** The state of a call that the tabs share. */
interface Known {
  call: Call;
  isDeclined: boolean;
  /** The time until which it rings, on the clock of this device. */
  ringsUntil: number;
}

type KnownCalls = Readonly<Record<string, Known>>;

/** All tabs share it; those that are opened later get what begins with `~connection`. */
const LIVE = '~connection:calls';
const CURRENT = '~call';
const CHOSEN = '~devices-chosen';
const PAGE = 30;
/** How often a request that was not answered is repeated, before it counts as failed. */
const ATTEMPTS = 4;

const rank = { RINGING: 0, ACTIVE: 1, ENDED: 2 } as Readonly<Record<string, number>>;

/**
 * The calls of a client; calls with the same client return the same object. Call it right after `createParley` on every
 * page of an application, because the tab that synchronizes must include them. The server has the feature `calls`.
 */
export const callsOf: (parley: Parley) => Calls = once((parley): Calls => {
  const { store, session, socket, request: requestOverHttp, isLeader, url } = contextOf(parley);
  const { state } = store;
  const known = () => state.get<KnownCalls>(LIVE) ?? {};
  /** The calls of system messages, which do not change any more. */
  const ended = new Map<string, Promise<Call | undefined>>();
  let handle: CallHandle | undefined;

  // The socket notices a lost connection sooner than a request over HTTP does.
  const request: Request = async (document, variables) =>
    socket.isReady() ? dataOf(await socket.sendOnce(document, variables)) : requestOverHttp(document, variables);
  const transport: CallTransport = { request, subscribe: socket.subscribe };

  /** Repeats a request that has a key for idempotency. */
  async function repeat<T>(work: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await work();
      } catch (thrown) {
        const error = toError(thrown);
        if (failures + 1 >= ATTEMPTS || !isTemporary(error) || error.code === 'RATE_LIMITED') throw error;
        await pause(retryDelay(failures));
      }
    }
  }

  // ── the live calls, of which one tab receives the changes ──

  let endStream: (() => void) | undefined;
  /** The calls that a stream has begun with; undefined afterwards. */
  let initial: Record<string, Known> | undefined;

  function follow(failures = 0): void {
    const retry = async (error?: ParleyError) => {
      // An old server has no calls.
      if (error && !isTemporary(error)) return;
      await pause(Math.max(retryDelay(failures), error?.retryAfter ?? 0));
      if (stop === endStream) follow(failures + 1);
    };
    // It is read whenever a stream begins: also after a reconnection.
    const variables = {
      get partyId() {
        initial = {};
        return null;
      },
    };
    const stop = socket.subscribe<CallsSubscription, { partyId: string | null }>(CallsDocument as never, variables, {
      next: ({ calls: { type, call } }) => {
        if (type === 'CAUGHT_UP') {
          const begun = initial ?? {};
          initial = undefined;
          share(begun);
        } else if (call) {
          const next = withCall(initial ?? known(), toCall(call), type === 'DECLINED');
          if (initial) initial = next;
          else share(next);
        }
      },
      error: (error) => void retry(error),
      complete: () => void retry(),
    });
    endStream = stop;
  }

  const share = (next: KnownCalls) => store.share({ [LIVE]: next });

  function withCall(calls: KnownCalls, call: Call, isDeclined = false): Record<string, Known> {
    const { [call.id]: old, ...others } = calls;
    if (call.state === 'ENDED') return others;
    const before = old ?? known()[call.id];
    const ringsUntil = before?.ringsUntil ?? Date.now() + Date.parse(call.ringUntil) - Date.parse(call.startedAt);
    return { ...others, [call.id]: { call, isDeclined: isDeclined || (before?.isDeclined ?? false), ringsUntil } };
  }

  /** Shows the result of a mutation in all tabs before its event arrives, unless that was sooner. */
  function shareResult(call: Call): void {
    const before = known()[call.id];
    if (before && (rank[call.state] ?? 2) < (rank[before.call.state] ?? 2)) return;
    share(withCall(known(), call));
  }

  let isFollowing = false;
  function checkLeader(): void {
    const isNext = isLeader() && session.accessToken() !== undefined;
    if (isNext === isFollowing) return;
    isFollowing = isNext;
    endStream?.();
    endStream = undefined;
    if (isNext) follow();
    else if (session.accessToken() === undefined) {
      share({});
      void leave();
    }
  }
  checkLeader();
  state.onChange((changed) => {
    checkLeader();
    if (changed.has('~end')) handle?.close();
  });

  let liveCalls: readonly Call[] = [];
  const live = state.derive<readonly Call[]>(() => {
    // The value that another tab has sent is a copy: a call that has not changed remains the same object.
    const before = new Map(liveCalls.map((call) => [JSON.stringify(call), call]));
    const found = Object.values(known()).map(({ call }) => before.get(JSON.stringify(call)) ?? call);
    if (!isEqual(found, liveCalls)) liveCalls = found;
    return liveCalls;
  });

  let wakeAt = Number.POSITIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Values that are computed from this are computed again at that time. */
  function computeAgainAt(time: number): void {
    state.get('~calls-clock');
    if (time >= wakeAt) return;
    clearTimeout(timer);
    wakeAt = time;
    timer = setTimeout(() => {
      wakeAt = Number.POSITIVE_INFINITY;
      state.set('~calls-clock', Date.now());
    }, time - Date.now());
  }

  let ringingCalls: readonly Call[] = [];
  const ringing = state.derive<readonly Call[]>(() => {
    const own = store.ownId();
    const now = Date.now();
    const found = live.value.filter((call) => {
      const { isDeclined, ringsUntil } = known()[call.id] ?? { isDeclined: true, ringsUntil: 0 };
      const isJoined = call.startedBy.id === own || call.parties.some(({ user }) => user.id === own);
      if (isDeclined || isJoined || own === undefined || ringsUntil <= now) return false;
      computeAgainAt(ringsUntil);
      return true;
    });
    if (!isEqual(found, ringingCalls)) ringingCalls = found;
    return ringingCalls;
  });

  // ── the call of this tab ──

  const chosen = state.derive<ChosenDevices>(() => state.get<ChosenDevices>(CHOSEN) ?? noDevices);
  const devices = watchDevices(state);

  /** The tracks with which a call begins, and what could not be opened. */
  async function open(sources: readonly MediaSource[]) {
    const tracks: Partial<Record<MediaSource, MediaStreamTrack | undefined>> = {};
    const errors: Partial<Record<MediaSource, MediaError>> = {};
    const { microphoneId, cameraId } = chosen.value;
    // One after the other, because browsers ask for one permission at a time.
    for (const source of sources) {
      try {
        [tracks[source]] = await openTracks(source, source === 'camera' ? cameraId : microphoneId);
      } catch (error) {
        errors[source] = toMediaError(error, source);
      }
    }
    return { tracks, errors };
  }

  const stopAll = (tracks: object) => {
    for (const track of Object.values(tracks) as MediaStreamTrack[]) track?.stop();
  };

  type Opened = Awaited<ReturnType<typeof open>>;

  function join(call: Call, partyId: string, { tracks, errors }: Opened): void {
    let created: CallHandle | undefined;
    created = createCall({
      transport,
      call,
      partyId,
      tracks,
      errors,
      devices: () => chosen.value,
      onChange: () => {
        // Not while it is being created.
        if (created && handle === created) state.set(CURRENT, created.view());
      },
    });
    handle = created;
    state.set(CURRENT, created.view());
    shareResult(call);
    void devices.update();
  }

  async function leave(): Promise<void> {
    const left = handle;
    if (left && left.view().state !== 'ended') await left.leave();
  }

  // The other side need not wait until the connection is found to be lost.
  globalThis.addEventListener?.('pagehide', () => {
    const view = handle?.view();
    const token = session.accessToken();
    if (!view || view.state === 'ended' || !token) return;
    const variables = { input: { callId: view.call.id, partyId: view.partyId } };
    handle?.close();
    void fetch(url, {
      method: 'POST',
      keepalive: true,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: String(LeaveCallDocument), variables }),
    }).catch(() => {});
  });

  return {
    live,
    ringing,
    current: state.derive(() => state.get<CallView>(CURRENT)),
    devices,
    chosen,
    async choose(next) {
      state.set(CHOSEN, { ...chosen.value, ...next });
      await handle?.changeDevices();
    },
    async start(conversationId, kind) {
      const opened = await open(kind === 'VIDEO' ? ['microphone', 'camera'] : ['microphone']);
      try {
        if (opened.errors.microphone) throw opened.errors.microphone;
        await leave();
        const input = { conversationId, kind, clientCallId: crypto.randomUUID() };
        const { startCall } = await repeat(() => request(StartCallDocument, { input }));
        if (!startCall) throw new ParleyError('INTERNAL_SERVER_ERROR', 'The operation failed.');
        join(toCall(startCall.call), startCall.partyId, opened);
      } catch (error) {
        stopAll(opened.tracks);
        throw error;
      }
    },
    async accept(callId, { camera = known()[callId]?.call.kind === 'VIDEO' } = {}) {
      await leave();
      // The others stop ringing while the devices are being opened.
      const opening = open(camera ? ['microphone', 'camera'] : ['microphone']);
      try {
        const input = { callId, clientPartyId: crypto.randomUUID() };
        const { acceptCall } = await repeat(() => request(AcceptCallDocument, { input }));
        if (!acceptCall) throw new ParleyError('INTERNAL_SERVER_ERROR', 'The operation failed.');
        shareResult(toCall(acceptCall.call));
        join(toCall(acceptCall.call), acceptCall.partyId, await opening);
      } catch (error) {
        void opening.then(({ tracks }) => stopAll(tracks));
        throw error;
      }
    },
    async decline(callId) {
      const call = known()[callId]?.call;
      if (call) share(withCall(known(), call, true));
      await repeat(() => request(DeclineCallDocument, { input: { callId } }));
    },
    leave,
    async sfuAccess() {
      if (!handle) throw new ParleyError('NOT_FOUND', 'There is no call in this tab.');
      return handle.sfuAccess();
    },
    async leaveElsewhere(callId) {
      const own = store.ownId();
      const party = known()[callId]?.call.parties.find(({ user, state: at }) => user.id === own && at !== 'LEFT');
      if (party) await repeat(() => request(LeaveCallDocument, { input: { callId, partyId: party.id } }));
    },
    dismiss() {
      if (handle?.view().state !== 'ended') return;
      handle = undefined;
      state.set(CURRENT, undefined);
    },
    setMicrophone: async (isOn) => handle?.setMicrophone(isOn),
    setCamera: async (isOn) => handle?.setCamera(isOn),
    setScreen: async (isOn) => handle?.setScreen(isOn),
    async history({ conversationId, after, first = PAGE } = {}) {
      const variables = { first, after: after ?? null };
      const page =
        conversationId === undefined
          ? (await request(CallHistoryDocument, variables)).viewer?.calls
          : (await request(ConversationCallsDocument, { ...variables, id: conversationId })).conversation?.calls;
      const { hasNextPage = false, endCursor } = page?.pageInfo ?? {};
      return { calls: (page?.nodes ?? []).map(toCall), after: hasNextPage ? (endCursor ?? undefined) : undefined };
    },
    async ofMessage(messageId) {
      let found = ended.get(messageId);
      if (!found) {
        found = request(CallOfMessageDocument, { id: messageId }).then(({ node }) => {
          const call = node && 'systemEvent' in node ? node.systemEvent?.call : undefined;
          return call ? toCall(call) : undefined;
        });
        ended.set(messageId, found);
        found.catch(() => ended.delete(messageId));
      }
      return found;
    },
  };
});

const noDevices: ChosenDevices = {};

const isEqual = (one: readonly Call[], other: readonly Call[]): boolean =>
  one.length === other.length && one.every((call, index) => call === other[index]);
