export type Language = 'en' | 'de' | 'es' | 'fr' | 'pt' | 'tr' | 'ru' | 'ar' | 'hi' | 'ja' | 'zh';

export interface Person {
  username: string;
  displayName: string;
  /** The name in the person's own language, and in Latin letters. */
  givenName: string;
  latinName: string;
  gender: 'f' | 'm';
  /** The person's own language; everybody speaks English as well. */
  language: Language;
  /** The offset of the person's clock from UTC, in hours. */
  clock: number;
  bio: string | null;
}

/** The public password of all demo accounts. */
export const DEMO_PASSWORD = 'parley-demo';

/** The email address of a person. RFC 2606 reserves the domain, so it cannot belong to anybody else. */
export const emailOf = ({ username }: Pick<Person, 'username'>) => `${username}@demo.parley.example`;

const latin = (
  username: string,
  displayName: string,
  gender: Person['gender'],
  language: Language,
  clock: number,
  bio: string | null = null,
): Person => {
  const givenName = displayName.split(' ')[0] as string;
  return { username, displayName, givenName, latinName: givenName, gender, language, clock, bio };
};

const other = (
  username: string,
  latinName: string,
  displayName: string,
  givenName: string,
  gender: Person['gender'],
  language: Language,
  clock: number,
  bio: string | null = null,
): Person => ({ username, displayName, givenName, latinName, gender, language, clock, bio });

export const people: readonly Person[] = [
  latin('anna', 'Anna Bergmann', 'f', 'de', 1, 'Product at Lumen. Berlin, bikes, too many houseplants. 🪴'),
  latin('jonas', 'Jonas Keller', 'm', 'de', 1, 'Backend, Kaffee, Klettern.'),
  latin('lena', 'Lena Hoffmann', 'f', 'de', 1, 'Grafik & Text. Meistens draußen.'),
  latin('felix', 'Felix Schröder', 'm', 'de', 1),
  latin('james', 'James Whitfield', 'm', 'en', 0, 'Engineering manager. Dad jokes at no extra charge.'),
  latin('sarah', "Sarah O'Connor", 'f', 'en', 0, 'Customer success, Dublin. Ask me about sourdough.'),
  latin('emily', 'Emily Carter', 'f', 'en', -5, 'Designer in Toronto. Film cameras only. 📷'),
  latin('noah', 'Noah Adeyemi', 'm', 'en', 0, 'Site reliability. If it pages, I am awake.'),
  latin('grace', 'Grace Thompson', 'f', 'en', -6),
  latin('mateo', 'Mateo García', 'm', 'es', 1, 'Ventas en Madrid. Del Atleti, qué le vamos a hacer.'),
  latin('lucia', 'Lucía Fernández', 'f', 'es', 1, 'Traductora. Valencia.'),
  latin('camila', 'Camila Rojas', 'f', 'es', -3),
  latin('diego', 'Diego Morales', 'm', 'es', -6, 'Datos, tacos y rock en español. 🌮'),
  latin('chloe', 'Chloé Martin', 'f', 'fr', 1, 'Cheffe de projet, Lyon.'),
  latin('hugo', 'Hugo Lefèvre', 'm', 'fr', 1, 'Mobile dev. Fromage > tout.'),
  latin('amelie', 'Amélie Dubois', 'f', 'fr', -5),
  latin('beatriz', 'Beatriz Almeida', 'f', 'pt', 0, 'Marketing em Lisboa. Surf quando dá. 🌊'),
  latin('thiago', 'Thiago Souza', 'm', 'pt', -3, 'QA. Corinthians. Churrasco aos domingos.'),
  latin('joana', 'Joana Ribeiro', 'f', 'pt', 0),
  latin('elif', 'Elif Yılmaz', 'f', 'tr', 3, 'İstanbul. Ön yüz geliştirici, kedi annesi. 🐈'),
  latin('mert', 'Mert Demir', 'm', 'tr', 3),
  latin('zeynep', 'Zeynep Kaya', 'f', 'tr', 3, 'Finans. Pilates, polisiye roman, filtre kahve.'),
  other('dmitri', 'Dmitri', 'Дмитрий Соколов', 'Дима', 'm', 'ru', 3, 'Базы данных и бардовская песня.'),
  other('olga', 'Olga', 'Ольга Иванова', 'Оля', 'f', 'ru', 3),
  other('ivan', 'Ivan', 'Иван Кузнецов', 'Ваня', 'm', 'ru', 4, 'Аналитик. Лыжи зимой, велосипед летом.'),
  other('omar', 'Omar', 'عمر حداد', 'عمر', 'm', 'ar', 2, 'مهندس شبكات في عمّان. ☕'),
  other('layla', 'Layla', 'ليلى منصور', 'ليلى', 'f', 'ar', 2, 'كاتبة محتوى ومترجمة.'),
  other('yusuf', 'Yusuf', 'يوسف الخطيب', 'يوسف', 'm', 'ar', 3),
  other('priya', 'Priya', 'प्रिया शर्मा', 'प्रिया', 'f', 'hi', 5.5, 'मोबाइल इंजीनियर, बेंगलुरु। चाय ज़रूरी है। 🍵'),
  other('arjun', 'Arjun', 'अर्जुन वर्मा', 'अर्जुन', 'm', 'hi', 5.5),
  other('neha', 'Neha', 'नेहा गुप्ता', 'नेहा', 'f', 'hi', 5.5, 'एचआर, दिल्ली।'),
  other('yuki', 'Yuki', '佐藤 由紀', '佐藤', 'f', 'ja', 9, '東京のプロダクトデザイナー。猫と山が好き。'),
  other('haruto', 'Haruto', '田中 陽斗', '田中', 'm', 'ja', 9),
  other('sakura', 'Sakura', '鈴木 さくら', '鈴木', 'f', 'ja', 9, '広報担当。週末はだいたい山にいます。⛰️'),
  other('wei', 'Wei', '王伟', '王伟', 'm', 'zh', 8, '后端开发，上海。'),
  other('lina', 'Lina', '李娜', '李娜', 'f', 'zh', 8, '产品运营，火锅爱好者。🍲'),
  other('jun', 'Jun', '张军', '张军', 'm', 'zh', 8),
];
