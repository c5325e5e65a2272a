import { read, write } from '../preferences.ts';

export const themes = ['auto', 'light', 'dark', 'contrast'] as const;
export type Theme = (typeof themes)[number];

/** The hues of the accent that the settings offer, in degrees of oklch. */
export const hues = [277, 255, 235, 205, 180, 155, 130, 85, 55, 30, 5, 325] as const;

export function currentTheme(): Theme {
  const given = read('theme');
  return themes.find((theme) => theme === given) ?? 'auto';
}

export function currentHue(): number {
  const given = Number(read('hue'));
  return hues.find((hue) => hue === given) ?? hues[0];
}

export function chooseTheme(theme: Theme): void {
  write('theme', theme);
  applyTheme();
}

export function chooseHue(hue: number): void {
  write('hue', String(hue));
  applyTheme();
}

/** Applies the chosen theme and accent to the page. */
export function applyTheme(): void {
  const { dataset, style } = document.documentElement;
  const theme = currentTheme();
  if (theme === 'auto') delete dataset['theme'];
  else dataset['theme'] = theme;
  style.setProperty('--hue', String(currentHue()));
}
