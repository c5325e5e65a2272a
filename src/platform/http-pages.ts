import type { Deps } from './deps.js';
import { defineExtensionPoint } from './feature.js';

/** A page of a feature that works without the web app, for links in emails. It must not contain scripts. */
export interface HttpPage {
  /** The path, which is unique among the pages of all features. */
  readonly path: string;
  /**
   * Responds to a request. A GET must not change anything, because programs that check emails open the links in them.
   * The body of a POST is not read.
   */
  respond(deps: Deps, request: { method: 'GET' | 'POST'; query: URLSearchParams }): Promise<PageResponse>;
}

export interface PageResponse {
  status: number;
  html: string;
  /** The only style that the page has. */
  style: string;
}

export const httpPages = defineExtensionPoint<HttpPage>('pages');
