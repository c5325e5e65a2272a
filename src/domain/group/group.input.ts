import { longText, name, webAddress } from '../user/user.input.js';

/** 1 to 100 characters. */
export const title = name('A title', 100);

/** Up to 1000 characters; an empty one is none. */
export const description = longText('A description', 1_000);

/** An address of http or https, up to 2000 characters; an empty one is none. */
export const imageUrl = webAddress;
