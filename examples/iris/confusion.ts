/** Lines of a table: a row per actual class, a column per class found. */
export function formatConfusion(
  classes: readonly string[],
  counts: readonly (readonly number[])[],
): string[] {
  const first = Math.max(...classes.map((name) => name.length), "actual".length);
  const line = (label: string, cells: readonly (string | number)[]): string =>
    label.padEnd(first) +
    cells.map((cell, i) => `  ${cell}`.padStart(classes[i].length + 2)).join("");
  return [
    line("actual", classes) + "  (found)",
    ...classes.map((name, actual) => line(name, counts[actual])),
  ];
}
