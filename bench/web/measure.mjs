/** The value below which the given share of the numbers lies. */
const percentile = (numbers, share) =>
  numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))];
export const median = (numbers) => percentile(numbers, 0.5);

/** A page of plain HTML: as many rows as the app displays at most, and a field. */
const PLAIN = `<!doctype html><button>Open</button><textarea></textarea><main></main><script>
  const row = (text) => {
    const article = document.createElement('article');
    article.dataset.key = text;
    const span = document.createElement('span');
    span.dataset.text = '';
    span.textContent = text;
    article.append('Bob, 12:00 ', span);
    return article;
  };
  const main = document.querySelector('main');
  const open = () => main.replaceChildren(...Array.from({ length: 300 }, (_, index) => row('message ' + index)));
  document.querySelector('button').onclick = open;
  const receive = () => setInterval(() => { main.firstChild?.remove(); main.append(row('steady')); }, 20);
</script>`;

const slow = (cdp, rate) => cdp.send('Emulation.setCPUThrottlingRate', { rate });

/** Clicks, and resolves with the milliseconds until the big conversation is painted. */
async function clickToPainted(page, target) {
  await page.evaluate(() => {
    window.painted = new Promise((resolve) => {
      addEventListener(
        'click',
        ({ timeStamp }) => {
          const look = () => {
            const text = document.querySelector('article [data-text]')?.textContent ?? '';
            if (/^(message|steady|arrival)/.test(text)) {
              requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - timeStamp)));
            } else requestAnimationFrame(look);
          };
          look();
        },
        { capture: true, once: true },
      );
    });
  });
  await target.click();
  return page.evaluate(() => window.painted);
}

/** The paths of the files that a page requests until the list of conversations is displayed, from its start. */
export async function requestedUntilList(page) {
  await page.addInitScript(() => {
    const look = () => {
      if (document.querySelector('nav li')) window.listedAt = performance.now();
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await page.reload();
  await page.waitForFunction(() => window.listedAt !== undefined);
  return page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .filter(({ startTime }) => startTime < window.listedAt)
      .map(({ name }) => new URL(name).pathname),
  );
}

/** The median time until a plain page has painted 300 rows. */
export async function openPlain(page, cdp, rate, rounds) {
  const times = [];
  await slow(cdp, rate);
  for (let round = 0; round < rounds; round += 1) {
    await page.goto('about:blank');
    await page.setContent(PLAIN);
    times.push(await clickToPainted(page, page.getByRole('button')));
  }
  await slow(cdp, 1);
  return median(times);
}

/** The median time until a conversation is painted, whose newest messages are on the device but not in memory. */
export async function openConversation(page, cdp, { url, big }, rate, rounds) {
  const times = [];
  for (let round = 0; round <= rounds; round += 1) {
    await page.goto(url);
    await page.locator('nav li').nth(1).waitFor();
    await slow(cdp, rate);
    times.push(await clickToPainted(page, page.locator(`nav a[href$="/c/${encodeURIComponent(big)}"]`)));
    await slow(cdp, 1);
  }
  // The first time, the messages are not on the device yet.
  return median(times.slice(1));
}

/** Types in a field; the 75th percentile of the durations of the interactions. Those below 16 ms are not reported. */
async function keys(page, field, count) {
  await page.evaluate(() => {
    window.durations = new Map();
    new PerformanceObserver((list) => {
      for (const { interactionId, duration } of list.getEntries()) {
        if (interactionId)
          window.durations.set(interactionId, Math.max(duration, window.durations.get(interactionId) ?? 0));
      }
    }).observe({ type: 'event', durationThreshold: 16 });
  });
  await field.click();
  for (let key = 0; key < count; key += 1) await page.keyboard.type('abcdefghij '[key % 11], { delay: 20 });
  await page.waitForTimeout(500);
  const found = await page.evaluate(() => [...window.durations.values()]);
  return percentile([...found, ...Array(Math.max(0, count - found.length)).fill(16)], 0.75);
}

export async function typePlain(page, cdp, rate, count) {
  await page.goto('about:blank');
  await page.setContent(PLAIN);
  await page.getByRole('button').click();
  await page.evaluate('receive()');
  await slow(cdp, rate);
  const duration = await keys(page, page.locator('textarea'), count);
  await slow(cdp, 1);
  return duration;
}

/** Shows the newest messages of the big conversation. */
export async function showEnd(page, { url, big }) {
  await page.goto(`${url}c/${encodeURIComponent(big)}`);
  await page.locator('article[data-key]').first().waitFor();
  const toEnd = page.getByRole('button', { name: 'Go to the latest message' });
  // It is there only if the conversation opens at an unread message.
  if (
    await toEnd.waitFor({ timeout: 2_000 }).then(
      () => true,
      () => false,
    )
  )
    await toEnd.click();
}

export async function type(page, cdp, rate, count) {
  await slow(cdp, rate);
  const duration = await keys(page, page.getByRole('textbox', { name: /^Message / }), count);
  await slow(cdp, 1);
  return duration;
}

/** The heap and the nodes of a page after garbage collection. */
export async function memory(cdp) {
  await cdp.send('Performance.enable');
  for (let time = 0; time < 3; time += 1) await cdp.send('HeapProfiler.collectGarbage');
  const { metrics } = await cdp.send('Performance.getMetrics');
  const valueFor = (name) => metrics.find((metric) => metric.name === name).value;
  return { heap: valueFor('JSHeapUsedSize'), nodes: valueFor('Nodes') };
}

/** The median time from a navigation without a network until the messages are painted. */
export async function reloadOffline(page, context, rounds) {
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await page.locator('article[data-key]').first().waitFor();
  await page.addInitScript(() => {
    window.paintedAt = new Promise((resolve) => {
      const look = () => {
        if (document.querySelector('article[data-key]'))
          requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
  });
  await context.setOffline(true);
  const times = [];
  for (let round = 0; round < rounds; round += 1) {
    await page.reload();
    times.push(await page.evaluate(() => window.paintedAt));
  }
  await context.setOffline(false);
  return median(times);
}
