/** Gathering and scattering by index. */
import * as rl from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import type { Node, Operators } from "../node.ts";
import { NotApplicable } from "../node.ts";

/** Negative indices count from the end of an extent of `n`. */
function counted(index: Tensor, n: number): Tensor {
  return rl.where(rl.lt(index, 0), rl.add(index, n), index);
}

/** Slices of x along an axis; the index's shape takes the place of the axis. */
function gather(node: Node): Tensor {
  const [x, index] = [node.x(), node.x(1)];
  const axis = node.number("axis", 0);
  const at = axis < 0 ? axis + x.ndim : axis;
  const flat = counted(rl.reshape(index, [index.size]), x.shape[at]);
  const shape = [...x.shape.slice(0, at), ...index.shape, ...x.shape.slice(at + 1)];
  return rl.reshape(rl.indexSelect(x, at, flat), shape);
}

function gatherElements(node: Node): Tensor {
  const axis = node.number("axis", 0);
  return rl.gather(node.x(), axis, counted(node.x(1), node.x().shape.at(axis)!));
}

/** Tuples of indices [..., k] as places in the flattened first k dimensions of `extents`. */
function places(tuples: Tensor, extents: readonly number[]): Tensor {
  const columns = rl.split(rl.reshape(tuples, [-1, tuples.shape.at(-1)!]), 1, 1);
  return columns
    .map((column, d) => counted(rl.reshape(column, [column.size]), extents[d]))
    .reduce((place, index, d) => rl.add(rl.mul(place, extents[d]), index));
}

function product(extents: readonly number[]): number {
  return extents.reduce((n, extent) => n * extent, 1);
}

function gatherND(node: Node): Tensor {
  const [x, tuples] = [node.x(), node.x(1)];
  const batch = node.number("batch_dims", 0);
  const lead = x.shape.slice(0, batch);
  const count = product(lead);
  const k = tuples.shape.at(-1)!;
  const inside = x.shape.slice(batch, batch + k);
  const rest = x.shape.slice(batch + k);
  // Every batch has its own stretch of rows.
  const own = rl.reshape(places(tuples, inside), [count, -1]);
  const first = rl.reshape(rl.mul(rl.arange(count), product(inside)), [count, 1]);
  const rows = rl.reshape(x, [count * product(inside), ...rest]);
  const taken = rl.indexSelect(rows, 0, rl.reshape(rl.add(own, first), [own.size]));
  return rl.reshape(taken, [...tuples.shape.slice(0, -1), ...rest]);
}

function scatterElements(node: Node): Tensor {
  const x = node.x();
  const axis = node.number("axis", 0);
  const index = counted(node.x(1), x.shape.at(axis)!);
  const reduction = node.text("reduction", "none");
  if (reduction === "add") return rl.scatterAdd(x, axis, index, node.x(2));
  if (reduction !== "none") throw new NotApplicable(`no scatter with reduction ${reduction}`);
  return rl.scatter(x, axis, index, node.x(2));
}

function scatterND(node: Node): Tensor {
  const [x, tuples, updates] = [node.x(), node.x(1), node.x(2)];
  const k = tuples.shape.at(-1)!;
  const extents = x.shape.slice(0, k);
  const rest = x.shape.slice(k);
  const at = places(tuples, extents);
  const rows = rl.reshape(x, [product(extents), ...rest]);
  const values = rl.reshape(updates, [at.size, ...rest]);
  const reduction = node.text("reduction", "none");
  if (reduction !== "none" && reduction !== "add") {
    throw new NotApplicable(`no scatter with reduction ${reduction}`);
  }
  if (reduction === "add") return rl.reshape(rl.indexAdd(rows, 0, at, values), x.shape);
  const index = rl.expand(rl.reshape(at, [at.size, ...rest.map(() => 1)]), values.shape);
  return rl.reshape(rl.scatter(rows, 0, index, values), x.shape);
}

/** values = [off, on]; indices out of range give a row of `off`, as do none here. */
function oneHot(node: Node): Tensor {
  const depth = node.value(1)!;
  const index = counted(node.x().to("int32"), depth);
  const [off, on] = rl.split(node.x(2), 1);
  const hot = rl.where(rl.oneHot(index, depth), on, off);
  const axis = node.number("axis", -1);
  const at = axis < 0 ? axis + hot.ndim : axis;
  const order = hot.shape.map((_, d) => d).slice(0, -1);
  order.splice(at, 0, hot.ndim - 1);
  return rl.permute(hot, order);
}

/** Without an axis from the flattened tensor; conditions may be fewer than elements. */
function compress(node: Node): Tensor {
  const axis = node.number("axis", NaN);
  const chosen = rl.nonzero(node.x(1));
  const x = Number.isNaN(axis) ? rl.flatten(node.x()) : node.x();
  return rl.indexSelect(x, Number.isNaN(axis) ? 0 : axis, rl.reshape(chosen, [chosen.size]));
}

export const indexing: Operators = {
  Compress: compress,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  NonZero: (node) => rl.transpose(rl.nonzero(node.x()), 0, 1),
  OneHot: oneHot,
  Scatter: scatterElements,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
};
