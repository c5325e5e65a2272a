import { type Change, type ChangeKind, type ChangeRow, watermarkRow } from './change.js';

/**
 * The texts with which nodes wake each other up. One line each, so that the head can be read without parsing the rest:
 *
 * - a change of the log: `<log> <json>`, or `+<log> <json>` if every node must read it, even one on which nobody follows
 *   the log;
 * - a watermark, which is outside the log: `~<conversation> <type> <subject> <number>`;
 * - an ephemeral event: `^<conversation> <json>`.
 */
type WakeUp =
  | { format: 'change'; id: string; isForAllNodes: boolean; json: string }
  | { format: 'ephemeral'; id: string; json: string }
  | { format: 'watermark'; row: ChangeRow };

export interface FeedWire {
  /** `epoch` is the one that the change was committed in. */
  writeChange(change: Change, epoch: string, isForAllNodes: boolean): string;
  writeEphemeral(change: Change): string;
  writeWatermark(row: ChangeRow): string;
  /** Reads the head of a text; of a watermark, everything. */
  read(text: string): WakeUp;
  /**
   * Reads the rest. `change` is undefined if this node does not understand the version of its data, `epoch` if the
   * other node is of a version that does not send it.
   */
  readChange(wakeUp: { id: string; json: string }): { epoch: string | undefined; change: Change | undefined };
}

export function createFeedWire(kinds: ReadonlyMap<string, ChangeKind>): FeedWire {
  const encode = ({ conversationId: _, ...change }: Change, more: { epoch?: string } = {}): string =>
    JSON.stringify({ ...change, data: kinds.get(change.type)?.encode(change.data), ...more });

  const readHead = (text: string, prefix: string): { id: string; json: string } => {
    const space = text.indexOf(' ');
    return { id: text.slice(prefix.length, space), json: text.slice(space + 1) };
  };

  return {
    writeChange: (change, epoch, isForAllNodes) =>
      `${isForAllNodes ? '+' : ''}${change.conversationId} ${encode(change, { epoch })}`,

    writeEphemeral: (change) => `^${change.conversationId} ${encode(change)}`,

    writeWatermark: ({ conversationId, type, subjectId, changeSeq }) =>
      `~${conversationId} ${type} ${subjectId} ${changeSeq}`,

    read(text) {
      switch (text[0]) {
        case '^':
          return { format: 'ephemeral', ...readHead(text, '^') };
        case '~': {
          const [conversationId = '', type = '', subjectId = '', changeSeq] = text.slice(1).split(' ');
          return {
            format: 'watermark',
            row: watermarkRow({ conversationId, type, subjectId, changeSeq: Number(changeSeq) }),
          };
        }
        case '+':
          return { format: 'change', ...readHead(text, '+'), isForAllNodes: true };
        default:
          return { format: 'change', ...readHead(text, ''), isForAllNodes: false };
      }
    },

    readChange({ id, json }) {
      const { epoch, ...wire } = JSON.parse(json) as Change & { epoch?: string };
      const kind = kinds.get(wire.type);
      const data = kind ? kind.decode(wire.data) : null;
      return { epoch, change: data === undefined ? undefined : { ...wire, conversationId: id, data } };
    },
  };
}
