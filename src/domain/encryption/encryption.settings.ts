import type { Config } from '../../infra/config/config.js';
import { ConfigError } from '../../infra/config/config-error.js';
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
  GROUP_COMMIT_MAX_BYTES: setting(integer(1_024, 16_777_216), {
    default: '262144',
    description:
      'The maximum size of a commit, its group info and its welcomes together, in bytes. A request contains all of them, in base64, so `BODY_MAX_BYTES` must be larger. The group info needs about 470 bytes for each device in the group.',
    clientDescription: 'The maximum size of a commit, its group info and its welcomes together, in bytes.',
  }),
  GROUP_COMMIT_RETENTION: setting(duration('1d'), {
    default: '180d',
    description:
      'How long commits are kept. A device that was offline for longer joins its groups again by itself, and reads what was sent meanwhile with the keys that were sealed for its account. It must not be less than `CHANGE_RETENTION`.',
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

/** The size of a sealed key in a request, with its names; accounts with several identities need more. */
const SEALED_KEY_BYTES = 256;
/** The size of the id of a device in a request. */
const ID_BYTES = 64;

type EncryptionConfig = Pick<
  Config,
  | 'encryption'
  | 'groupCommitMaxBytes'
  | 'sealedKeysMax'
  | 'encryptedDevicesMax'
  | 'bodyMaxBytes'
  | 'groupCommitRetentionMs'
  | 'changeRetentionMs'
>;

/** @throws ConfigError if settings contradict each other. */
export function checkEncryptionConfig(config: EncryptionConfig): void {
  const { encryption, groupCommitMaxBytes, sealedKeysMax, encryptedDevicesMax, bodyMaxBytes } = config;
  if (config.groupCommitRetentionMs < config.changeRetentionMs) {
    throw new ConfigError(
      'GROUP_COMMIT_RETENTION: must not be less than CHANGE_RETENTION, for which streams repeat commits',
    );
  }
  const base64Bytes = Math.ceil((groupCommitMaxBytes * 4) / 3);
  const needed = base64Bytes + sealedKeysMax * SEALED_KEY_BYTES + encryptedDevicesMax * ID_BYTES;
  if (encryption && bodyMaxBytes < needed) {
    throw new ConfigError(
      `BODY_MAX_BYTES: must be at least ${needed} for the largest commit that GROUP_COMMIT_MAX_BYTES, SEALED_KEYS_MAX and ENCRYPTED_DEVICES_MAX allow`,
    );
  }
}

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof encryptionSettings>, SectionValues<typeof encryptionRateSettings> {}
}
