/**
 * Words that this project once used with meanings of its own, and British spellings. Texts for clients, users and operators must
 * not contain them; docs/GLOSSARY.md lists the terms to use.
 */
const wrongEverywhere = [
  'told|tells|telling|put down|footing|beside|lest|anew|no more than one|to who|of who|by who|from who',
  "nobody's|theirs to|yours to|what became of|at this moment|out of reach|is tried again|cannot hold|turned round|takes no",
  'says nothing|(?:behaviour|colour|favourite|honour|neighbour)\\w*',
].join('|');

/** Words that are right in some sentences, but never in the short texts of the code. */
const wrongInCode = 'standing|hears?|heard|whom they|is here|somebody|who is not|none of|tried again';

const pattern = (words) => new RegExp(`\\b(${words})\\b`, 'i');

/** The words that texts of the code must not contain. */
export const avoided = pattern(`${wrongEverywhere}|${wrongInCode}`);

/** The words that are wrong in every context, also in the documentation. */
export const avoidedEverywhere = pattern(wrongEverywhere);
