import type { SelectedField } from './selection.ts';

/** Fields that say where and when a state stands: they differ from state to state although nothing has changed. */
const MARKS: ReadonlySet<string> = new Set([
  'cursor',
  'sequence',
  'timestamp',
  'publishedAt',
  'receivedAt',
]);

/** A selection on a contract without what is no change of it; the same one where it has nothing of that. */
export function withoutMarks(fields: readonly SelectedField[]): readonly SelectedField[] {
  let isSame = true;
  const left: SelectedField[] = [];
  for (const field of fields) {
    if (MARKS.has(field.fieldName)) {
      isSame = false;
      continue;
    }
    const below = withoutMarks(field.fields);
    if (below === field.fields) {
      left.push(field);
    } else {
      isSame = false;
      left.push({ ...field, fields: below });
    }
  }
  return isSame ? fields : left;
}
