import { accountFeature } from '../domain/account/account.feature.js';
import { auditFeature } from '../domain/audit/audit.feature.js';
import { blockFeature } from '../domain/block/block.feature.js';
import { callFeature } from '../domain/call/call.feature.js';
import { contactFeature } from '../domain/contact/contact.feature.js';
import { conversationFeature } from '../domain/conversation/conversation.feature.js';
import { digestFeature } from '../domain/digest/digest.feature.js';
import { draftFeature } from '../domain/draft/draft.feature.js';
import { editFeature } from '../domain/edit/edit.feature.js';
import { encryptionFeature } from '../domain/encryption/encryption.feature.js';
import { groupFeature } from '../domain/group/group.feature.js';
import { identityProviderFeature } from '../domain/identity-provider/identity-provider.feature.js';
import { mediaFeature } from '../domain/media/media.feature.js';
import { messageFeature } from '../domain/message/message.feature.js';
import { moderationFeature } from '../domain/moderation/moderation.feature.js';
import { notificationFeature } from '../domain/notification/notification.feature.js';
import { notificationTraceFeature } from '../domain/notification-trace/trace.feature.js';
import { notifierFeature } from '../domain/notifier/notifier.feature.js';
import { passwordFeature } from '../domain/password/password.feature.js';
import { pinFeature } from '../domain/pin/pin.feature.js';
import { presenceFeature } from '../domain/presence/presence.feature.js';
import { profileFeature } from '../domain/profile/profile.feature.js';
import { pushFeature } from '../domain/push/push.feature.js';
import { reactionFeature } from '../domain/reaction/reaction.feature.js';
import { receiptFeature } from '../domain/receipt/receipt.feature.js';
import { relationshipFeature } from '../domain/relationship/relationship.feature.js';
import { replyFeature } from '../domain/reply/reply.feature.js';
import { reportFeature } from '../domain/report/report.feature.js';
import { searchFeature } from '../domain/search/search.feature.js';
import { serverInfoFeature } from '../domain/server-info/server-info.feature.js';
import { serviceFeature } from '../domain/service/service.feature.js';
import { sessionFeature } from '../domain/session/session.feature.js';
import { statusFeature } from '../domain/status/status.feature.js';
import { summaryFeature } from '../domain/summary/summary.feature.js';
import { syncFeature } from '../domain/sync/sync.feature.js';
import { typingFeature } from '../domain/typing/typing.feature.js';
import { userFeature } from '../domain/user/user.feature.js';
import { viewerChangesFeature } from '../domain/viewer-changes/viewer-changes.feature.js';
import type { Feature } from '../platform/deps.js';

/**
 * All features. A new feature is one more entry. Hooks are called in this order; services start in this order and stop
 * in reverse.
 */
export const features: readonly Feature[] = [
  serverInfoFeature,
  userFeature,
  auditFeature,
  sessionFeature,
  viewerChangesFeature,
  profileFeature,
  moderationFeature,
  passwordFeature,
  relationshipFeature,
  contactFeature,
  blockFeature,
  identityProviderFeature,
  serviceFeature,
  presenceFeature,
  conversationFeature,
  groupFeature,
  messageFeature,
  searchFeature,
  editFeature,
  reactionFeature,
  replyFeature,
  pinFeature,
  encryptionFeature,
  reportFeature,
  mediaFeature,
  callFeature,
  statusFeature,
  draftFeature,
  receiptFeature,
  notificationFeature,
  notifierFeature,
  typingFeature,
  pushFeature,
  digestFeature,
  notificationTraceFeature,
  summaryFeature,
  syncFeature,
  accountFeature,
];
