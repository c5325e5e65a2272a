/** What is put down in the audit log, and what it says there; docs/AUDIT.md has the same list. */
export const auditActions = {
  ACCOUNT_CREATED:
    'An account was made: by registering (which signs in as well), at the first token of an identity provider, or with the service key.',
  ACCOUNT_CHANGED:
    'Another username or email address was taken over from an identity provider. `fields` says which of them, not what they are.',
  ACCOUNT_DELETED: 'Somebody deleted their account.',
  SIGNED_IN:
    'A session was begun with a password, or by a token of an identity provider or the service key. Refused: with a wrong password, for an account that is suspended or that there is not. What was typed for a name is not kept: it may be a password.',
  SESSION_ENDED: 'Somebody signed out, in this session or another one of theirs.',
  REFRESH_TOKEN_REUSED:
    'A refresh token was used again that was used up, which ended its session: somebody has a copy.',
  PASSWORD_CHANGED: 'Somebody changed their password, which ended their other sessions.',
  PASSWORD_RESET_REQUESTED:
    'Somebody asked for a mail to choose a new password with. Refused: for an address that no account has, or too often.',
  PASSWORD_RESET: 'A new password was chosen with such a mail, which ended all sessions and began one.',
  SERVICE_ROLE_CHANGED: 'Somebody was made a moderator or an admin of the service, or is one no more.',
  USER_SUSPENDED: 'Somebody was suspended, which ended their sessions.',
  USER_UNSUSPENDED: 'Somebody who was suspended was let in again.',
  ACCESS_TOKEN_CREATED: 'The service key began a session for one of its people.',
  KEY_SESSIONS_ENDED: 'Sessions that another service key had begun were ended when a node started.',
  MEMBER_ADDED: 'A member was brought into a group by another one; of several at once one entry each.',
  MEMBER_REMOVED: 'A member was put out of a group by another one.',
  MEMBER_ROLE_CHANGED: 'A member of a group was made an owner, an admin or neither; also when the last owner left.',
  GROUP_SETTINGS_CHANGED: 'Who may find a group, or read back in it.',
  MESSAGE_DELETED: "Somebody deleted another member's message.",
  SETTINGS_CHANGED:
    'A node started with other settings than the one before. Of secrets only that they changed; null is the default.',
  AUDIT_LOG_READ: 'Somebody looked into this log: once for each first page, with its filter.',
  AUDIT_LOG_TRIMMED: 'The oldest entries were taken away, of which `until` says how far they went.',
  OTHER: 'Something that a newer server put down; `action` in `details` is what it calls it.',
} as const;

export type AuditAction = keyof typeof auditActions;
