/** The authenticated caller: the user, the session, and the expiry of the access token. */
export interface Viewer {
  userId: string;
  sessionId: string;
  expiresAt: Date;
  /** Set if the caller is a trusted backend with the service key, which creates accounts and their sessions. */
  isService?: true;
}

/** The connection that a stream is delivered over. */
export interface Connection {
  /** Aborted when the client has disconnected. Absent if the transport ends its streams itself (WebSocket). */
  readonly signal?: AbortSignal | undefined;
  /** Closes the connection of a client that does not read, with a close code after which it reconnects and resumes. */
  onSlowConsumer?(): void;
  /**
   * Present if the connection ends together with the session (WebSocket), so that its streams need not watch the
   * session. Notifies the connection that the session was refreshed; the connection then lasts until the new token
   * expires.
   */
  renew?(viewer: Viewer): void;
}
