/** Maxima of windows that cover an image evenly. */
import { ShapeError } from "../errors.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType, fromData } from "../tensor.ts";
import { pairOf } from "./conv.ts";
import { indexSelect } from "./indexing.ts";
import { maxPool2d } from "./pool.ts";

/**
 * Largest element of each of oh·ow windows that cover the image evenly, [n, c, h, w] or [c, h, w] →
 * [..., oh, ow], as torch.nn.functional.adaptive_max_pool2d: window j of m reaches from ⌊j·h/m⌋ to
 * ⌈(j + 1)·h/m⌉. The gradient goes to a window's first maximum.
 *
 * @param outputSize one number for both, or [rows, columns]; null keeps the input's
 */
export function adaptiveMaxPool2d(
  x: Tensor,
  outputSize: number | null | readonly [number | null, number | null],
): Tensor {
  const op = "adaptiveMaxPool2d";
  checkDType(op, x, ["float32", "float64"]);
  const [h, w] = x.shape.slice(-2);
  if ((x.ndim !== 3 && x.ndim !== 4) || h === 0 || w === 0) {
    throw new ShapeError(
      `${op}: input ${formatShape(x.shape)}; expected [n, c, h, w] or [c, h, w] with at least one row and column`,
    );
  }
  const [rows, columns] =
    typeof outputSize === "number" || outputSize === null ? [outputSize, outputSize] : outputSize;
  const size = pairOf(op, "outputSize", [rows ?? h, columns ?? w], 1, 1);
  const tall = asWindows(x, x.ndim - 2, size[0]);
  const wide = asWindows(tall.x, x.ndim - 1, size[1]);
  return maxPool2d(wide.x, [tall.window, wide.window]);
}

/**
 * The m windows along a dimension one after another, all as long as the longest: a shorter one ends with
 * its last element again, which changes neither its maximum nor where that is first.
 */
function asWindows(x: Tensor, dim: number, m: number): { x: Tensor; window: number } {
  const n = x.shape[dim];
  if (n % m === 0) return { x, window: n / m };
  const starts = Array.from({ length: m }, (_, j) => Math.floor((j * n) / m));
  const ends = starts.map((_, j) => Math.ceil(((j + 1) * n) / m));
  const window = Math.max(...starts.map((start, j) => ends[j] - start));
  const index = Int32Array.from({ length: m * window }, (_, i) => {
    const j = Math.floor(i / window);
    return Math.min(starts[j] + (i % window), ends[j] - 1);
  });
  const table = fromData(x.backend, index, [index.length], "int32", "adaptiveMaxPool2d");
  return { x: indexSelect(x, dim, table), window };
}
