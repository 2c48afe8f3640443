/** Operators that make tensors, and those that move elements. */
import * as rl from "../../../src/index.ts";
import type { SliceRange, Tensor } from "../../../src/index.ts";
import { typeName } from "../decode.ts";
import type { Node, Operators } from "../node.ts";
import { NotApplicable } from "../node.ts";

const int32 = (values: readonly number[]): Tensor =>
  rl.tensor(Int32Array.from(values), { shape: [values.length] });

function constant(node: Node): Tensor {
  const one = node.tensor("value");
  if (one) return one;
  const whole = node.numbers("value_ints");
  if (whole) return int32(whole);
  const many = node.numbers("value_floats");
  if (many) return rl.tensor(many);
  const number = node.number("value_int", NaN);
  if (!Number.isNaN(number)) return rl.tensor(number, { dtype: "int32" });
  const float = node.number("value_float", NaN);
  if (!Number.isNaN(float)) return rl.tensor(float);
  throw new NotApplicable("a constant of strings");
}

function constantOfShape(node: Node): Tensor {
  const value = node.tensor("value");
  const shape = node.values(0)!;
  return value ? rl.full(shape, value.itemSync(), { dtype: value.dtype }) : rl.zeros(shape);
}

/** Ones on one diagonal: what is above the one below it and not above it. */
function eyeLike(node: Node): Tensor {
  const k = node.number("k", 0);
  const type = typeName(node.number("dtype", 0));
  const all = type.startsWith("float") ? rl.ones(node.x().shape) : rl.onesLike(node.x());
  return rl.tril(rl.triu(all, k), k);
}

/** 0 keeps an extent (but with `allowzero`). */
function reshape(node: Node): Tensor {
  const x = node.x();
  const keeps = node.number("allowzero", 0) === 0;
  const shape = node.values(1)!.map((n, d) => (n === 0 && keeps ? x.shape[d] : n));
  return rl.reshape(x, shape);
}

function flatten(node: Node): Tensor {
  const x = node.x();
  const axis = node.number("axis", 1);
  const at = axis < 0 ? axis + x.ndim : axis;
  const rows = x.shape.slice(0, at).reduce((n, extent) => n * extent, 1);
  return rl.reshape(x, [rows, x.size / rows]);
}

function unsqueeze(node: Node): Tensor {
  const axes = node.either("axes", 1)!;
  const rank = node.x().ndim + axes.length;
  const places = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  return places.reduce((y, axis) => rl.unsqueeze(y, axis), node.x());
}

/** The shape asked for may be smaller: both broadcast. */
function expand(node: Node): Tensor {
  const x = node.x();
  const shape = node.values(1)!;
  const missing = x.ndim - shape.length;
  const wanted = [...x.shape.slice(0, Math.max(0, missing)), ...shape];
  return rl.expand(
    x,
    wanted.map((n, d) => (n === 1 ? (x.shape[d - wanted.length + x.ndim] ?? 1) : n)),
  );
}

function shape(node: Node): Tensor {
  const { shape, ndim } = node.x();
  return int32(shape.slice(node.number("start", 0), node.number("end", ndim)));
}

/** Ends below -extent mean "up to the first" where the step is negative. */
function slice(node: Node): Tensor {
  const x = node.x();
  const starts = node.either("starts", 1)!;
  const ends = node.either("ends", 2)!;
  const axes = node.either("axes", 3) ?? starts.map((_, i) => i);
  const steps = node.values(4) ?? starts.map(() => 1);
  const ranges: SliceRange[] = x.shape.map(() => []);
  axes.forEach((axis, i) => {
    ranges[axis < 0 ? axis + x.ndim : axis] = [starts[i], ends[i], steps[i]];
  });
  return rl.slice(x, ranges);
}

function split(node: Node): Tensor[] {
  const dim = node.number("axis", 0);
  const n = node.x().shape.at(dim)!;
  const sizes = node.either("split", 1) ?? Math.ceil(n / node.outputCount);
  return rl.split(node.x(), sizes, dim);
}

