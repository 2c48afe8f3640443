/** Images read at places of a grid: spatial transformers (M. Jaderberg et al., arXiv 1506.02025). */
import { ShapeError, ValueError } from "../errors.ts";
import { formatShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { checkDType } from "../tensor.ts";
import { add, mul, sub } from "./arithmetic.ts";
import { expand, reshape } from "./broadcast.ts";
import { cast } from "./common.ts";
import { eq, where } from "./compare.ts";
import { onesLike } from "./creation.ts";
import { gather } from "./indexing.ts";
import { abs, clamp, floor, round } from "./math.ts";
import { narrow } from "./movement.ts";
import { remainder } from "./remainder.ts";

export interface GridSampleOptions {
  /** Between the four pixels around, the nearest one, or a cubic through sixteen. Default "bilinear". */
  mode?: "bilinear" | "nearest" | "bicubic";
  /** What lies outside: 0, the outermost pixel, or the image mirrored at its border. Default "zeros". */
  paddingMode?: "zeros" | "border" | "reflection";
  /** -1 and 1 are the centres of the corner pixels, not their outer edges. Default false. */
  alignCorners?: boolean;
}

const modes = ["bilinear", "nearest", "bicubic"];
const paddingModes = ["zeros", "border", "reflection"];

/** One direction of the image: how places outside of it are brought inside. */
interface Axis {
  readonly size: number;
  readonly inside: (at: Tensor) => Tensor;
}

/**
 * The pixels of x at the places of the grid, as torch.nn.functional.grid_sample: x [n, c, h, w], grid
 * [n, oh, ow, 2] of (column, row), both from -1 to 1 across the image → [n, c, oh, ow]. Gradients reach
 * both; of the grid there are none with "nearest".
 */
export function gridSample(x: Tensor, grid: Tensor, options: GridSampleOptions = {}): Tensor {
  const { mode = "bilinear", paddingMode = "zeros", alignCorners = false } = options;
  checkInputs(x, grid, mode, paddingMode);
  const [n, c, h, w] = x.shape;
  const [, oh, ow] = grid.shape;
  const [columns, rows] = [w, h].map((size, i) => {
    const position = reshape(narrow(grid, 3, i, 1), [n, oh * ow]);
    const inside = insideOf(paddingMode, size, alignCorners);
    return { at: unnormalized(position, size, alignCorners), axis: { size, inside } };
  });
  const read = readerOf(x, columns.axis, rows.axis);
  const [tapsAcross, tapsDown] = [columns, rows].map(({ at, axis }) => tapsOf(mode, at, axis));
  let y: Tensor | null = null;
  for (const down of tapsDown) {
    for (const across of tapsAcross) {
      const value = read(across.at, down.at);
      const weight = reshape(mul(across.weight, down.weight), [n, 1, oh * ow]);
      y = y === null ? mul(value, weight) : add(y, mul(value, weight));
    }
  }
  return reshape(y!, [n, c, oh, ow]);
}

function checkInputs(x: Tensor, grid: Tensor, mode: string, paddingMode: string): void {
  const op = "gridSample";
  checkDType(op, x, ["float32", "float64"]);
  checkDType(op, grid, [x.dtype]);
  const fits = x.ndim === 4 && grid.ndim === 4 && grid.shape[0] === x.shape[0];
  if (!fits || grid.shape[3] !== 2 || x.shape[2] === 0 || x.shape[3] === 0) {
    throw new ShapeError(
      `${op}: input ${formatShape(x.shape)} and grid ${formatShape(grid.shape)}; expected [n, c, h, w] with at least one row and column, and [n, oh, ow, 2]`,
    );
  }
  const check = (name: string, given: string, known: readonly string[]): void => {
    if (known.includes(given)) return;
    const list = known.map((each) => `"${each}"`).join(", ");
    throw new ValueError(`${op}: ${name} is ${JSON.stringify(given)}; expected one of ${list}`);
  };
  check("mode", mode, modes);
  check("paddingMode", paddingMode, paddingModes);
}

/** From -1 … 1 to pixels. */
function unnormalized(position: Tensor, size: number, alignCorners: boolean): Tensor {
  const fromEdge = add(position, 1);
  if (alignCorners) return mul(fromEdge, (size - 1) / 2);
  return sub(mul(fromEdge, size / 2), 0.5);
}

/** "zeros" leaves places where they are; `readerOf` gives 0 there. */
function insideOf(paddingMode: string, size: number, alignCorners: boolean): Axis["inside"] {
  if (paddingMode === "zeros") return (at) => at;
  const border: Axis["inside"] = (at) => clamp(at, { min: 0, max: size - 1 });
  if (paddingMode === "border") return border;
  // The image is mirrored at its corner pixels' centres, or at their outer edges.
  const low = alignCorners ? 0 : -0.5;
  const span = alignCorners ? size - 1 : size;
  if (span === 0) return (at) => mul(at, 0);
  return (at) => {
    const folded = remainder(sub(at, low), 2 * span);
    return border(sub(low + span, abs(sub(folded, span))));
  };
}

/** Weights of cubic convolution with a = -0.75: of a pixel at most 1 away, and of one from 1 to 2 away. */
const cubicNear = (x: Tensor): Tensor => add(mul(mul(sub(mul(x, 1.25), 2.25), x), x), 1);
const cubicFar = (x: Tensor): Tensor => add(mul(sub(mul(add(mul(x, -0.75), 3.75), x), 6), x), 3);

/** Pixels (whole numbers in floats) along one direction, with their weights, both [n, places]. */
function tapsOf(mode: string, at: Tensor, axis: Axis): { at: Tensor; weight: Tensor }[] {
  if (mode === "nearest") return [{ at: round(axis.inside(at)), weight: onesLike(at) }];
  if (mode === "bilinear") {
    const place = axis.inside(at);
    const first = floor(place);
    const beyond = sub(place, first);
    return [
      { at: first, weight: sub(1, beyond) },
      { at: add(first, 1), weight: beyond },
    ];
  }
  const second = floor(at);
  const t = sub(at, second);
  const rest = sub(1, t);
  const weights = [cubicFar(add(t, 1)), cubicNear(t), cubicNear(rest), cubicFar(add(rest, 1))];
  return weights.map((weight, k) => ({ at: axis.inside(add(second, k - 1)), weight }));
}

/** The pixels at places [n, places]: [n, c, places]; 0 outside of the image. */
function readerOf(x: Tensor, columns: Axis, rows: Axis): (column: Tensor, row: Tensor) => Tensor {
  const [n, c, h, w] = x.shape;
  const flat = reshape(x, [n, c, h * w]);
  const limited = (at: Tensor, { size }: Axis): Tensor => clamp(at, { min: 0, max: size - 1 });
  return (column, row) => {
    const nearColumn = limited(column, columns);
    const nearRow = limited(row, rows);
    const place = add(mul(cast(nearRow, "int32"), w), cast(nearColumn, "int32"));
    const spread = (values: Tensor): Tensor =>
      expand(reshape(values, [n, 1, values.shape[1]]), [n, c, values.shape[1]]);
    const inside = mul(cast(eq(column, nearColumn), x.dtype), cast(eq(row, nearRow), x.dtype));
    return where(spread(inside), gather(flat, 2, spread(place)), 0);
  };
}
