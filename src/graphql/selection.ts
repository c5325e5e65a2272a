import type { GraphQLResolveInfo, SelectionSetNode } from 'graphql';

/**
 * Whether an operation selects a field below the resolved one.
 * @param path the names of the fields from the resolved field, exclusive, to the selected one.
 */
export function isSelected({ fieldNodes, fragments }: GraphQLResolveInfo, path: readonly string[]): boolean {
  const isIn = (selectionSet: SelectionSetNode | undefined, [name, ...rest]: readonly string[]): boolean =>
    selectionSet?.selections.some((selection) => {
      if (selection.kind === 'Field') {
        return selection.name.value === name && (rest.length === 0 || isIn(selection.selectionSet, rest));
      }
      const fragment = selection.kind === 'FragmentSpread' ? fragments[selection.name.value] : selection;
      return isIn(fragment?.selectionSet, [name as string, ...rest]);
    }) ?? false;
  return fieldNodes.some(({ selectionSet }) => isIn(selectionSet, path));
}

/** Whether an operation selects only these fields of the resolved one, which is an object. */
export function selectsOnly({ fieldNodes, fragments }: GraphQLResolveInfo, names: readonly string[]): boolean {
  const isOnly = (selectionSet: SelectionSetNode | undefined): boolean =>
    selectionSet?.selections.every((selection) => {
      if (selection.kind === 'Field') return names.includes(selection.name.value);
      return isOnly((selection.kind === 'FragmentSpread' ? fragments[selection.name.value] : selection)?.selectionSet);
    }) ?? false;
  return fieldNodes.every(({ selectionSet }) => isOnly(selectionSet));
}
