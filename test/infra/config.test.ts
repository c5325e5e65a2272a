import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readConfig, settings } from '../../src/app/config.js';

describe('the configuration', () => {
  it('is complete without any variables', () => {
    expect(readConfig({})).toMatchObject({
      port: 4000,
      host: '127.0.0.1',
      dataDir: '.data',
      accessTokenTtlMs: 15 * 60_000,
      refreshTokenTtlMs: 30 * 86_400_000,
      graphiql: true,
      web: true,
      production: false,
    });
  });

  it('treats an empty variable as absent', () => {
    expect(readConfig({ PORT: '', DATABASE_URL: '' })).toMatchObject({ port: 4000, databaseUrl: undefined });
  });

  it.each([
    ['PORT', 'http'],
    ['PORT', '70000'],
    ['DATABASE_URL', 'mysql://localhost'],
    ['DATABASE_URL', 'nonsense'],
    ['REDIS_URL', 'localhost:6379'],
    ['REDIS_URL', 'redis://localhost/first'],
    ['REDIS_URL', 'unix://'],
    ['REDIS_URL', 'https://localhost'],
    ['REDIS_PREFIX', 'with space'],
    ['JWT_SECRET', 'short'],
    ['JWT_SECRET_PREVIOUS', 'short'],
    ['ACCESS_TOKEN_TTL', '15'],
    ['ACCESS_TOKEN_TTL', '0s'],
    ['REFRESH_TOKEN_TTL', '30 days'],
    ['PASSWORD_RESETS_MAX', '0'],
    ['PASSWORD_RESET_URL', 'https://chat.example.com/reset'],
    ['PASSWORD_RESET_URL', 'javascript:alert({token})'],
    ['PASSWORD_RESET_URL', 'chat.example.com/{token}'],
    ['SMTP_URL', 'mail.example.com'],
    ['SMTP_URL', 'https://mail.example.com'],
    ['MAIL_FROM', 'Chat'],
    ['MAIL_FROM', 'Chat <chat@example.com>\nBcc: <a@example.com>'],
    ['REGISTRATION', 'closed'],
    ['AUTH_JWKS_URL', 'login.example.com/keys'],
    ['SERVICE_KEY', 'x'.repeat(31)],
    ['SERVICE_KEY', `with space${'x'.repeat(32)}`],
    ['SERVICE_USERNAME', 'Everyone'],
    ['SERVICE_USERNAME', 'the service'],
    ['SERVICE_NAME', 'x'.repeat(81)],
    ['ALLOWED_ORIGINS', 'chat.example.com'],
    ['ALLOWED_ORIGINS', 'https://chat.example.com/path'],
    ['ALLOWED_ORIGINS', 'https://user:password@chat.example.com'],
    ['ALLOWED_ORIGINS', 'https://chat.example.com, null'],
    ['ALLOWED_ORIGINS', '*'],
    ['ALLOWED_ORIGINS', 'https://*'],
    ['ALLOWED_ORIGINS', 'https://*.com'],
    ['ALLOWED_ORIGINS', 'https://chat.*.example.com'],
    ['ALLOWED_ORIGINS', 'https://chat*.example.com'],
    ['ALLOWED_ORIGINS', 'app://*.example.com'],
    ['ALLOWED_ORIGINS', 'file:///index.html'],
    ['MAIL_FROM', 'chat@example.com, other@example.com'],
    ['MAIL_FROM', 'Chat <chat@example.com>, <other@example.com>'],
    ['MAIL_FROM', 'Chat <chat;x@example.com>'],
    ['LOG_LEVEL', 'loud'],
    ['METRICS_PORT', 'here'],
    ['METRICS_TOKEN', 'short'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_TRACES_SAMPLER_ARG', '2'],
    ['GRAPHIQL', 'yes'],
    ['WEB', 'yes'],
    ['PAGE_MAX', '0'],
  ])('names %s when it is %j', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`^${name}: `));
  });

  it('names all invalid variables, one per line', () => {
    expect(() => readConfig({ PORT: 'x', LOG_LEVEL: 'y' })).toThrow(/^PORT: .*\nLOG_LEVEL: /);
  });

  it('rejects an SMTP server without a sender address', () => {
    const SMTP_URL = 'smtps://user:p%40ss@mail.example.com:465';
    expect(() => readConfig({ SMTP_URL })).toThrow(/^MAIL_FROM: /);
    for (const [MAIL_FROM, name] of [
      ['chat@example.com', ''],
      ['Chat <chat@example.com>', 'Chat'],
      ['Support: sales; help, "us" <chat@example.com>', 'Support: sales; help, "us"'],
      ['"Chat: \\"we\\"" <chat@example.com>', 'Chat: "we"'],
    ]) {
      const mailFrom = { name, address: 'chat@example.com' };
      expect(readConfig({ SMTP_URL, MAIL_FROM })).toMatchObject({ smtpUrl: SMTP_URL, mailFrom });
    }
  });

  it('rejects production without JWT_SECRET, and Redis without PostgreSQL', () => {
    expect(() => readConfig({ NODE_ENV: 'production' })).toThrow(/^JWT_SECRET: /);
    expect(() => readConfig({ REDIS_URL: 'redis://localhost' })).toThrow(/^REDIS_URL: /);
    expect(() => readConfig({ BODY_MAX_BYTES: '262144' })).toThrow(/^BODY_MAX_BYTES: must be at least 4\d{5} /);
    expect(readConfig({ BODY_MAX_BYTES: '262144', GROUP_COMMIT_MAX_BYTES: '65536' })).toBeDefined();
    expect(() => readConfig({ GROUP_COMMIT_RETENTION: '2d' })).toThrow(/^GROUP_COMMIT_RETENTION: /);
    const production = readConfig({ NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32) });
    expect(production).toMatchObject({ production: true, graphiql: false, web: true });
  });

  it('rejects an incomplete identity provider, and one with the issuer of this server', () => {
    const provider = {
      AUTH_JWKS_URL: 'https://a.example/keys',
      AUTH_ISSUER: 'https://a.example',
      AUTH_AUDIENCE: 'chat',
    };
    expect(readConfig({}).identityProvider).toBeUndefined();
    expect(readConfig(provider).identityProvider).toEqual({
      jwksUrl: 'https://a.example/keys',
      issuer: 'https://a.example',
      audience: 'chat',
      usernameClaim: 'preferred_username',
      nameClaim: 'name',
      pictureClaim: 'picture',
    });
    for (const name of Object.keys(provider)) {
      expect(() => readConfig({ ...provider, [name]: '' })).toThrow(new RegExp(`^${name}: `));
    }
    for (const issuer of ['parley', 'service']) {
      expect(() => readConfig({ ...provider, AUTH_ISSUER: issuer })).toThrow(/^AUTH_ISSUER: /);
    }
  });

  it('rejects a service key that equals another secret', () => {
    const key = 'x'.repeat(32);
    expect(() => readConfig({ SERVICE_KEY: key, JWT_SECRET: key })).toThrow(/^SERVICE_KEY: /);
    expect(readConfig({ SERVICE_KEY: key }).service).toEqual({ key, username: 'service', name: 'service' });
  });

  it('reports as given what differs from the default of its mode', () => {
    const production = { NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32) };
    expect(readConfig({ GRAPHIQL: 'on', PAGE_MAX: '0100', TYPING_TTL: '6000ms', PATH: '/bin' }).given).toEqual({});
    expect(readConfig({ ...production, GRAPHIQL: 'on' })).toMatchObject({ graphiql: true, introspection: false });
    expect(readConfig({ ...production, GRAPHIQL: 'on' }).given).toEqual({ ...production, GRAPHIQL: 'on' });
    expect(readConfig({ TYPING_TTL: '7s' }).given).toEqual({ TYPING_TTL: '7s' });
  });

  it('disables rate and connection limits with RATE_LIMITS=off, but not size limits', () => {
    const config = readConfig({ RATE_LIMITS: 'off', RATE_SEND_PER_PERSON: '1/1m', SOCKETS_PER_PERSON_MAX: '1' });
    const rates = Object.entries(config).filter(([name]) => /^rate[A-Z].*Per/.test(name));
    expect(rates.length).toBeGreaterThan(10);
    expect(new Set(rates.map(([, value]) => value))).toEqual(new Set([undefined]));
    expect(config).toMatchObject({ socketsPerPersonMax: Number.POSITIVE_INFINITY, bodyMaxBytes: 524_288 });
    const limited = readConfig({ RATE_SEND_PER_PERSON: '1/1m', RATE_SEARCH_PER_PERSON: 'off' });
    expect(limited).toMatchObject({ rateSendPerPerson: { count: 1, perMs: 60_000 }, rateSearchPerPerson: undefined });
  });

  it.each(Object.entries(settings))('describes %s in full sentences and has a valid default', (_name, setting) => {
    expect(setting.description).toMatch(/^[A-Z`].*\.$/);
    for (const production of [false, true]) {
      expect(setting.read(undefined, { production })).not.toHaveProperty('problem');
    }
  });

  it('uses the value of another setting as the default of a setting', () => {
    expect(readConfig({})).toMatchObject({ messageMaxChars: 8_000, draftMaxChars: 8_000 });
    expect(readConfig({ MESSAGE_MAX_CHARS: '20' }).draftMaxChars).toBe(20);
    expect(readConfig({ MESSAGE_MAX_CHARS: '20', DRAFT_MAX_CHARS: '30' }).draftMaxChars).toBe(30);
    for (const [name, { defaultFrom, default: value }] of Object.entries(settings)) {
      if (defaultFrom !== undefined) expect(value, name).toBe(settings[defaultFrom]?.default);
    }
  });

  it('describes what clients see without names of environment variables', () => {
    const clientLimits = Object.values(settings).filter(({ clientDescription }) => clientDescription !== undefined);
    expect(clientLimits.length).toBeGreaterThan(10);
    for (const { clientDescription: description = '' } of clientLimits) {
      expect(description).toMatch(/\.$/);
      for (const name of Object.keys(settings)) expect(description).not.toContain(name);
    }
  });

  it('is described by README.md with the same names and defaults', () => {
    const rows = [...readFileSync('README.md', 'utf8').matchAll(/^\| ((?:`[A-Z_]+`(?:, )?)+) \| (?:`([^`]*)`)? *\|/gm)];
    const named = rows.flatMap(([, names = '', text]) =>
      [...names.matchAll(/[A-Z_]+/g)].map(([name]) => ({ name, default: text })),
    );
    expect(named.length).toBeGreaterThanOrEqual(8);
    for (const row of named) {
      expect(Object.keys(settings)).toContain(row.name);
      expect(row).toEqual({ name: row.name, default: settings[row.name]?.default || undefined });
    }
  });
});
