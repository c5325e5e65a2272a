// Runs in a worker thread; JavaScript, so that it can be loaded as it is from the sources too.
import bcrypt from 'bcryptjs';

/** @param {{ password: string; cost: number }} task */
export const hash = ({ password, cost }) => bcrypt.hashSync(password, cost);

/** @param {{ password: string; hash: string }} task */
export const verify = ({ password, hash }) => bcrypt.compareSync(password, hash);
