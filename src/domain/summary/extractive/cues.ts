/**
 * Patterns of a language that indicate decisions, tasks and news. They match folded text (lower case, no accents). For
 * languages without patterns, only the structure is used: questions, answers, replies, reactions, numbers, times.
 */
interface Cues {
  decision: RegExp;
  task: RegExp;
  news: RegExp;
  /** Agreement with a previous message. */
  assent: RegExp;
  /** Days, months, times of the day. */
  time: RegExp;
}

const cuesOf: Record<string, Cues> = {
  eng: {
    decision:
      /\b(let's|lets|shall we|then (we|i|come|it's|it)|so (we|it's|on|let's)|we('ll| will|'re going to)? (take|go|move|meet|start|do|use|keep|finish|split|stay|leave)|decided|decision|agreed?|settled|confirmed|go with|going with|instead|stays?|no more|i('d| would) (suggest|propose|rather)|suggest|propose|from now on|final(ly|ised)?|approved|result)\b/,
    task: /\b(i'll|i will|i can|i'm (doing|going to|bringing|taking)|i (make|bring|take|do)|will (tell|write|do|bring|send|call|add)|please|need(s)? to|have to|has to|must|make sure|don't forget|remember|reminder|bring|send me|deadline|by (monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|noon|the)|until|ask for|booking)\b/,
    news: /\b(bad news|found it|found out|turns out|because|closed|cancelled|canceled|broken|failed?|fails|down|expired|stolen|banned|called back|just called|offer(ed)?|refused|error|works? again|important|unfortunately|problem|issue)\b/,
    assent:
      /^(yes|yep|yeah|yess+|ok|okay|fine|agreed|deal|great|perfect|sure|good|same|done|cool|love it|sounds good|noted|thanks?|thank you|me too|i'm in|exactly)\b/,
    time: /\b(mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(january|february|march|april|june|july|august|september|october|november|december)\b|\b(tomorrow|tonight|today|noon|midnight|o'clock|next (week|month)|half past)\b|\b\d{1,2} ?(am|pm|th|st|nd|rd)\b/,
  },
  deu: {
    decision:
      /\b(dann (machen|nehmen|fahren?|kommt|gehen|treffen|verschieben|bleibt)|also (fahren|machen|nehmen|gehen|bleibt)|so machen|machen wir|nehmen wir|wir (nehmen|machen|fahren|verschieben|treffen)|beschlossen|beschliessen|entschieden|abgemacht|einverstanden|vorschlag|verschoben|verlegt|findet|statt|stattdessen|lieber|lasst uns|ergebnis|genehmigt|steht fest|insgesamt|kompromiss|fallt aus|ab jetzt|kunftig)\b/,
    task: /\b(ich (kummere|mache?|bringe?|hole|ubernehme|kaufe|bestelle|prufe|rufe|frage|schicke?|fahre|reserviere|schreibe?|besorge|organisiere)|(hole|mache?|bringe|ubernehme|bestelle|kaufe|prufe|frage|besorge) ich|bitte|muss|mussen|musst|soll(en|te)?|bis (montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|morgen|zum|monatsende)|denkt dran|vergesst|nicht vergessen|schickt|gebt|bringt|meldet|brauche|gesucht|auf keinen fall|unbedingt)\b/,
    news: /\b(schlechte nachricht(en)?|wichtig|kaputt|ausgefallen|gebrochen|voll|krank|fehlt|fehlen|weil|deshalb|gefunden|hab's|lauft .*wieder|gepruft|abgesagt|gesperrt|angerufen|warnung|leider|problem)\b/,
    assent:
      /^(ja|jaa+|jo|ok|okay|gut|super|klar|passt|einverstanden|genau|danke|gern(e)?|perfekt|prima|fein|stimmt|dabei|bin dabei|von mir aus|finde? ich gut|mega|schon|sehr (gut|schon|vernunftig)|top|deal|ich auch)\b/,
    time: /\b(montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag)s?\b|\b(januar|februar|marz|april|juni|juli|august|september|oktober|november|dezember)\b|\b(morgen|heute|uhr|mittags?|abends?|nachste woche|monatsende|advent)\b|\bam \d{1,2}\./,
  },
  spa: {
    decision:
      /\b(pues (decidido|vamos|quedamos|entonces)|decidido|entonces|de acuerdo|propongo|proponer|quedamos|vamos a|nos vamos|hagamos|hacemos|se aplaza|aplaza|cambiamos|en vez de|mejor|desde ahora|a partir de|convoco|reservad[oa]|he reservado|nada de|o sea|resumen|acordamos|aprobado)\b/,
    task: /\b(yo (me|hago|la|lo|los|las|puedo|llevo|le)|me encargo|(la|lo|los|las) (hago|compro|recojo|miro|reservo|llevo|llamo|busco)|llamo|compro|pago yo|voy yo|tene(is|mos) que|tiene que|hay que|habra que|debe(is|mos)?|antes de(l)?|recordad|recuerda|llevad|traed|poned|decidme|confirmad|mandadme|no (te|os) olvid\w+|hasta (el|este|manana)|por favor|necesito|importante)\b/,
    news: /\b(lo tengo|me hice|averia|roto|falta|faltan?|cortado|huelga|perdido|porque|importante|he hablado|ha (llamado|contestado|dicho)|sube|completo|no (se )?(enciende|funciona|puedo|hay)|lesionad[oa]|cancelad[oa]|cerrad[oa]|problema|resulta que)\b/,
    assent:
      /^(si|siii*|vale|ok|perfecto|genial|hecho|de acuerdo|claro|bien|muy bien|estupendo|venga|me gusta|me encanta|apuntad[oa]s?|gracias|yo tambien|a mi tambien|me parece bien|me va bien|buena idea|buenisima idea|entendido|apoyo|exacto|voy)\b/,
    time: /\b(lunes|martes|miercoles|jueves|viernes|sabado|domingo)\b|\b(enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre)\b|\b(manana|hoy|esta (tarde|noche)|mediodia|a las \w+|la semana que viene|dia \d{1,2})\b/,
  },
};

const NUMBER = /\d+(?:[.,:]\d+)*/g;
const CLOCK = /\b\d{1,2}[:.]\d{2}\b/;
const MONEY = /[€$£¥]|\b(euros?|pounds?|dollars?|francs?|percent|prozent|por ciento)\b/;
/** Includes the question marks of Arabic, Armenian and Chinese. The Greek one is a semicolon. */
const QUESTION = /[?？؟՞]/;
const GREEK_QUESTION = /\p{Script=Greek}.*;\s*$/u;
const WORDLESS = /^[^\p{L}\p{N}]*$/u;

/** The indications that a message is important, most as numbers of matches. */
export interface Signs {
  decision: number;
  task: number;
  news: number;
  time: number;
  numbers: number;
  money: number;
  isQuestion: boolean;
  /** Agreement with a previous message, in a few words or with an emoji. */
  isAssent: boolean;
}

/** The maximum number of words of a message that only expresses agreement. */
const ASSENT_WORDS = 5;

/**
 * Determines the signs of a message.
 * @param folded the folded text.
 * @param words the number of its words.
 * @param languages the languages of the conversation.
 */
export function signsOf(text: string, folded: string, words: number, languages: ReadonlySet<string>): Signs {
  const cues = Object.entries(cuesOf)
    .filter(([language]) => languages.has(language))
    .map(([, of]) => of);
  const hits = (kind: 'decision' | 'task' | 'news' | 'time') => cues.filter((of) => of[kind].test(folded)).length;
  const isQuestion = QUESTION.test(text) || GREEK_QUESTION.test(text);
  return {
    decision: hits('decision'),
    task: hits('task'),
    news: hits('news'),
    time: Math.max(hits('time'), CLOCK.test(folded) ? 1 : 0),
    numbers: Math.min(3, [...folded.matchAll(NUMBER)].length),
    money: MONEY.test(folded) ? 1 : 0,
    isQuestion,
    isAssent:
      !isQuestion && (WORDLESS.test(text) || (words <= ASSENT_WORDS && cues.some((of) => of.assent.test(folded)))),
  };
}
