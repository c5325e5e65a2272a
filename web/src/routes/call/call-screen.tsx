import { type CallView, callsOf, type OtherParty } from '@parley/client/calls';
import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { durationText } from '../../media/sizes.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { IconButton } from '../../shell/button.tsx';
import { CallIcon, type CallIconName } from '../../shell/call-icon.tsx';
import { nameOf, pictureOf } from '../chat/names.ts';
import styles from './call.module.css';
import { problemText } from './describe-call.ts';
import { DeviceMenu } from './device-menu.tsx';
import { Picture, Sound } from './media.tsx';
import { ringBack } from './ring.ts';
import { onShowCall } from './shown.ts';

/** How long the reason of the end is shown, in milliseconds. */
const ENDED_MS = 2_500;

/** The call of this tab: in front of the page, or as a bar above it. */
export function CallScreen({ view }: { view: CallView }) {
  const text = useScreenText();
  const { call: words } = text;
  const parley = useParley();
  const calls = callsOf(parley);
  const { conversation } = useReadable(parley.conversation(view.call.conversationId));
  const { speakerId } = useReadable(calls.chosen);
  const [isSmall, setSmall] = useState(false);
  const [anchor, setAnchor] = useState<Element>();
  const dialog = useRef<HTMLDialogElement>(null);
  const mainVideo = useRef<HTMLVideoElement>(null);
  const id = useId();
  const { call, state, others, errors } = view;
  const isEnded = state === 'ended';
  useEffect(() => onShowCall(() => setSmall(false)), []);
  useEffect(() => setSmall(false), [call.id]);
  useEffect(() => {
    const element = dialog.current;
    if (!isSmall && element && !element.open) element.showModal();
    if (isSmall) element?.close();
  }, [isSmall]);
  useEffect(() => {
    const element = dialog.current;
    // The focus returns to where it was.
    return () => element?.close();
  }, []);
  useEffect(() => (state === 'ringing' ? ringBack() : undefined), [state]);
  useEffect(() => {
    if (!isEnded) return;
    const timer = setTimeout(() => calls.dismiss(), ENDED_MS);
    return () => clearTimeout(timer);
  }, [isEnded, calls]);

  const name = conversation ? nameOf(conversation) : (others[0]?.party.user.displayName ?? '');
  const endedText = words.ended[call.endReason as keyof typeof words.ended] ?? words.ended.HUNG_UP;
  const status = isEnded
    ? endedText
    : state === 'connected'
      ? ''
      : { ringing: words.ringing, connecting: words.connecting, reconnecting: words.reconnecting }[state];
  const problem = Object.values(errors)[0];
  const shown = others.flatMap((other) => tilesOf(other, text));
  const hasPicture = shown.some(({ stream }) => stream !== undefined);
  const canShowPicture = hasPicture && document.pictureInPictureEnabled;
  const onPictureInPicture = () => {
    const isShown = document.pictureInPictureElement !== null;
    void (isShown ? document.exitPictureInPicture() : mainVideo.current?.requestPictureInPicture())?.then(
      () => setSmall(!isShown),
      () => {},
    );
  };
  const timer = <Timer since={view.since} isRunning={!isEnded} />;
  const mute = (
    <Toggle
      isOn={view.microphoneOn}
      icon={view.microphoneOn ? 'microphone' : 'microphoneOff'}
      label={view.microphoneOn ? words.mute : words.unmute}
      onClick={() => void calls.setMicrophone(!view.microphoneOn)}
    />
  );
  const hangUp = (
    <button
      type="button"
      className={styles.hangUp}
      aria-label={words.hangUp}
      title={words.hangUp}
      onClick={() => void calls.leave()}
    >
      <CallIcon name="hangUp" size={24} />
    </button>
  );
  return (
    <>
      {others.map(({ party, stream }) => (
        <Sound key={party.id} stream={stream} speakerId={speakerId} />
      ))}
      <dialog
        ref={dialog}
        className={styles.screen}
        aria-labelledby={`${id}-title`}
        onCancel={(event) => {
          // Escape minimizes the call, which continues.
          event.preventDefault();
          if (event.target === event.currentTarget && !anchor) setSmall(true);
        }}
        // Browsers do not always let a page prevent that it is closed.
        onClose={(event) => event.target === event.currentTarget && setSmall(true)}
      >
        <header className={styles.top}>
          <h2 id={`${id}-title`}>
            <span className="visually-hidden">{words.title}: </span>
            <bdi>{name}</bdi>
          </h2>
          <p>
            {status}
            {state === 'connected' && timer}
          </p>
          <IconButton label={words.minimize} autoFocus onClick={() => setSmall(true)}>
            <CallIcon name="minimize" />
          </IconButton>
        </header>
        <div className={styles.stage} data-count={Math.max(1, shown.length)}>
          {shown.length === 0 ? (
            <div className={styles.tile}>
              {conversation && <Avatar name={name} {...pictureOf(conversation)} size={112} />}
            </div>
          ) : (
            shown.map(({ key, other, stream, label, isScreen }, index) => (
              <div key={key} className={styles.tile} data-screen={isScreen ? '' : undefined}>
                {stream ? (
                  <Picture
                    stream={stream}
                    label={label}
                    className={styles.video}
                    {...(index === 0 && { videoRef: mainVideo })}
                  />
                ) : (
                  <Avatar
                    name={other.party.user.displayName}
                    id={other.party.user.id}
                    url={other.party.user.avatarUrl}
                    size={112}
                  />
                )}
                <Caption other={other} label={label} />
              </div>
            ))
          )}
          {view.camera && (
            <div className={styles.self}>
              <Picture stream={view.camera} label={words.you} className={styles.video} isMirrored />
            </div>
          )}
          {view.screen && (
            <div className={styles.selfScreen}>
              <Picture stream={view.screen} label={words.yourScreen} className={styles.video} />
              <span>{words.yourScreen}</span>
            </div>
          )}
        </div>
        {problem && (
          <p role="alert" className={styles.problem}>
            {problemText(text, problem)}
          </p>
        )}
        <div className={styles.controls}>
          {mute}
          <Toggle
            isOn={view.cameraOn}
            icon={view.cameraOn ? 'video' : 'videoOff'}
            label={view.cameraOn ? words.cameraOff : words.cameraOn}
            onClick={() => void calls.setCamera(!view.cameraOn)}
          />
          {'getDisplayMedia' in (navigator.mediaDevices ?? {}) && (
            <Toggle
              isOn={view.screenOn}
              icon="screen"
              label={view.screenOn ? words.screenOff : words.screenOn}
              onClick={() => void calls.setScreen(!view.screenOn)}
            />
          )}
          {canShowPicture && (
            <Toggle isOn={false} icon="picture" label={words.pictureInPicture} onClick={onPictureInPicture} />
          )}
          <button
            type="button"
            className={styles.control}
            aria-label={words.devices}
            title={words.devices}
            aria-haspopup="menu"
            aria-expanded={anchor !== undefined}
            onClick={(event) => setAnchor(event.currentTarget)}
          >
            <CallIcon name="devices" size={22} />
          </button>
          {hangUp}
        </div>
        {anchor && <DeviceMenu anchor={anchor} onClose={() => setAnchor(undefined)} />}
      </dialog>
      {isSmall && (
        <section className={styles.bar} aria-label={`${words.title}: ${name}`}>
          <button type="button" className={styles.expand} onClick={() => setSmall(false)}>
            <CallIcon name="expand" size={18} />
            <bdi>{name}</bdi>
            <span>
              {status}
              {state === 'connected' && timer}
            </span>
          </button>
          {mute}
          {hangUp}
        </section>
      )}
      <p role="status" className="visually-hidden">
        {state === 'connected' ? words.connected(name) : status}
      </p>
    </>
  );
}

