/**
 * Words that this project once used with meanings of its own. Texts for clients, users and operators must not contain
 * them; docs/GLOSSARY.md lists the terms to use.
 */
export const avoided =
  /\b(told|tells|telling|put down|footing|beside|standing|hears?|heard|lest|anew|no more than one|whom they|to who|of who|by who|from who|is here|somebody|nobody's|theirs to|yours to|who is not|none of|what became of|at this moment|out of reach|tried again|cannot hold|turned round|takes no)\b/i;
