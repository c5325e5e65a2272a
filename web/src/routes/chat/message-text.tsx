import { type Block, type Inline, parseText } from '@parley/client/text';
import { Fragment, memo, type ReactNode } from 'react';
import styles from './message-text.module.css';

interface Mentioned {
  id: string;
  username: string;
}

const FEW_EMOJIS = /^(?:\p{RGI_Emoji}\s?){1,3}$/v;

/**
 * The text of a message with its formats, links and mentions. It is made of text nodes, so that no text can become HTML.
 * @param viewerName the username of the viewer, whose mentions stand out.
 */
export const MessageText = memo(function MessageText({
  text,
  mentions = [],
  mentionsEveryone = false,
  viewerName,
  onMention,
}: {
  text: string;
  mentions?: readonly Mentioned[];
  mentionsEveryone?: boolean;
  viewerName?: string | undefined;
  onMention?: ((user: Mentioned) => void) | undefined;
}) {
  const blocks = parseText(text, { mentions: mentions.map(({ username }) => username), mentionsEveryone });
  const inline = (nodes: Inline[]): ReactNode[] =>
    nodes.map((node, index) => {
      // The nodes of a text have no identity of their own: with another text, all of them are other nodes.
      const key = `${index}`;
      switch (node.type) {
        case 'text':
          return <Fragment key={key}>{node.text}</Fragment>;
        case 'code':
          return (
            <code key={key} dir="ltr">
              {node.text}
            </code>
          );
        case 'bold':
          return <strong key={key}>{inline(node.children)}</strong>;
        case 'italic':
          return <em key={key}>{inline(node.children)}</em>;
        case 'strike':
          return <s key={key}>{inline(node.children)}</s>;
        case 'link':
          return (
            <a key={key} href={node.href} target="_blank" rel="noopener noreferrer nofollow" title={node.href}>
              <bdi>{inline(node.children)}</bdi>
            </a>
          );
        case 'mention': {
          const name = node.username.toLowerCase();
          const user = mentions.find(({ username }) => username.toLowerCase() === name);
          const isOwn = user ? user.username === viewerName : true;
          return user && onMention ? (
            <button
              key={key}
              type="button"
              className={styles.mention}
              data-own={isOwn ? '' : undefined}
              onClick={() => onMention(user)}
            >
              <bdi>{node.text}</bdi>
            </button>
          ) : (
            <bdi key={key} className={styles.mention} data-own={isOwn ? '' : undefined}>
              {node.text}
            </bdi>
          );
        }
        default:
          return null;
      }
    });
  const block = (each: Block, index: number): ReactNode => {
    const key = `${index}`;
    switch (each.type) {
      case 'paragraph':
        return (
          <span key={key} className={styles.paragraph}>
            {inline(each.children)}
          </span>
        );
      case 'code':
        return (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: otherwise the keyboard could not scroll it
          <pre key={key} dir="ltr" tabIndex={0}>
            <code>{each.text}</code>
          </pre>
        );
      case 'quote':
        return (
          <blockquote key={key} dir="auto">
            {each.children.map(block)}
          </blockquote>
        );
      case 'list': {
        const items = each.items.map((item, at) => <li key={`${at}`}>{item.map(block)}</li>);
        return each.start === undefined ? (
          <ul key={key} dir="auto">
            {items}
          </ul>
        ) : (
          <ol key={key} dir="auto" start={each.start}>
            {items}
          </ol>
        );
      }
      default:
        return null;
    }
  };
  return (
    <span className={styles.text} data-text="" data-large={FEW_EMOJIS.test(text) ? '' : undefined}>
      {blocks.map(block)}
    </span>
  );
});

/** The characters of a text without its marks, on one line, for previews. */
export function plainText(source: string): string {
  const inline = (nodes: Inline[]): string =>
    nodes.map((node) => ('children' in node ? inline(node.children) : node.text)).join('');
  const block = (each: Block): string => {
    if (each.type === 'paragraph') return inline(each.children);
    if (each.type === 'code') return each.text;
    const inside = each.type === 'quote' ? each.children : each.items.flat();
    return inside.map(block).join(' ');
  };
  return parseText(source).map(block).join(' ').replace(/\s+/g, ' ');
}
