import { z } from 'zod';

/** Converts the text of an environment variable to a value. */
export interface Kind<Value, Suffix extends string = ''> {
  /** The expected form of the value, as the end of a sentence: `a whole number from 1 to 10`. */
  form: string;
  schema: z.ZodType<Value>;
  /** Is appended to the property's name in `Config`: `Ms` for durations. */
  suffix: Suffix;
  /** The value that means "no limit". */
  unlimited?: Value;
  /** Whether the value can be null. */
  nullable?: boolean;
}

export const flag: Kind<boolean> = {
  form: '`on` or `off`',
  schema: z.enum(['on', 'off'], { error: 'must be on or off' }).transform((text) => text === 'on'),
  suffix: '',
};

const grouped = (number: number) => number.toLocaleString('en-US');

export function integer(min: number, max: number): Kind<number> {
  const form = `a whole number from ${grouped(min)} to ${grouped(max)}`;
  return {
    form,
    schema: z
      .string()
      .refine(
        (text) => text.trim() !== '' && Number.isInteger(Number(text)) && Number(text) >= min && Number(text) <= max,
        {
          error: `must be ${form}`,
        },
      )
      .transform(Number),
    suffix: '',
    unlimited: Number.POSITIVE_INFINITY,
  };
}

/** A number from 0 to 1. */
export const share: Kind<number> = {
  form: 'a number from 0 to 1',
  schema: z.coerce.number({ error: 'must be a number from 0 to 1' }).min(0).max(1),
  suffix: '',
};

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION_MAX = '3650d';
const toMs = (text: string) => Number.parseInt(text, 10) * units[text.replace(/^\d+/, '') as keyof typeof units];
const durationText = (form: string) =>
  z.string().regex(/^\d+(ms|s|m|h|d)$/, `must be ${form}: a number and a unit, ms, s, m, h or d`);

/** A duration such as `15m`, in milliseconds. */
export function duration(min?: string): Kind<number, 'Ms'> {
  const form =
    min === undefined ? `a duration of at most ${DURATION_MAX}` : `a duration from ${min} to ${DURATION_MAX}`;
  const least = min === undefined ? 1 : toMs(min);
  const schema = durationText('a duration').transform(toMs);
  return {
    form,
    schema: schema.refine((ms) => ms >= least && ms <= toMs(DURATION_MAX), `must be ${form}`),
    suffix: 'Ms',
  };
}

/** A duration, or a word that represents another value. */
export function durationOr<Value extends null | undefined>(word: string, value: Value): Kind<number | Value, 'Ms'> {
  const form = `\`${word}\` or a duration of at most ${DURATION_MAX}`;
  const schema = z.union([z.literal(word).transform(() => value), duration().schema], {
    error: `must be ${word}, or a duration: a number and a unit, ms, s, m, h or d`,
  });
  return { form, schema, suffix: 'Ms', nullable: value === null };
}

/** A number of calls per period. */
export interface Rate {
  count: number;
  perMs: number;
}

/** Parses `30/10m`, which means at most 30 in ten minutes, or `off` for no limit. */
export const rate: Kind<Rate | undefined> = {
  form: 'a rate of at most 999999999 in at most 7d (`30/10m`), or `off`',
  schema: z.union(
    [
      z.literal('off').transform(() => undefined),
      z
        .string()
        .regex(/^[1-9]\d{0,8}\/\d+(ms|s|m|h|d)$/)
        .transform((text, context): Rate => {
          const [count = '', time = ''] = text.split('/');
          const perMs = toMs(time);
          if (perMs > 0 && perMs <= 7 * units.d) return { count: Number(count), perMs };
          context.addIssue('must be for at most 7d');
          return z.NEVER;
        }),
    ],
    { error: 'must be off, or a number and a period of at most 7d (30/10m)' },
  ),
  suffix: '',
  unlimited: undefined,
};

export function oneOf<const Values extends readonly string[]>(...values: Values): Kind<Values[number]> {
  const form = `${values
    .slice(0, -1)
    .map((value) => `\`${value}\``)
    .join(', ')} or \`${values.at(-1)}\``;
  const error = `must be ${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
  return { form, schema: z.enum(values, { error }), suffix: '' };
}

/** Any non-empty text. */
export const text: Kind<string> = { form: 'text', schema: z.string(), suffix: '' };

/** @param accepts returns whether the text is valid. */
export function textThat(form: string, accepts: (text: string) => boolean): Kind<string> {
  return { form, schema: z.string().refine(accepts, `must be ${form.replaceAll('`', '')}`), suffix: '' };
}

/** @param parse returns undefined if the text is invalid. */
export function parsed<Value extends object>(form: string, parse: (text: string) => Value | undefined): Kind<Value> {
  const schema = z.string().transform((text, context): Value => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue(`must be ${form.replaceAll('`', '')}`);
    return z.NEVER;
  });
  return { form, schema, suffix: '' };
}

/** Trimmed text of at most this many characters. */
export function name(maxChars: number): Kind<string> {
  const form = `text of at most ${maxChars} characters`;
  return { form, schema: z.string().trim().min(1, `must be ${form}`).max(maxChars, `must be ${form}`), suffix: '' };
}

/** A secret of the operator that is not sent as a header. */
export const secret = textThat('text of at least 32 characters', ({ length }) => length >= 32);

/** A secret that clients send as a bearer token. */
export const bearerToken = textThat('at least 32 letters, digits or - . _ ~ + / characters', (given) =>
  /^[\w.~+/-]{32,}={0,2}$/.test(given),
);

export function url(...protocols: [string, ...string[]]): Kind<string> {
  const form = `a URL that begins with ${protocols.map((protocol) => `\`${protocol}://\``).join(' or ')}`;
  const error = `must be ${form.replaceAll('`', '')}`;
  return { form, schema: z.url({ protocol: new RegExp(`^(${protocols.join('|')})$`), error }), suffix: '' };
}

/**
 * Comma-separated values.
 * @param each returns one parsed value, or undefined if it is invalid.
 */
export function list(form: string, each: (text: string) => string | undefined): Kind<string[]> {
  const schema = z.string().transform((given, context) => {
    const values: string[] = [];
    for (const part of given.split(',').map((untrimmed) => untrimmed.trim())) {
      if (part === '') continue;
      const value = each(part);
      if (value !== undefined) values.push(value);
      else context.addIssue(`must be ${form.replaceAll('`', '')}: ${JSON.stringify(part)} is not valid`);
    }
    return values;
  });
  return { form, schema, suffix: '' };
}
