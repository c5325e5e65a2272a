/** Settings that nodes depend on and therefore set on each connection. */
export const requiredSettings: Readonly<Record<string, string>> = {
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
 * Further settings of each connection, which override the defaults of the database and the role: statements have a time
 * limit, and JIT compilation is disabled, because it costs short statements more than it saves.
 */
const recommendedSettings: Readonly<Record<string, string>> = {
  statement_timeout: '60s',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '60s',
  idle_session_timeout: '0',
  jit: 'off',
};

export const quoteName = (name: string) => `"${name.replaceAll('"', '""')}"`;
export const quoteText = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** The statements that configure a new connection, in both modes. */
export function settingsSql(schema: string, more: Readonly<Record<string, string>> = {}): string {
  const all = { ...recommendedSettings, ...more, ...requiredSettings };
  const statements = Object.entries(all).map(([name, value]) => `SET ${quoteSetting(name)} = ${quoteText(value)}`);
  return [...statements, `SET search_path = ${quoteName(schema)}`].join('; ');
}

// Names of extension settings contain a dot.
const quoteSetting = (name: string) => name.split('.').map(quoteName).join('.');
