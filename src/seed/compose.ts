import type { Language, Person } from './people.js';
import { people } from './people.js';
import { type Place, places } from './places.js';
import { createRandom, type Random } from './random.js';
import { readScripts } from './read-scripts.js';
import { render, rolesOf, type Scene, type Script, type Turn, turnsOf } from './script.js';
import { type DemoStatus, statuses } from './statuses.js';

export interface DemoMessage {
  sender: string;
  text: string | null;
  at: Date;
  editedAt: Date | null;
  deleted: { at: Date; by: string } | null;
  /** The index of the message that this one replies to. */
  answers: number | null;
  reactions: { emoji: string; by: string; at: Date }[];
  pinned: { at: Date; by: string } | null;
}

export interface DemoConversation {
  place: Place;
  createdAt: Date;
  /** In the order in which they were sent, at distinct times. */
  messages: DemoMessage[];
}

/** A status with the contacts of its author who have viewed it. */
export interface ComposedStatus extends DemoStatus {
  /** `after` is the part of the time since it was posted that had passed when they viewed it, from 0 to 1. */
  viewers: { username: string; after: number }[];
}

export interface Demo {
  /** The time of which the demo is composed. */
  now: Date;
  /** The time at which all accounts exist. */
  peopleSince: Date;
  conversations: DemoConversation[];
  /** In the order of their authors. Users with a direct conversation are contacts of each other. */
  statuses: ComposedStatus[];
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The distance between the latest event of the demo and `now`. */
const JUST_NOW = MINUTE;

/**
 * A script with its cast and the delays between its turns. Its texts are rendered later, because they depend on the
 * day.
 */
interface Part {
  cast: ReadonlyMap<string, Person>;
  variant: Readonly<Record<string, string>>;
  turns: (Turn & { gapMs: number })[];
  /** The maximum duration, for whatever weekday it begins on. */
  lengthMs: number;
  leisure: boolean;
}

/**
 * Composes all conversations of the demo until `now`. The result only depends on `now`; with another `now`, the same
 * conversations take place on other days.
 * @throws {ConfigError} if the files with the dialogues are missing.
 */
export function composeDemo(now: Date): Demo {
  const random = createRandom(20_261_121);
  const casting = createCasting(random);
  const conversations = places.map((place, index) => {
    const parts = casting
      .choose(place)
      .map((script) => rehearse(script, casting.cast(script, place), casting.variant(script), place, random));
    const conversation = perform(place, parts, now, random);
    // A separate random sequence, so that changes of the reactions do not change the texts.
    addReactions(conversation, now, createRandom(20_261_127 + index));
    return conversation;
  });
  const first = Math.min(...conversations.map(({ createdAt }) => createdAt.getTime()));
  return { now, peopleSince: new Date(first - 2 * HOUR), conversations, statuses: composeStatuses() };
}

/** The statuses with their views: about half of the contacts of an author have viewed each of them. */
function composeStatuses(): ComposedStatus[] {
  const random = createRandom(20_261_130);
  return statuses.map((status) => {
    const contacts = places.flatMap(({ group, members }) =>
      !group && members.includes(status.author) ? members.filter((username) => username !== status.author) : [],
    );
    const viewers = contacts.flatMap((username) => {
      const after = random.next();
      return random.next() < 0.5 ? [{ username, after }] : [];
    });
    return { ...status, viewers };
  });
}

/**
 * Chooses the scripts and the casts of conversations. No person gets the same script again before all others have been
 * used.
 */
function createCasting(random: Random) {
  const scriptsOf = new Map<Language, readonly Script[]>();
  for (const { language } of people) if (!scriptsOf.has(language)) scriptsOf.set(language, readScripts(language));
  const byName = new Map(people.map((person) => [person.username, person]));
  const personOf = (username: string): Person => {
    const person = byName.get(username);
    if (!person) throw new Error(`No user has the name ${username}.`);
    return person;
  };
  const uses = new Map<Script, number>();
  const usersOf = new Map<Script, string[]>();

  return {
    /** Chooses the scripts of a conversation. Scripts with a fixed cast come first, in their order. */
    choose(place: Place): Script[] {
      const fitting = (scriptsOf.get(place.language) ?? []).filter(
        (script) =>
          place.about.includes(script.about) &&
          (place.group ? rolesOf(script).length <= place.members.length : rolesOf(script).length === 2),
      );
      const stories = fitting.filter(({ cast }) => cast?.every((username) => place.members.includes(username)));
      const chosen = [...stories];
      const open = fitting.filter(({ cast }) => cast === undefined);
      while (chosen.length < place.scripts) {
        const times = (script: Script) => chosen.filter((one) => one === script).length;
        const candidates = random.shuffled(open).filter((script) => times(script) < (script.times ?? 1));
        const weight = (script: Script) => {
          const known = usersOf.get(script) ?? [];
          // In a group it matters less who knows a script from another conversation.
          const knownHere = place.group ? 0 : known.filter((username) => place.members.includes(username)).length;
          return 10 * times(script) + 3 * knownHere + (uses.get(script) ?? 0);
        };
        const next = candidates.sort((one, other) => weight(one) - weight(other))[0];
        if (!next) break;
        chosen.push(next);
      }
      const [first, rest] = [chosen.slice(0, stories.length), random.shuffled(chosen.slice(stories.length))];
      for (const script of chosen) usersOf.set(script, [...(usersOf.get(script) ?? []), ...place.members]);
      return [...first, ...rest];
    },
    cast(script: Script, place: Place): ReadonlyMap<string, Person> {
      const players = script.cast ?? random.shuffled(place.members);
      return new Map(rolesOf(script).map((role, index) => [role, personOf(players[index] ?? '')]));
    },
    /** The next set of values of a script; each call advances it. */
    variant(script: Script): Readonly<Record<string, string>> {
      const used = uses.get(script) ?? 0;
      uses.set(script, used + 1);
      return script.variants?.[used % script.variants.length] ?? {};
    },
  };
}

function rehearse(
  script: Script,
  cast: ReadonlyMap<string, Person>,
  variant: Readonly<Record<string, string>>,
  place: Place,
  random: Random,
): Part {
  const all = turnsOf(script).map((turn) => {
    const writing = turn.template.length * 90;
    const waiting = place.group ? random.between(20 * SECOND, 9 * MINUTE) : random.between(5 * SECOND, 3 * MINUTE);
    const away = random.next() < 0.06 ? random.between(10 * MINUTE, 50 * MINUTE) : 0;
    return { ...turn, gapMs: Math.round(turn.pauseMs + writing + waiting + away), kept: random.next() < 0.65 };
  });
  const turns = all.filter(({ optional, kept }) => !optional || kept);
  const leisure = !['work', 'team', 'launch', 'company', 'support'].includes(script.about);
  const reserve = ({ pauseMs, weekday }: Turn) =>
    weekday !== undefined ? 8 * DAY : pauseMs >= DAY && !leisure ? 2 * DAY : 0;
  return {
    cast,
    variant,
    turns,
    lengthMs: turns.reduce((sum, turn) => sum + turn.gapMs + reserve(turn), 0),
    leisure,
  };
}

/** Schedules the parts one after another, so that the last one ends shortly before `now`, and renders their texts. */
function perform(place: Place, parts: readonly Part[], now: Date, random: Random): DemoConversation {
  const begins = schedule(place, parts, now, random);
  const messages: DemoMessage[] = [];
  for (const [index, { cast, variant, turns, leisure }] of parts.entries()) {
    const begin = new Date(begins[index] ?? now);
    const scene: Scene = { language: place.language, cast, variant, begin, picked: new Set() };
    let at = begin.getTime();
    for (const { role, template, gapMs, pauseMs, weekday } of turns) {
      if (weekday !== undefined) at = eveningOf(weekday, at);
      at += gapMs;
      if (pauseMs >= DAY && !leisure) at = afterWeekend(at);
      const sender = cast.get(role)?.username ?? '';
      messages.push({
        sender,
        text: render(template, scene, random),
        at: new Date(at),
        editedAt: before(now, random.next() < 0.035 ? at + random.between(15 * SECOND, 4 * MINUTE) : undefined),
        deleted: null,
        ...untouched,
      });
      const slip = mistakeAfter(at, sender, place, random);
      if (slip && before(now, slip.deleted?.at.getTime())) messages.push(slip);
    }
  }
  messages.sort((one, other) => one.at.getTime() - other.at.getTime());
  return { place, createdAt: new Date((begins[0] ?? now.getTime()) - 2 * MINUTE), messages };
}

const untouched = { answers: null, reactions: [], pinned: null };

const EMOJIS = ['👍', '❤️', '😂', '🎉', '🙏', '👀', '🔥', '👏🏽'];
/** A reply refers to one of this many preceding messages. */
const ANSWERED_BACK = 4;

/** Adds reactions and replies, and in a group a message pinned by its owner. */
function addReactions({ place, messages }: DemoConversation, now: Date, random: Random): void {
  for (const [index, message] of messages.entries()) {
    if (message.deleted) continue;
    if (random.next() < 0.12) message.reactions = reactionsTo(message, place, now, random);
    const back = messages[index - Math.round(random.between(2, ANSWERED_BACK))];
    const isOthers = back && back.sender !== message.sender && !back.deleted;
    if (isOthers && random.next() < 0.05) message.answers = messages.indexOf(back);
  }
  const kept = messages.filter(({ deleted, at }) => !deleted && at.getTime() < now.getTime() - HOUR);
  const pinned = kept[Math.floor(random.next() * kept.length)];
  const [by] = place.members;
  if (place.group && pinned && by) {
    pinned.pinned = { at: new Date(pinned.at.getTime() + random.between(MINUTE, 30 * MINUTE)), by };
  }
}

function reactionsTo({ sender, at }: DemoMessage, place: Place, now: Date, random: Random): DemoMessage['reactions'] {
  const others = random.shuffled(place.members).filter((username) => username !== sender);
  const some = others.slice(0, Math.ceil(random.next() * Math.min(4, others.length)));
  const [first = '👍', second = '👍'] = random.shuffled(EMOJIS);
  return some.flatMap((by) => {
    const reactedAt = before(now, Math.round(at.getTime() + random.between(5 * SECOND, 20 * MINUTE)));
    return reactedAt ? [{ emoji: random.next() < 0.7 ? first : second, by, at: reactedAt }] : [];
  });
}

/** The start of the evening of the next such weekday. */
function eveningOf(weekday: number, after: number): number {
  const days = ((weekday - new Date(after).getUTCDay() + 6) % 7) + 1;
  return after - (after % DAY) + days * DAY + 17 * HOUR;
}

function afterWeekend(at: number): number {
  const weekday = new Date(at).getUTCDay();
  return at + (weekday === 6 ? 2 * DAY : weekday === 0 ? DAY : 0);
}

const before = (now: Date, at: number | undefined) =>
  at !== undefined && at < now.getTime() - SECOND ? new Date(at) : null;

/**
 * A message that was sent to the wrong conversation and deleted, by its sender or, sometimes, by the owner of the
 * group.
 */
function mistakeAfter(at: number, sender: string, place: Place, random: Random): DemoMessage | undefined {
  const [happens, sentAfter, goneAfter, byOwner] = [random.next(), random.next(), random.next(), random.next()];
  if (happens > 0.018) return undefined;
  // Earlier than the earliest possible next turn.
  const sent = Math.round(at + 1_001 + sentAfter * 3_000);
  const by = place.group && byOwner < 0.3 ? (place.members[0] ?? sender) : sender;
  const gone = new Date(Math.round(sent + 5 * SECOND + goneAfter * 3 * MINUTE));
  return { sender, text: null, at: new Date(sent), editedAt: null, deleted: { at: gone, by }, ...untouched };
}

/** The start times of the parts, counted back from `now`, in order, and within waking hours. */
function schedule(place: Place, parts: readonly Part[], now: Date, random: Random): number[] {
  const begins: number[] = [];
  const clock = people.find(({ username }) => username === place.members[0])?.clock ?? 0;
  const recency = random.next();
  const quiet =
    recency < 0.3
      ? random.between(0, 3 * HOUR)
      : recency < 0.75
        ? random.between(0, 2 * DAY)
        : random.between(0, 9 * DAY);
  const said = parts.reduce((sum, { lengthMs }) => sum + lengthMs, 0);
  // Moving a start into waking hours takes half a day on average.
  const pause = (place.days * DAY - said) / parts.length - DAY / 2;
  let end = now.getTime() - JUST_NOW - quiet;
  for (const part of parts.toReversed()) {
    const begin = atWakingHours(end - part.lengthMs, clock, part.leisure, random.next());
    begins.unshift(begin);
    end = begin - Math.max(20 * MINUTE, pause * random.between(0.3, 1.6));
  }
  return begins;
}

/** The latest time not after `latest` at which a person with this UTC offset would start to write. */
function atWakingHours(latest: number, clock: number, leisure: boolean, chance: number): number {
  const [from, until] = leisure ? [8, 21] : [8.5, 16.5];
  let local = latest + clock * HOUR;
  const hour = (local % DAY) / HOUR;
  const midnight = local - (local % DAY);
  if (hour >= until) local = midnight + (from + chance * (until - from)) * HOUR;
  else if (hour < from) local = midnight - DAY + (from + chance * (until - from)) * HOUR;
  const weekday = new Date(local).getUTCDay();
  if (!leisure && weekday === 0) local -= 2 * DAY;
  if (!leisure && weekday === 6) local -= DAY;
  return Math.round(local - clock * HOUR);
}
