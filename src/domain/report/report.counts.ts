import { ReportReason, ReportResolution } from '../../generated/prisma/client.js';
import { defineService } from '../../platform/service.js';

const zeros = <Name extends string>(names: Record<Name, Name>) =>
  Object.fromEntries(Object.values<Name>(names).map((name) => [name, 0])) as Record<Name, number>;

/** What this node has counted, for its metrics. */
export const reportCounts = defineService('report counts', () => ({
  /** Stored reports by reason. */
  reported: zeros(ReportReason),
  /** Resolved reports by resolution. */
  resolved: zeros(ReportResolution),
}));
