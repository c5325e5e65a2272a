/**
 * Words that were used in this project with a meaning of their own. Nothing that a client, a user or an operator reads
 * contains them; docs/GLOSSARY.md has the terms to use.
 */
export const avoided =
  /\b(told|tells|telling|put down|footing|beside|standing|hears?|heard|lest|anew|no more than one|whom they|to who|of who|by who|from who|is here|somebody|nobody's|theirs to|yours to|who is not|none of|what became of|at this moment|out of reach|tried again|cannot hold|turned round|takes no)\b/i;
