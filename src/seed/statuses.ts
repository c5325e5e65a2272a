/** A status of the demo. */
export interface DemoStatus {
  author: string;
  text: string;
  /** The name of a background of the web app. */
  style: string;
  /** Which part of its lifetime has passed, from 0 to 1. */
  age: number;
}

/** The statuses of the demo. None is so old that it expires soon after the demo was stored. */
export const statuses: readonly DemoStatus[] = [
  { author: 'anna', text: 'Neue Pflanze, gleicher Fensterplatz. 🪴', style: 'forest', age: 0.31 },
  { author: 'anna', text: 'Release ist draußen. Jetzt Kuchen.', style: 'violet', age: 0.06 },
  { author: 'jonas', text: 'Heute 7a geklettert. Die Arme merken es.', style: 'ember', age: 0.22 },
  {
    author: 'james',
    text: 'Why do programmers prefer dark mode? Because light attracts bugs.',
    style: 'night',
    age: 0.18,
  },
  { author: 'sarah', text: 'Sourdough no. 41. Best crust so far.', style: 'ember', age: 0.4 },
  { author: 'sarah', text: 'Sun in Dublin. No, really.', style: 'ocean', age: 0.09 },
  { author: 'mateo', text: '¡Vaya partido anoche! Sin voz.', style: 'dusk', age: 0.36 },
  { author: 'chloe', text: 'Brunch au bord de la Saône ce matin.', style: 'dusk', age: 0.27 },
  { author: 'beatriz', text: 'Ondas perfeitas às sete da manhã. 🌊', style: 'ocean', age: 0.44 },
  { author: 'elif', text: 'Kedi klavyenin üstünde, iş bekleyebilir. 🐈', style: 'violet', age: 0.12 },
  { author: 'dmitri', text: 'Выучил новую песню. Осталось найти слушателей.', style: 'night', age: 0.33 },
  { author: 'omar', text: 'قهوة الصباح مع صوت المطر. ☕', style: 'forest', age: 0.15 },
  { author: 'priya', text: 'बारिश, चाय और पकौड़े। और क्या चाहिए? 🍵', style: 'ember', age: 0.25 },
  { author: 'yuki', text: '今日は高尾山へ。紅葉がきれいでした。', style: 'forest', age: 0.47 },
  { author: 'wei', text: '周末终于修好了自行车，出发！', style: 'ocean', age: 0.2 },
];
