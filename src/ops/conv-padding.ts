/** What convolutions and pooling do with their inputs first: padding by name, examples without a batch. */
import { ValueError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import type { Pair } from "./conv.ts";
import { squeeze, unsqueeze } from "./movement.ts";
import { pad } from "./pad.ts";

/** "valid": no padding; "same": what keeps the extents. */
export type NamedPadding = "same" | "valid";

/** Elements before and after that keep an extent; PyTorch has an odd one after. */
export function sameAmounts(kernel: number, dilation: number): Pair {
  const total = dilation * (kernel - 1);
  const before = Math.floor(total / 2);
  return [before, total - before];
}

/** Padding along rows and columns that a name stands for; null for numbers. Where there is one more after, x has it. */
export function paddedByName(
  op: string,
  x: Tensor,
  padding: number | Pair | NamedPadding | undefined,
  kernel: Pair,
  stride: Pair,
  dilation: Pair,
): { x: Tensor; padding: Pair } | null {
  if (typeof padding !== "string") return null;
  checkNamedPadding(op, padding, stride);
  if (padding === "valid") return { x, padding: [0, 0] };
  const [rows, columns] = [0, 1].map((axis) => sameAmounts(kernel[axis], dilation[axis]));
  const more = [0, columns[1] - columns[0], 0, rows[1] - rows[0]];
  return {
    x: more.some((extent) => extent > 0) ? pad(x, kernel[0] === 1 ? more.slice(0, 2) : more) : x,
    padding: [rows[0], columns[0]],
  };
}

export function checkNamedPadding(op: string, padding: string, stride: readonly number[]): void {
  if (padding !== "same" && padding !== "valid") {
    throw new ValueError(
      `${op}: padding is ${JSON.stringify(padding)}; expected "same", "valid" or numbers`,
    );
  }
  if (padding === "same" && stride.some((step) => step !== 1)) {
    throw new ValueError(
      `${op}: padding is "same" with stride ${Math.max(...stride)}; expected stride 1, as only that keeps the extents, or padding in numbers`,
    );
  }
}

/** f(x); an x without the batch dimension gets one of extent 1, which the result loses again. */
export function withBatch(x: Tensor, rank: number, f: (x: Tensor) => Tensor): Tensor {
  return x.ndim === rank - 1 ? squeeze(f(unsqueeze(x, 0)), 0) : f(x);
}
