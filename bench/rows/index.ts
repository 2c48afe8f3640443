/** Everything that is measured in turns, in the order of the table. */
import type { Row } from "../row.ts";
import { convRows } from "./conv.ts";
import { gemmRows } from "./gemm.ts";
import { stepRows } from "./steps.ts";
import { denormalRows, growthRows, trainingRows } from "./training.ts";

export const rows: readonly Row[] = [
  ...trainingRows,
  ...gemmRows,
  ...convRows,
  ...stepRows,
  ...growthRows,
  ...denormalRows,
];
