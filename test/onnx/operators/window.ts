/** Where the windows of convolutions and pools lie: `auto_pad`, `pads`, `strides`, `dilations`. */
import * as rl from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import type { Node } from "../node.ts";
import { NotApplicable } from "../node.ts";

/** Rows and columns; before and after each. */
export interface Windows {
  readonly kernel: [number, number];
  readonly stride: [number, number];
  readonly dilation: [number, number];
  readonly before: [number, number];
  readonly after: [number, number];
}

export type Pair = [number, number];

/** One spatial dimension becomes columns of a single row; three are more than roadless has. */
export function asImage(node: Node, x: Tensor): Tensor {
  if (x.ndim === 3) return rl.unsqueeze(x, 2);
  if (x.ndim === 4) return x;
  throw new NotApplicable(`${node.op} over ${x.ndim - 2} dimensions: roadless has one and two`);
}

/** The attributes as rows and columns; what a missing dimension has comes first. */
export function pairs(node: Node, name: string, missing: number): Pair | null {
  const list = node.numbers(name);
  return list && (list.length === 1 ? [missing, list[0]] : [list[0], list[1]]);
}

/** `kernelShape`: extents of the kernel where the attribute is absent. */
export function windowsOf(node: Node, x: Tensor, kernelShape: Pair): Windows {
  const kernel = pairs(node, "kernel_shape", 1) ?? kernelShape;
  const stride = pairs(node, "strides", 1) ?? [1, 1];
  const dilation = pairs(node, "dilations", 1) ?? [1, 1];
  const mode = node.text("auto_pad", "NOTSET");
  const [before, after] = mode.startsWith("SAME")
    ? same(x.shape.slice(2) as Pair, { kernel, stride, dilation }, mode === "SAME_UPPER")
    : explicit(node);
  return { kernel, stride, dilation, before, after };
}

/** As many windows as extent / stride, rounded up; what is odd goes to the end with SAME_UPPER. */
function same(
  extents: Pair,
  { kernel, stride, dilation }: Pick<Windows, "kernel" | "stride" | "dilation">,
  upper: boolean,
): [Pair, Pair] {
  const totals = extents.map((n, d) => {
    const covered = (Math.ceil(n / stride[d]) - 1) * stride[d] + dilation[d] * (kernel[d] - 1) + 1;
    return Math.max(0, covered - n);
  });
  const less = totals.map((total) => Math.floor(total / 2)) as Pair;
  const more = totals.map((total) => Math.ceil(total / 2)) as Pair;
  return upper ? [less, more] : [more, less];
}

/** All beginnings, then all ends. */
export function explicit(node: Node): [Pair, Pair] {
  const pads = node.numbers("pads") ?? [0, 0, 0, 0];
  const [top, left, bottom, right] = pads.length === 2 ? [0, pads[0], 0, pads[1]] : pads;
  const before: Pair = [top, left];
  return [before, [bottom, right]];
}

/** x with the border that the windows ask for. */
export function bordered(x: Tensor, { before, after }: Windows, value: number): Tensor {
  return rl.pad(x, [before[1], after[1], before[0], after[0]], { value });
}

/** Is the border the same on both sides, and (for pools) at most half of the kernel? */
export function symmetric({ before, after, kernel }: Windows, pool: boolean): boolean {
  return before.every((n, d) => n === after[d] && (!pool || n <= kernel[d] / 2));
}
