import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { browserFound, startBrowser, visit } from '../support/browser.js';
import { makePlace } from '../support/place.js';

/** Texts and the surfaces that they are on. */
const pairs = [
  ['--text', '--surface'],
  ['--text', '--accent-soft'],
  ['--text-2', '--bg'],
  ['--text-2', '--raised'],
  ['--text-2', '--accent-soft'],
  ['--text-3', '--bg'],
  ['--text-3', '--surface'],
  ['--on-accent', '--accent'],
  ['--on-accent', '--accent-hover'],
  ['--accent-text', '--bg'],
  ['--accent-text', '--surface'],
  ['--accent-text', '--accent-soft'],
  ['--danger', '--surface'],
  ['--danger', '--danger-soft'],
  ['--warning', '--warning-soft'],
  ['--success', '--surface'],
] as const;

const [, listed = ''] = /hues = \[([^\]]+)\]/.exec(readFileSync('web/src/shell/theme.ts', 'utf8')) ?? [];
const hues = listed.split(',').map(Number);

describe.skipIf(!browserFound)('themes of the web app', () => {
  let browser: Browser;
  let url: string;
  beforeAll(async () => {
    const [started, place] = await Promise.all([startBrowser(), makePlace('embedded', { web: true })]);
    browser = started;
    url = (await place.start()).webUrl ?? '';
  });

  it.each([
    ['light', 'light', 4.5],
    ['dark', 'dark', 4.5],
    ['contrast', 'light', 7],
    ['contrast', 'dark', 7],
  ] as const)(
    'have readable texts with every accent: %s, on a system that is %s',
    async (theme, colorScheme, least) => {
      expect(hues).toHaveLength(12);
      const { page } = await visit(browser, `${url}sign-in`, { colorScheme });
      const low = await page.evaluate(
        ([chosen, all, texts, minimum]) => {
          const root = document.documentElement;
          root.dataset['theme'] = chosen;
          const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
          const probe = document.body.appendChild(document.createElement('i'));
          const luminance = (name: string) => {
            probe.style.color = `var(${name})`;
            if (!context) throw new Error('there is no canvas');
            context.fillStyle = getComputedStyle(probe).color;
            context.fillRect(0, 0, 1, 1);
            const [red = 0, green = 0, blue = 0] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
              const part = value / 255;
              return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
          };
          return all.flatMap((hue) => {
            root.style.setProperty('--hue', String(hue));
            return texts.flatMap(([text, surface]) => {
              const [one, other] = [luminance(text), luminance(surface)];
              const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
              return ratio < minimum ? [`${text} on ${surface} with hue ${hue}: ${ratio.toFixed(2)}`] : [];
            });
          });
        },
        [theme, hues, pairs, least] as const,
      );
      expect(low).toEqual([]);
    },
  );
});
