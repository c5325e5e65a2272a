/** The languages of pushes, emails and the page that ends emails. */
const pushLanguages = ['en', 'de', 'ar'] as const;
export type Language = (typeof pushLanguages)[number];

/** The language of a locale such as `de-AT`; English if there are no texts in it. */
export const languageOf = (locale: string | undefined): Language => {
  const language = locale?.split('-')[0]?.toLowerCase();
  return pushLanguages.find((each) => each === language) ?? 'en';
};
