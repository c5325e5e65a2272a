import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, flag, integer, rate } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

export const encryptionSettings = defineSettings('Encryption', {
  ENCRYPTION: setting(flag, {
    default: 'on',
    description:
      'Whether users can turn on end-to-end encryption in a conversation. Conversations that are encrypted already stay so. See docs/ENCRYPTION.md.',
  }),
  DEVICES_PER_PERSON_MAX: setting(integer(1, 100), {
    default: '10',
    description: 'The maximum number of devices that one user can register for encryption.',
    clientDescription: 'The maximum number of devices that one user can register for encryption.',
  }),
  KEY_PACKAGES_MAX: setting(integer(1, 1_000), {
    default: '100',
    description: 'The maximum number of key packages of a device that wait to be claimed, without the last resort.',
    clientDescription:
      'The maximum number of key packages of a device that wait to be claimed, without the last resort.',
  }),
  KEY_PACKAGE_LIFETIME: setting(duration('1m'), {
    default: '30d',
    description:
      'How long after its publication a key package can be claimed. Devices that were offline for longer join groups by themselves.',
    clientDescription: 'How long after its publication a key package can be claimed, in seconds.',
    clientUnit: 'seconds',
  }),
  ENCRYPTED_DEVICES_MAX: setting(integer(2, 10_000), {
    default: '300',
    description: 'The maximum number of devices in the group of an encrypted conversation.',
    clientDescription: 'The maximum number of devices in the group of an encrypted conversation.',
  }),
  ENCRYPTED_ADDS_MAX: setting(integer(1, 1_000), {
    default: '64',
    description: 'The maximum number of devices that one commit can add, and whose key packages one call can claim.',
    clientDescription:
      'The maximum number of devices that one commit can add, and whose key packages one call can claim.',
  }),
  SEALED_KEYS_MAX: setting(integer(1, 10_000), {
    default: '300',
    description: 'The maximum number of sealed keys in one request.',
    clientDescription: 'The maximum number of sealed keys in one request.',
  }),
  ENCRYPTED_CONTENT_MAX_BYTES: setting(integer(64, 1_048_576), {
    default: '65536',
    description: 'The maximum size of the encrypted content of a message, in bytes.',
    clientDescription: 'The maximum size of the encrypted content of a message, in bytes.',
  }),
  GROUP_COMMIT_MAX_BYTES: setting(integer(1_024, 1_048_576), {
    default: '131072',
    description:
      'The maximum size of a commit, of a group info and of a welcome, in bytes. A request contains all of them, in base64: see `BODY_MAX_BYTES`.',
    clientDescription: 'The maximum size of a commit, of a group info and of a welcome, in bytes.',
  }),
  ENCRYPTION_KEY_MAX_BYTES: setting(integer(256, 65_536), {
    default: '8192',
    description: 'The maximum size of a key, a certificate, a key package and a sealed key, in bytes.',
    clientDescription: 'The maximum size of a key, a certificate, a key package and a sealed key, in bytes.',
  }),
  KEY_VAULT_MAX_BYTES: setting(integer(256, 1_048_576), {
    default: '16384',
    description: "The maximum size of an account's vault, in bytes.",
    clientDescription: "The maximum size of an account's vault, in bytes.",
  }),
});

export const encryptionRateSettings = defineSettings('Rate limits', {
  RATE_CLAIM_PER_PERSON: setting(rate, {
    default: '300/1h',
    description: `Key packages of other devices that one user claims. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
  RATE_COMMIT_PER_PERSON: setting(rate, {
    default: '120/1m',
    description: `Commits of groups of encrypted conversations that one user makes. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof encryptionSettings>, SectionValues<typeof encryptionRateSettings> {}
}