interface Tile {
  key: string;
  other: OtherParty;
  stream: MediaStream | undefined;
  label: string;
  isScreen: boolean;
}

/** The view of another device: its screen, if it shares one, and its camera or the picture of the user. */
function tilesOf(other: OtherParty, { call: words }: ReturnType<typeof useScreenText>): Tile[] {
  const { party, stream, screen } = other;
  const { displayName } = party.user;
  const camera = party.cameraOn && stream.getVideoTracks().length > 0 ? stream : undefined;
  const tile: Tile = { key: party.id, other, stream: camera, label: displayName, isScreen: false };
  if (!party.screenOn || screen.getVideoTracks().length === 0) return [tile];
  return [
    { ...tile, key: `${party.id} screen`, stream: screen, label: words.screenOf(displayName), isScreen: true },
    tile,
  ];
}

/** The name of another user, and how their connection and their microphone are. */
function Caption({ other: { party, quality, state }, label }: { other: OtherParty; label: string }) {
  const { call: words } = useScreenText();
  const level = quality ?? 'good';
  const icons = { good: 'signal2', fair: 'signal1', poor: 'signal0' } as const;
  return (
    <p className={styles.caption}>
      <bdi>{label}</bdi>
      {!party.microphoneOn && <Sign icon="microphoneOff" label={words.isMuted} />}
      {state !== 'connecting' && <Sign icon={icons[level]} label={words.quality[level]} level={level} />}
      {state === 'reconnecting' && <span>{words.reconnecting}</span>}
    </p>
  );
}

function Sign({ icon, label, level }: { icon: CallIconName; label: string; level?: string }) {
  return (
    <span role="img" aria-label={label} title={label} data-level={level}>
      <CallIcon name={icon} size={16} />
    </span>
  );
}

function Toggle({
  isOn,
  icon,
  label,
  onClick,
}: {
  isOn: boolean;
  icon: CallIconName;
  label: string;
  onClick(): void;
}): ReactNode {
  return (
    <button
      type="button"
      className={styles.control}
      data-on={isOn ? '' : undefined}
      aria-label={label}
      title={label}
      onClick={onClick}
    >
      <CallIcon name={icon} size={22} />
    </button>
  );
}

/** How long the call has lasted. */
function Timer({ since, isRunning }: { since: number | undefined; isRunning: boolean }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isRunning) return;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [isRunning]);
  if (since === undefined) return null;
  return (
    <span role="timer" className={styles.timer}>
      {durationText(Math.max(0, now - since))}
    </span>
  );
}
