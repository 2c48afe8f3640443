/** Holds an operation against the figures of docs/numerics.md. */
import { measure } from "./measure.ts";
import type { Column, Measurements } from "./report.ts";
import type { Subject } from "./subjects.ts";
import { titleOf } from "./subjects.ts";

/** Fast results depend on the engine, the GPU's on its compiler: a fused multiply-add may be missing. */
const slack: Record<Column, number> = { strict: 1, fast: 2, webgpu: 2 };

/** What exceeds the figures of a column in the subject's first batch, in words. */
export async function exceeding(
  subject: Subject,
  column: Column,
  { results }: Measurements,
): Promise<string[]> {
  const title = titleOf(subject);
  const bound = results[column]?.[title];
  if (bound === undefined) return [`${title}: not measured`];
  const found = await measure(subject, 1, column === "webgpu" ? "webgpu" : "cpu");
  return (["forward", "backward"] as const)
    .filter((way) => !(found[way].max <= bound[way].max * slack[column] + 0.02))
    .map((way) => `${title} ${way}: ${found[way].max} ulp, documented ${bound[way].max}`);
}
