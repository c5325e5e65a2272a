/** Settings that nodes rely on, and therefore set themselves on each connection. */
export const reliedOn: Readonly<Record<string, string>> = {
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  client_encoding: 'UTF8',
  default_transaction_isolation: 'read committed',
  extra_float_digits: '1',
  standard_conforming_strings: 'on',
};

/**
 * What nodes set besides the settings that they rely on. A database or a role may have other defaults: no statement of a
 * node takes a minute, and JIT compilation costs the short statements of a chat more than it saves.
 */
const bounds: Readonly<Record<string, string>> = {
  statement_timeout: '60s',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '60s',
  idle_session_timeout: '0',
  jit: 'off',
};

export const quoteName = (name: string) => `"${name.replaceAll('"', '""')}"`;
export const quoteText = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** The statements that give a new connection the settings which nodes rely on; the same for both modes. */
export function settingsSql(schema: string, more: Readonly<Record<string, string>> = {}): string {
  const all = { ...bounds, ...more, ...reliedOn };
  const statements = Object.entries(all).map(([name, value]) => `SET ${quoteSetting(name)} = ${quoteText(value)}`);
  return [...statements, `SET search_path = ${quoteName(schema)}`].join('; ');
}

// A setting of an extension has a dot in its name.
const quoteSetting = (name: string) => name.split('.').map(quoteName).join('.');
