/** Converts the ISO strings that JSON made of these fields back to dates, in place. */
export function reviveDates<Field extends string>(row: { [key in Field]: Date | null }, ...fields: Field[]): void {
  for (const field of fields) {
    const at: Date | string | null = row[field];
    if (at !== null) row[field] = new Date(at);
  }
}
