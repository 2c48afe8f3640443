/** Steps of fused optimizers over one tensor, beside the same loops in C. */
import type { Row } from "../row.ts";
import type { OptimizerName } from "../work.ts";

/** With the floats that a step has to read and write per parameter, and the least size of interest. */
const optimizers: [OptimizerName, floats: number, from: number][] = [
  ["AdamWScheduleFree", 7, 1e3], // reads gradient, y, z, second moment; writes the last three
  ["SGDScheduleFree", 5, 1e3],
  ["RAdamScheduleFree", 7, 1e6], // AdamW's loop with another rate
];

const sizes = [
  [1e3, "1 k"],
  [1e4, "10 k"],
  [1e5, "100 k"],
  [1e6, "1 M"],
  [1e7, "10 M"],
] as const;

export const stepRows: readonly Row[] = optimizers.flatMap(([optimizer, floats, from]) =>
  sizes
    .filter(([parameters]) => parameters >= from)
    .map(([parameters, label]): Row => ({
      section: "fused steps",
      name: `${optimizer} ${label}`,
      work: { kind: "step", optimizer, parameters },
      unit: "M/s",
      amount: parameters,
      groups: ["roadless", "gcc", "pytorch"],
      // Smaller ones live in a cache, where the triad says nothing.
      limit: parameters >= 1e7 ? { bytes: 4 * floats * parameters } : undefined,
    })),
);
