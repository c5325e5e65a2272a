import type { Conversation } from '@parley/client';
import { callsOf } from '@parley/client/calls';
import { useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable, useServerInfo, useViewer } from '../../parley.ts';
import { Button, IconButton } from '../../shell/button.tsx';
import { CallIcon } from '../../shell/call-icon.tsx';
import { useMedia } from '../../shell/media.ts';
import { MenuItem, Popover } from '../../shell/popover.tsx';
import { showCall } from './shown.ts';
import { useCallTask } from './use-call-task.tsx';

/** Buttons in the header of a conversation: they call, join the call of a group, or show the call of this tab. */
export default function CallButtons({ conversation }: { conversation: Conversation }) {
  const { call: text } = useScreenText();
  const calls = callsOf(useParley());
  const live = useReadable(calls.live);
  const current = useReadable(calls.current);
  const ownId = useViewer()?.user.id;
  const partiesMax = useServerInfo()?.limits.callPartiesMax ?? 0;
  const isNarrow = useMedia('(width < 44rem)');
  const [anchor, setAnchor] = useState<Element>();
  const { run, isBusy, explanation } = useCallTask();
  const { id, counterpart, memberCount, viewerCanSend, viewerMembership } = conversation;
  const other = live.find(({ conversationId }) => conversationId === id);
  const isPossible = counterpart
    ? counterpart.kind !== 'BOT' && counterpart.deletedAt === null
    : memberCount <= partiesMax && !other?.sfu;
  if (!viewerMembership || !viewerCanSend || !isPossible || memberCount < 2) return null;
  const isHere = current !== undefined && current.state !== 'ended' && current.call.conversationId === id;
  const isElsewhere = other?.parties.some(({ user, state }) => user.id === ownId && state !== 'LEFT') ?? false;
  const start = (kind: 'VOICE' | 'VIDEO') => {
    setAnchor(undefined);
    void run(() => calls.start(id, kind));
  };
  if (isHere) {
    return (
      <IconButton label={text.show} onClick={showCall}>
        <CallIcon name="phone" />
      </IconButton>
    );
  }
  if (isElsewhere && other) {
    return (
      <IconButton label={text.endElsewhere} onClick={() => void run(() => calls.leaveElsewhere(other.id))}>
        <CallIcon name="hangUp" />
      </IconButton>
    );
  }
  // A call that rings for the user is answered in its own dialog.
  if (other && other.state === 'ACTIVE' && !counterpart) {
    return (
      <>
        <Button kind="primary" busy={isBusy} onClick={() => void run(() => calls.accept(other.id, { camera: false }))}>
          {text.join}
        </Button>
        {explanation}
      </>
    );
  }
  return (
    <>
      {isNarrow ? (
        <IconButton
          label={text.call}
          aria-haspopup="menu"
          aria-expanded={anchor !== undefined}
          onClick={(event) => setAnchor(event.currentTarget)}
        >
          <CallIcon name="phone" />
        </IconButton>
      ) : (
        <>
          <IconButton label={text.voice} onClick={() => start('VOICE')}>
            <CallIcon name="phone" />
          </IconButton>
          <IconButton label={text.video} onClick={() => start('VIDEO')}>
            <CallIcon name="video" />
          </IconButton>
        </>
      )}
      {anchor && (
        <Popover anchor={anchor} role="menu" label={text.call} onClose={() => setAnchor(undefined)}>
          <MenuItem onClick={() => start('VOICE')}>{text.voice}</MenuItem>
          <MenuItem onClick={() => start('VIDEO')}>{text.video}</MenuItem>
        </Popover>
      )}
      {explanation}
    </>
  );
}
