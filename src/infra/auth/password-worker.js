// Runs in a worker thread. It is JavaScript so that it can also be loaded directly from the sources.
import bcrypt from 'bcryptjs';

/** @param {{ password: string; cost: number }} task */
export const hash = ({ password, cost }) => bcrypt.hashSync(password, cost);

/** @param {{ password: string; hash: string }} task */
export const verify = ({ password, hash }) => bcrypt.compareSync(password, hash);
