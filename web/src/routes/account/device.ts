/** The name of this device for the list of sessions, such as `Firefox, Linux`. */
export function deviceName(agent = navigator.userAgent): string {
  const browser = /(Edg|OPR|SamsungBrowser|Firefox|Chrome|Safari)(?:\/|iOS)/.exec(agent)?.[1] ?? 'Browser';
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|CrOS|Linux)/.exec(agent)?.[1];
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', SamsungBrowser: 'Samsung Internet' };
  return [names[browser] ?? browser, system?.replace('Mac OS X', 'macOS')].filter(Boolean).join(', ');
}
