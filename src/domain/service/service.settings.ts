import { isUsername } from '../../core/usernames.js';
import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { bearerToken, name, textThat } from '../../infra/config/kinds.js';

/** The service key of the operator's backend, and the bot that it acts as. */
export interface ServiceSettings {
  key: string;
  username: string;
  name: string;
}

export const serviceSettings = defineSettings(
  'Service key',
  {
    SERVICE_KEY: setting(bearerToken, {
      description:
        'The access token with which your own backend acts as a bot and creates accounts. It must differ from `JWT_SECRET`. `openssl rand -base64 48` generates one. See docs/USERS.md#with-the-service-key.',
      whenUnset: 'no service key',
    }),
    SERVICE_USERNAME: setting(textThat('3 to 32 letters, digits or _ . - characters', isUsername), {
      default: 'service',
      description: 'The username of the bot of the service key.',
    }),
    SERVICE_NAME: setting(name(80), {
      description: 'The display name of the bot of the service key.',
      whenUnset: 'the value of `SERVICE_USERNAME`',
    }),
  },
  ({ serviceKey: key, serviceUsername: username, serviceName = username }) => {
    const service: ServiceSettings | undefined = key === undefined ? undefined : { key, username, name: serviceName };
    return { service };
  },
);

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof serviceSettings> {}
}
