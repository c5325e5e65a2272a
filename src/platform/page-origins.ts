import type { Config } from '../infra/config/config.js';
import { defineExtensionPoint } from './feature.js';

/** The origins, other than that of the node, to which pages of the web app send files and from which they load them. */
export const pageOrigins = defineExtensionPoint<(config: Config) => readonly string[]>('origins of files');
