/** Lists of stop words by ISO 639-3 code, and a function. The package has no types. */
declare module 'stopword' {
  const lists: Record<string, readonly string[] | ((words: string[], stop?: string[]) => string[])>;
  export = lists;
}
