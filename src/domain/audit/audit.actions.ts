/** The recorded actions and their descriptions in the schema. docs/AUDIT.md contains the same list. */
export const auditActions = {
  ACCOUNT_CREATED:
    'An account was created by registration (which also signs in), by the first token of an identity provider, or with the service key.',
  ACCOUNT_CHANGED:
    'A new username or email address was copied from an identity provider. `fields` names the changed fields without their values.',
  ACCOUNT_DELETED: 'A user deleted their account.',
  SIGNED_IN:
    'A session was created with a password, a token of an identity provider, or the service key. It is denied if the password is wrong, or if the account is suspended or does not exist. The name that was entered is not recorded, because it could be a password.',
  SESSION_ENDED: 'A user ended one of their sessions.',
  REFRESH_TOKEN_REUSED:
    'A refresh token was used again after it had been exchanged, which ended its session: the token may have been copied.',
  PASSWORD_CHANGED: 'A user changed their password, which ended their other sessions.',
  PASSWORD_RESET_REQUESTED:
    'An email for resetting a password was requested. It is denied if no account has the address, or after too many requests.',
  PASSWORD_RESET: 'A new password was set with a token from an email, which ended all sessions and created a new one.',
  SERVICE_ROLE_CHANGED: 'The role of a user in the service changed.',
  USER_SUSPENDED: 'A user was suspended, which ended their sessions.',
  USER_UNSUSPENDED: 'The suspension of a user ended.',
  ACCESS_TOKEN_CREATED: 'The service key created a session for a user.',
  KEY_SESSIONS_ENDED: 'When a server process started, sessions that a previous service key had created were ended.',
  MEMBER_ADDED: 'A member added a user to a group. Each added user has an entry of their own.',
  MEMBER_REMOVED: 'A member removed another member from a group.',
  MEMBER_ROLE_CHANGED:
    'The role of a member of a group changed. This includes the member who becomes owner when the last owner leaves.',
  GROUP_SETTINGS_CHANGED: 'The visibility or the history visibility of a group changed.',
  MESSAGE_DELETED: 'A user deleted a message of another member.',
  SETTINGS_CHANGED:
    'A server process started with settings that differ from those of the previous start. The values of secrets are not recorded; null stands for the default.',
  AUDIT_LOG_READ: 'A user read this log. Each first page is recorded with its filter.',
  AUDIT_LOG_TRIMMED:
    'The oldest entries were removed because of the retention period. `until` contains the time up to which entries were removed.',
  OTHER: 'An action that a newer server recorded. The detail `action` contains its name.',
} as const;

export type AuditAction = keyof typeof auditActions;
