/** The maximum number of messages that are compared at once. */
export const AT_ONCE = 1_000;
/** The size of the parts of a longer conversation, and how many messages of each part are candidates for points. */
export const PART = 500;
export const OF_PART = 40;
