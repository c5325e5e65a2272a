import { describe, expect, it } from 'vitest';
import { choose, extract, pointsFor } from '../../../src/domain/summary/extractive/extract.js';
import { topicsOf } from '../../../src/domain/summary/extractive/topics.js';
import { languagesIn, wordsOf } from '../../../src/domain/summary/extractive/words.js';
import {
  peopleIn,
  personTag,
  type TranscriptMessage,
  withNames,
  withoutTags,
} from '../../../src/domain/summary/summary.transcript.js';

const ids = ['a', 'b', 'c'].map((letter) => `${letter.repeat(8)}-0000-4000-8000-000000000000`);

/** A conversation of lines `a: text`, a minute apart. `more` contains further properties by the number of the message. */
function talk(lines: string, more: Record<number, Partial<TranscriptMessage>> = {}): TranscriptMessage[] {
  return lines
    .trim()
    .split('\n')
    .map((line, index) => {
      const [who = '', ...rest] = line.trim().split(': ');
      const senderId = ids['abc'.indexOf(who)] ?? '';
      return { seq: index + 1, senderId, text: rest.join(': '), at: index * 60_000, ...more[index + 1] };
    });
}
const seqs = (messages: TranscriptMessage[], count: number) => choose(messages, count).map((place) => place + 1);

describe('wordsOf and languagesIn', () => {
  it('fold words, and split scripts without spaces into pairs of characters', () => {
    expect(wordsOf('Über Señor Łukasz’s café, 10:30!')).toEqual(['uber', 'senor', "łukasz's", 'cafe', '10', '30']);
    expect(wordsOf('東京駅 で8時')).toEqual(['東京', '京駅', 'で', '時', '8']);
    expect(wordsOf('ประชุม').length).toBeGreaterThan(3);
    expect(wordsOf('हिन्दी में')).toEqual(['हिन्दी', 'में']);
  });

  it('detect the language of a text', () => {
    const of = (text: string) => languagesIn([wordsOf(text)])[0];
    expect(of('we should have been there before the others were')).toBe('eng');
    expect(of('ich weiß nicht ob wir das noch können, aber sie haben es')).toBe('deu');
    expect(of('no sé si nosotros lo podemos hacer, pero ellos con una')).toBe('spa');
    expect(of('je ne sais pas si nous avons encore le temps pour les autres')).toBe('fra');
    expect(of('да, но я не знаю, что они там делали у нас')).toBe('rus');
  });
});

describe('topicsOf', () => {
  it('starts a topic after a long pause, and assigns a reply to the topic of its message', () => {
    const vectors = Array.from({ length: 12 }, () => new Map([['word', 1]]));
    const at = vectors.map((_vector, index) => index * 60_000 + (index >= 6 ? 3 * 3_600_000 : 0));
    const answered = vectors.map((_vector, index) => (index === 10 ? 2 : undefined));
    expect(topicsOf(vectors, at, answered)).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1]);
  });
});

describe('the extractive summarizer', () => {
  const small = `
    a: hi
    b: hello there, how was everybody's weekend
    a: we walked around the lake with the dog and he fell in
    c: haha poor dog
    b: ours would have loved that
    a: the meeting with the bank is at ten on Thursday
    c: 👍
    b: ok
    c: my train was full of people with skis again this morning`;

  it('prefers messages that others confirm, react to or reply to', () => {
    expect(seqs(talk(small), 1)).toEqual([6]);
    const equal = `
      a: green paint for the kitchen walls
      b: yellow paint for the bathroom walls
      c: purple curtains for the bedroom window`;
    for (const at of [1, 2, 3]) {
      expect(seqs(talk(equal, { [at]: { reactions: 3 } }), 1)).toEqual([at]);
      const answered = [...talk(equal), ...talk('a: wonderful colour, everybody wants that').slice(0, 1)];
      const last = answered.at(-1) as TranscriptMessage;
      expect(choose([...answered.slice(0, 3), { ...last, seq: 4, at: 9e5, replyTo: at }], 2)).toContain(at - 1);
    }
  });

  it('does not choose two messages with the same content', () => {
    const repeated = talk(`
      a: the release party is on Friday at eight in the old factory
      b: the release party is on Friday at eight in the old factory
      c: the invoice of the caterer has to be paid before Monday`);
    expect(seqs(repeated, 2)).toContain(3);
  });

  it('chooses a number of points that grows with the conversation, up to the maximum', () => {
    expect([1, 2, 25, 100, 1_000].map((size) => pointsFor(size, 12))).toEqual([1, 2, 6, 12, 12]);
    expect(extract(talk(small), 2).length).toBeLessThanOrEqual(2);
    expect(extract([], 5)).toEqual([]);
    expect(extract(talk('a: 🎉'), 5)).toHaveLength(1);
  });

  it('combines an answer with its question, and marks an unanswered question as one', () => {
    const points = extract(
      talk(`
        a: where do we meet on Saturday for the excursion to the castle?
        b: at the station under the clock, half past nine
        a: great
        b: lovely, my mother comes along by the way
        a: who still has the key of the boat house?
        a: I looked in every drawer`),
      4,
    );
    const answer = points.find(({ seqs: own }) => own.includes(2));
    expect(answer?.seqs).toEqual([1, 2]);
    expect(answer?.text.split('\n')).toHaveLength(2);
    const open = points.find(({ seqs: own }) => own.includes(5));
    if (open?.seqs.length === 1) expect(open.kind).toBe('QUESTION');
  });

  it('works in languages without a list of stop words', () => {
    const japanese = talk(`
      a: おはようございます
      b: おはよう
      a: 会議は木曜日の10:30に変更されました。新しい部屋は東館の三階です
      c: 了解
      b: わかりました
      c: 今日は寒いですね`);
    expect(seqs(japanese, 1)).toEqual([3]);
  });

  it('quotes whole sentences of a long message', () => {
    const filler = 'Then we went on for a while and nothing of any interest happened there at all. '.repeat(8);
    const [point] = extract(
      talk(`a: ${filler}The contract ends on 31 March and the rent rises to 900 euros. ${filler}`),
      1,
    );
    expect(point?.text.length).toBeLessThan(400);
    const [, quote = ''] = point?.text.split(': ') ?? [];
    for (const sentence of quote.split(/(?<=\.) (?:… )?/))
      expect(`${filler}The contract ends on 31 March and the rent rises to 900 euros.`).toContain(
        sentence.replace('… ', ''),
      );
  });
});

describe('the tags of people in texts', () => {
  it("are replaced by current names, and are removed from users' texts", () => {
    const [ana = '', ben = ''] = ids;
    const [point] = extract(talk(`a: I bring the cake ${personTag(ben)} on Sunday`), 1);
    expect(peopleIn([point?.text ?? ''])).toEqual([ana]);
    expect(withNames(point?.text ?? '', (id) => (id === ana ? 'Ana' : undefined))).toBe(
      'Ana: I bring the cake on Sunday',
    );
    expect(withNames(`${personTag(ben)}!`, () => undefined)).toBe('…!');
    expect(withoutTags(`<@${personTag(ben)}>`)).toBe('<@>');
  });

  it('cannot be injected by nesting tags', () => {
    const [, ben = ''] = ids;
    const tag = personTag(ben);
    const nested = tag.slice(0, 10) + tag + tag.slice(10);
    expect(peopleIn([withoutTags(nested)])).toEqual([]);
  });
});
