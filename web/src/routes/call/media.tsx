import { type Ref, useEffect, useRef } from 'react';

/** Plays the audio of another device. */
export function Sound({ stream, speakerId }: { stream: MediaStream; speakerId: string | undefined }) {
  const ref = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    element.srcObject = stream;
    // The user has pressed a button to be in the call, so that browsers permit it.
    void element.play().catch(() => {});
    return () => {
      element.srcObject = null;
    };
  }, [stream]);
  useEffect(() => {
    const element = ref.current as (HTMLAudioElement & { setSinkId?(id: string): Promise<void> }) | null;
    // If the speaker is gone, the browser uses the one of the system.
    void element?.setSinkId?.(speakerId ?? '').catch(() => {});
  }, [speakerId]);
  // biome-ignore lint/a11y/useMediaCaption: what people say in a call has no captions
  return <audio ref={ref} autoPlay />;
}

/** Shows the video of a device. */
export function Picture({
  stream,
  label,
  className,
  isMirrored = false,
  videoRef,
}: {
  stream: MediaStream;
  label: string;
  className: string | undefined;
  isMirrored?: boolean;
  videoRef?: Ref<HTMLVideoElement>;
}) {
  const own = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = own.current;
    if (!element) return;
    element.muted = true;
    element.srcObject = stream;
    void element.play().catch(() => {});
    if (typeof videoRef === 'object' && videoRef) videoRef.current = element;
    return () => {
      element.srcObject = null;
    };
  }, [stream, videoRef]);
  return (
    <video
      ref={own}
      className={className}
      data-self={isMirrored ? '' : undefined}
      aria-label={label}
      autoPlay
      playsInline
      muted
    />
  );
}
