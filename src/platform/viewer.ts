/** Who is asking, in which session, and until when the token they gave is good. */
export interface Viewer {
  userId: string;
  sessionId: string;
  expiresAt: Date;
  /** It is the backend beside us, with the service key: it makes accounts, and sessions for them. */
  isService?: true;
}

/** What a stream may ask of the connection that it goes over. */
export interface Connection {
  /** Aborted when the client has gone; absent where the transport ends its streams itself (WebSocket). */
  readonly signal?: AbortSignal | undefined;
  /** Ends the connection of a client that does not read, in a way that makes it come back and resume. */
  cutOff?(): void;
  /**
   * Present where the connection itself ends with the session (WebSocket), so that its streams need not: tells it
   * that the session was refreshed over it, and lasts until the new token expires.
   */
  renew?(viewer: Viewer): void;
}
