/** The operations that `exportVectors` writes, by the file they go to. */
import type { OperationRow } from "../operation-record.ts";
import { elementwise } from "./elementwise.ts";
import { attention, clip, conv, loss, norm, pool, rnn } from "./layers.ts";
import { matmul, reduce } from "./reduce.ts";
import { shape } from "./shape.ts";

export const operationFiles: Readonly<Record<string, readonly OperationRow[]>> = {
  elementwise,
  reduce,
  matmul,
  shape,
  norm,
  conv,
  pool,
  attention,
  rnn,
  loss,
  clip,
};
