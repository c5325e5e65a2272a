import { ConfigError } from './config-error.js';
import type { Kind } from './kinds.js';

/** The documentation of a setting for operators, from which the pages about the configuration are generated. */
interface Description {
  /** What the setting does, in full sentences. */
  description: string;
  /** The default in the syntax of the environment variable. If it is absent, the setting is unset by default. */
  default?: string;
  /** The setting whose value applies if this one is not set. It has the same kind and the same default. */
  defaultFrom?: string;
  /** The default if `NODE_ENV` is `production`, if it differs. */
  defaultInProduction?: string;
  /** What applies if the setting is unset and has no default, as a noun phrase or a clause. */
  whenUnset?: string;
  example?: string;
  /**
   * Whether the value must be hidden from everybody except the operator. By default this depends on the name, so that a
   * missing declaration hides a value rather than revealing it.
   */
  secret?: boolean;
  /** Whether nodes may have different values. Other settings must be the same on all nodes. */
  perNode?: true;
  /** Whether `RATE_LIMITS=off` disables this limit as well. */
  rateLimit?: true;
  /**
   * Publishes the value as a field of `serverInfo.limits`: the field's description, in full sentences that name no
   * environment variables. A duration is published in milliseconds.
   */
  clientDescription?: string;
  /** Publishes a duration in seconds. */
  clientUnit?: 'seconds';
}

/** The declaration of one environment variable. */
export interface Setting<Value = unknown, Suffix extends string = string> extends Description {
  kind: Kind<unknown, Suffix>;
  isSecret(name: string): boolean;
  /** Parses the value of the variable, or the default if the variable is not set. */
  read(text: string | undefined, mode: Mode): { value: Value } | { problem: string };
}

/** Declares an environment variable. */
export function setting<Value, Suffix extends string, D extends Description>(
  kind: Kind<Value, Suffix>,
  description: D,
): Setting<D extends { default: string } ? Value : Value | undefined, Suffix> {
  type Read = D extends { default: string } ? Value : Value | undefined;
  return {
    ...description,
    kind,
    isSecret: (name) => description.secret ?? /(SECRET|KEY|TOKEN|PASSWORD|URL|ENDPOINT|_PREVIOUS)$/.test(name),
    read(given, { production }) {
      const text = given ?? (production ? description.defaultInProduction : undefined) ?? description.default;
      if (text === undefined) return { value: undefined as Read };
      const { data, error } = kind.schema.safeParse(text);
      return error ? { problem: error.issues.map(({ message }) => message).join('; ') } : { value: data as Read };
    },
  };
}

/** The settings of one part of the server, and their mapping to `Config`. */
export interface Section<Part extends object = object> {
  title: string;
  settings: Readonly<Record<string, Setting>>;
  /** Maps the values to properties of `Config`. Throws a ConfigError if settings contradict each other. */
  toConfig(values: object, mode: Mode): Part;
}

/** The circumstances that the values of some settings depend on. */
export interface Mode {
  production: boolean;
}

type Pascal<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Capitalize<Lowercase<Head>>}${Pascal<Tail>}`
  : Capitalize<Lowercase<Name>>;
/** Converts `TYPING_TTL` to `typingTtl`. */
type Camel<Name extends string> = Uncapitalize<Pascal<Name>>;

/** The values of settings by their names in camel case. The names of durations end with `Ms`. */
export type Values<Settings extends Record<string, Setting>> = {
  -readonly [Name in keyof Settings & string as `${Camel<Name>}${Settings[Name]['kind']['suffix']}`]: ValueOf<
    Settings[Name]
  >;
};
type ValueOf<Declared> = Declared extends Setting<infer Value, string> ? Value : never;

/**
 * Declares the settings of one part of the server.
 * @param toConfig maps the values to properties of `Config`; by default each setting becomes one, named in camel case.
 */
export function defineSettings<const Settings extends Record<string, Setting>, Part extends object = Values<Settings>>(
  title: string,
  settings: Settings,
  toConfig: (values: Values<Settings>, mode: Mode) => Part = (values) => values as unknown as Part,
): Section<Part> {
  return { title, settings, toConfig: (values, mode) => toConfig(values as Values<Settings>, mode) };
}

/** The name of a setting's property in `Config`. */
const propertyOf = (name: string, { kind }: Setting) =>
  name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()) + kind.suffix;

/** The properties that a section adds to `Config`. */
export type SectionValues<One extends Section> = One extends Section<infer Part> ? Part : never;

/** The properties that all sections together add to `Config`. */
export type Joined<Sections extends readonly Section[]> = Intersection<
  Sections[number] extends infer One ? (One extends Section<infer Part> ? Part : never) : never
>;
type Intersection<Union> = (Union extends unknown ? (one: Union) => void : never) extends (all: infer All) => void
  ? All
  : never;

/** The settings of all sections by the names of their variables. */
export const settingsOf = (sections: readonly Section[]): Record<string, Setting & { section: string }> =>
  Object.fromEntries(
    sections.flatMap(({ title, settings }) =>
      Object.entries(settings).map(([name, declared]) => [name, { ...declared, section: title }]),
    ),
  );

/**
 * Reads the settings of these sections.
 * @param given the values of the variables that are set.
 * @throws {ConfigError} naming every invalid variable, one per line.
 */
export function readSections<const Sections extends readonly Section[]>(
  sections: Sections,
  given: Readonly<Record<string, string>>,
  mode: Mode & { rateLimits: boolean },
): Joined<Sections> {
  const problems: string[] = [];
  const parts = sections.map(({ settings }) => {
    const values: Record<string, unknown> = {};
    for (const [name, declared] of Object.entries(settings)) {
      const inherited = declared.defaultFrom === undefined ? undefined : given[declared.defaultFrom];
      const read = declared.read(given[name] ?? inherited, mode);
      if ('problem' in read) problems.push(`${name}: ${read.problem}`);
      else {
        const isUnlimited = declared.rateLimit && !mode.rateLimits;
        values[propertyOf(name, declared)] = isUnlimited ? declared.kind.unlimited : read.value;
      }
    }
    return values;
  });
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return Object.assign({}, ...sections.map(({ toConfig }, index) => toConfig(parts[index] ?? {}, mode)));
}

/** A field of `serverInfo.limits`. */
export interface ClientLimit {
  name: string;
  description: string;
  /** Whether the field may be null, for "no limit". */
  nullable: boolean;
  read(config: object): number | null;
}

/** The limits that these sections publish to clients, as fields of `serverInfo.limits`. */
export function clientLimitsOf(sections: readonly Section[]): ClientLimit[] {
  return Object.entries(settingsOf(sections)).flatMap(([name, declared]) => {
    const { clientDescription, clientUnit, kind, rateLimit } = declared;
    if (clientDescription === undefined) return [];
    const property = propertyOf(name, declared);
    const perUnit = clientUnit === 'seconds' ? 1_000 : 1;
    return {
      name: clientUnit === 'seconds' ? property.replace(/Ms$/, 'Seconds') : property,
      description: clientDescription,
      nullable: rateLimit === true || kind.nullable === true,
      read(config) {
        const value = (config as Record<string, unknown>)[property];
        return typeof value === 'number' && Number.isFinite(value) ? Math.ceil(value / perUnit) : null;
      },
    };
  });
}
