/** The name of the database with the keys of a user in this browser, and of the locks for it. */
export const keysOf = (userId: string): string => `parley-e2ee:${userId}`;
