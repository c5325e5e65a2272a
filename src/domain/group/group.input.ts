import { longText, name, webAddress } from '../user/user.input.js';

/** 1 to 100 characters. */
export const title = name('A title', 100);

/** Up to 1000 characters; an empty text means no description. */
export const description = longText('A description', 1_000);

/** An http or https URL of up to 2000 characters; an empty text means no image. */
export const imageUrl = webAddress;
