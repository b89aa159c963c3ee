/** Tables for people: columns as wide as their widest cell. */

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string | number | bigint;
  readonly align?: 'left' | 'right';
}

/** Lines without trailing spaces; the first is the titles. */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[]): string[] {
  const cells = rows.map((row) => columns.map((column) => String(column.value(row))));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...cells.map((line) => line[index].length)),
  );
  const line = (words: readonly string[]) =>
    words
      .map((word, index) =>
        columns[index].align === 'right' ? word.padStart(widths[index]) : word.padEnd(widths[index]),
      )
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...cells.map(line)];
}