const padModes = { constant: "constant", reflect: "reflect", edge: "replicate" } as const;

/** All beginnings, then all ends, from the first dimension on. */
function pad(node: Node): Tensor {
  const pads = node.either("pads", 1)!;
  const rank = node.x().ndim;
  const pairs = Array.from({ length: rank }, (_, i) => {
    const d = rank - 1 - i;
    return [pads[d], pads[d + rank]];
  });
  const mode = padModes[node.text("mode", "constant") as keyof typeof padModes];
  return rl.pad(node.x(), pairs.flat(), { mode, value: node.value(2) ?? 0 });
}

function transpose(node: Node): Tensor {
  const x = node.x();
  return rl.permute(x, node.numbers("perm") ?? x.shape.map((_, d) => x.ndim - 1 - d));
}

function trilu(node: Node): Tensor {
  const k = node.value(1) ?? 0;
  return node.number("upper", 1) === 1 ? rl.triu(node.x(), k) : rl.tril(node.x(), k);
}

/** [n, c, h, w] → [n, c / b², h b, w b]; CRD (PyTorch's pixel_shuffle) has the block after the channels. */
function depthToSpace(node: Node): Tensor {
  const [n, c, h, w] = node.x().shape;
  const b = node.number("blocksize", 1);
  const rest = c / (b * b);
  const y =
    node.text("mode", "DCR") === "CRD"
      ? rl.permute(rl.reshape(node.x(), [n, rest, b, b, h, w]), [0, 1, 4, 2, 5, 3])
      : rl.permute(rl.reshape(node.x(), [n, b, b, rest, h, w]), [0, 3, 4, 1, 5, 2]);
  return rl.reshape(y, [n, rest, h * b, w * b]);
}

function spaceToDepth(node: Node): Tensor {
  const [n, c, h, w] = node.x().shape;
  const b = node.number("blocksize", 1);
  const blocks = rl.reshape(node.x(), [n, c, h / b, b, w / b, b]);
  return rl.reshape(rl.permute(blocks, [0, 3, 5, 1, 2, 4]), [n, c * b * b, h / b, w / b]);
}

function range(node: Node): Tensor {
  const [start, limit, delta] = [node.value(0)!, node.value(1)!, node.value(2)!];
  return rl.arange(start, limit, delta, { dtype: node.x().dtype });
}

/** Σ (-1)^i weights[i] cos(2π i k / n); a symmetric window ends where it began. */
function window(node: Node, weights: readonly number[]): Tensor {
  const size = node.value(0)!;
  const n = node.number("periodic", 1) === 1 ? size : size - 1;
  const angle = rl.mul(rl.arange(size).to(rl.backend().capabilities().float), (2 * Math.PI) / n);
  return weights
    .map((weight, i) => rl.mul(rl.cos(rl.mul(angle, i)), i % 2 === 0 ? weight : -weight))
    .reduce((sum, term) => rl.add(sum, term));
}

export const movement: Operators = {
  BlackmanWindow: (node) => window(node, [0.42, 0.5, 0.08]),
  Concat: (node) =>
    rl.concat(
      node.inputs.map((_, i) => node.x(i)),
      node.number("axis", 0),
    ),
  Constant: constant,
  ConstantOfShape: constantOfShape,
  DepthToSpace: depthToSpace,
  Expand: expand,
  EyeLike: eyeLike,
  Flatten: flatten,
  HammingWindow: (node) => window(node, [25 / 46, 21 / 46]),
  HannWindow: (node) => window(node, [0.5, 0.5]),
  Pad: pad,
  Range: range,
  Reshape: reshape,
  Shape: shape,
  Size: (node) => rl.tensor(node.x().size, { dtype: "int32" }),
  Slice: slice,
  SpaceToDepth: spaceToDepth,
  Split: split,
  Squeeze: (node) => rl.squeeze(node.x(), node.either("axes", 1) ?? undefined),
  Tile: (node) => rl.tile(node.x(), node.values(1)!),
  Transpose: transpose,
  Trilu: trilu,
  Unsqueeze: unsqueeze,
};
