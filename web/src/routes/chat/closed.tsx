import type { Conversation } from '@parley/client';
import { useState } from 'react';
import { JoinDocument } from '../../generated/screens/graphql.ts';
import { useText } from '../../locales/locale.tsx';
import { useParley } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { useToast } from '../../shell/toast.tsx';
import styles from './message-pane.module.css';

/** In place of the composer, if the viewer cannot send messages. Public groups can be joined. */
export default function Closed({ conversation }: { conversation: Conversation }) {
  const { pane } = useText();
  const parley = useParley();
  const toast = useToast();
  const [isBusy, setBusy] = useState(false);
  const { id, viewerCanJoin } = conversation;
  const join = async () => {
    setBusy(true);
    try {
      await parley.request(JoinDocument, { input: { conversationId: id } });
      // Until now, the messages could not be read.
      await parley.conversation(id).showAround(conversation.latestSeq);
      parley.conversation(id).showLatest();
    } catch (error) {
      toast((error as Error).message);
    }
    setBusy(false);
  };
  return (
    <div className={styles.closed}>
      {viewerCanJoin ? (
        <Button kind="primary" busy={isBusy} onClick={() => void join()}>
          {pane.join}
        </Button>
      ) : (
        <p>{conversation.kind === 'DIRECT' ? pane.cannotSendTo : pane.cannotSend}</p>
      )}
    </div>
  );
}
