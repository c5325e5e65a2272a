import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Block, type Inline, parseSnippet, parseText } from '../../../packages/client/src/text.js';

/** A short notation of the nodes, in which formats are tags. */
const inline = (nodes: readonly Inline[]): string =>
  nodes
    .map((node) => {
      if (node.type === 'text') return node.text;
      if (node.type === 'code') return `<code>${node.text}</code>`;
      if (node.type === 'mention') return `<@${node.username}>`;
      const attribute = node.type === 'link' ? ` ${node.href}` : '';
      return `<${node.type}${attribute}>${inline(node.children)}</${node.type}>`;
    })
    .join('');
const block = (node: Block): string => {
  if (node.type === 'paragraph') return inline(node.children);
  if (node.type === 'code') return `<pre ${node.language ?? ''}>${node.text}</pre>`;
  if (node.type === 'quote') return `<quote>${node.children.map(block).join('|')}</quote>`;
  return `<list ${node.start ?? ''}>${node.items.map((item) => `<item>${item.map(block).join('|')}</item>`).join('')}</list>`;
};
const parse = (source: string, options = {}) => parseText(source, options).map(block).join('|');

describe('the text of a message', () => {
  it.each([
    ['plain text', 'plain text'],
    ['one\ntwo\n\nthree', 'one\ntwo|three'],
    [
      '**bold** and *italic* and _italic_ and ~~gone~~',
      '<bold>bold</bold> and <italic>italic</italic> and <italic>italic</italic> and <strike>gone</strike>',
    ],
    ['**bold with *italic* inside**', '<bold>bold with <italic>italic</italic> inside</bold>'],
    ['***both***', '<bold><italic>both</italic></bold>'],
    ['2 * 3 * 4 and some_long_name', '2 * 3 * 4 and some_long_name'],
    ['**not closed, *nor this', '**not closed, *nor this'],
    ['\\*literal\\* stars', '*literal* stars'],
    ['`a * b * c` and ``with ` tick``', '<code>a * b * c</code> and <code>with ` tick</code>'],
    ['**`a ** b`**', '<bold><code>a ** b</code></bold>'],
    ['`not closed', '`not closed'],
    ['```ts\nconst a = 1;\n\n**x**\n```\nafter', '<pre ts>const a = 1;\n\n**x**</pre>|after'],
    ['~~~\nnot closed', '<pre >not closed</pre>'],
    ['> quoted\n> > deeper\nanswer', '<quote>quoted|<quote>deeper</quote></quote>|answer'],
    ['- one\n- **two**\n  more', '<list ><item>one</item><item><bold>two</bold>\nmore</item></list>'],
    [
      '3. three\n4. four\n- other',
      '<list 3><item>three</item><item>four</item></list>|<list ><item>other</item></list>',
    ],
    ['- a\n  - b', '<list ><item>a|<list ><item>b</item></list></item></list>'],
    [
      'see https://example.com/a_b_c?d=*e*.',
      'see <link https://example.com/a_b_c?d=*e>https://example.com/a_b_c?d=*e</link>*.',
    ],
    ['(www.example.com)', '(<link https://www.example.com/>www.example.com</link>)'],
    [
      'https://en.wikipedia.org/wiki/A_(b)',
      '<link https://en.wikipedia.org/wiki/A_(b)>https://en.wikipedia.org/wiki/A_(b)</link>',
    ],
    ['[a *title*](https://example.com)', '<link https://example.com/>a <italic>title</italic></link>'],
    ['[bad](javascript:alert(1)) [data](data:text/html,x)', '[bad](javascript:alert(1)) [data](data:text/html,x)'],
    ['<b>no html</b> &amp;', '<b>no html</b> &amp;'],
  ])('%j', (source, expected) => {
    expect(parse(source)).toBe(expected);
  });

  it.each([
    ['hello @ana!', 'hello <@ana>!'],
    ['@ANA and (@ana-maria)', '<@ana> and (<@ana-maria>)'],
    ['josé@ana, @anabel and ana@ana', 'josé@ana, @anabel and ana@ana'],
    [
      '`@ana`, @ana@example.com and https://example.com/@ana',
      '<code>@ana</code>, @ana@example.com and <link https://example.com/@ana>https://example.com/@ana</link>',
    ],
    ['**@ana**', '<bold><@ana></bold>'],
    ['@everyone', '@everyone'],
  ])('mentions in %j', (source, expected) => {
    expect(parse(source, { mentions: ['ana', 'ana-maria'] })).toBe(expected);
  });

  it('displays @everyone as a mention only if it is one', () => {
    expect(parse('@everyone', { mentionsEveryone: true })).toBe('<@everyone>');
  });

  it('loses no letter, and takes linear time', () => {
    const letters = (text: string) => text.replace(/[^\p{L}]/gu, '');
    const source = fc.array(
      fc.constantFrom('a', ' ', '\n', '*', '**', '_', '~~', '`', '```', '> ', '- ', '[', '](', ')', '@', '\\'),
    );
    const visible = (nodes: readonly (Block | Inline)[]): string =>
      nodes
        .map((node) => {
          if ('children' in node) return visible(node.children);
          if ('items' in node) return node.items.map(visible).join('');
          return node.text;
        })
        .join('');
    fc.assert(
      fc.property(source, (parts) => {
        const text = parts.join('').replace(/(```|~~~)[^\n]*/g, '$1');
        expect(letters(visible(parseText(text)))).toBe(letters(text));
      }),
    );
    for (const part of ['*a ', '**a', '_a ', '`', '[', '[](', '> ', '- ', '~~a', '*_', '@', '``a`', 'www.', '**a*b']) {
      const start = performance.now();
      parseText(part.repeat(20_000 / part.length));
      expect(performance.now() - start, part).toBeLessThan(1_000);
    }
  });
});

describe('a search snippet', () => {
  it('is split into parts', () => {
    expect(parseSnippet('To «Zürich» <b>today «now»')).toEqual([
      { text: 'To ', isMatch: false },
      { text: 'Zürich', isMatch: true },
      { text: ' <b>today ', isMatch: false },
      { text: 'now', isMatch: true },
    ]);
    expect(parseSnippet('')).toEqual([]);
    expect(parseSnippet('cut «of')).toEqual([{ text: 'cut «of', isMatch: false }]);
  });
});
