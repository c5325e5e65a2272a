// Whether a measurement has reached its target. Values are judged as they are displayed, so that "100 ms" reaches "≤ 100 ms".

/** How much of the intended rate of messages has to be reached: with fewer messages, there is less to do than intended. */
const RATE_REACHED_MIN = 0.9;
/** How much larger the heap may be after the second half of the messages, if it does not grow with their number. */
const FLAT_MAX = 1.1;

export const judge = (isReached) => (isReached ? 'reached' : '**not reached**');

/** Times in milliseconds, which are displayed without decimals. */
export const judgeTime = (milliseconds, limit) => judge(Math.round(milliseconds) <= limit);

/** A time that was measured while messages arrived at a rate. */
export const judgeTimeAtRate = (milliseconds, limit, rate, intended) =>
  rate < intended * RATE_REACHED_MIN ? `not measured: rate ${Math.round(rate)}` : judgeTime(milliseconds, limit);

/** Sizes after the first and the second half of the messages: neither may exceed the limit, and they may not grow. */
export const judgeFlat = (half, full, limit) => judge(Math.max(half, full) <= limit && full <= half * FLAT_MAX);
