/** The styles of texts that this app offers. Statuses with another one are shown with the first. */
export const statusStyles = ['violet', 'dusk', 'forest', 'ocean', 'ember', 'night'] as const;

export type StatusStyle = (typeof statusStyles)[number];

/** The style with a name; that of a newer or another app is unknown. */
export const styleOf = (name: string | null | undefined): StatusStyle =>
  statusStyles.find((each) => each === name) ?? 'violet';

/** The size of a text, which is smaller if the text is longer. */
export const sizeOf = (text: string): 'large' | 'medium' | 'small' =>
  text.length < 60 ? 'large' : text.length < 220 ? 'medium' : 'small';
