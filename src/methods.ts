/** Attaches the operations to Tensor as methods, so that they chain: x.matmul(w).add(b).relu(). */
import type { DType } from "./backend/backend.ts";
import type { BackwardOptions } from "./autograd.ts";
import { backward } from "./autograd.ts";
import { LifetimeError } from "./errors.ts";
import * as activation from "./ops/activation.ts";
import type { Dims, ReduceOptions } from "./ops/broadcast.ts";
import { expand, reshape, sum } from "./ops/broadcast.ts";
import type { Operand } from "./ops/common.ts";
import { cast } from "./ops/common.ts";
import * as arithmetic from "./ops/arithmetic.ts";
import * as byValue from "./ops/by-value.ts";
import * as compare from "./ops/compare.ts";
import * as math from "./ops/math.ts";
import { matmul } from "./ops/matmul.ts";
import * as hyperbolic from "./ops/hyperbolic.ts";
import * as indexing from "./ops/indexing.ts";
import * as inverse from "./ops/inverse-trig.ts";
import type { SliceRange } from "./ops/movement.ts";
import * as movement from "./ops/movement.ts";
import * as rearrange from "./ops/rearrange.ts";
import type { Extremes } from "./ops/reduce.ts";
import * as reductions from "./ops/reduce.ts";
import { fmod, remainder } from "./ops/remainder.ts";
import { scatter } from "./ops/scatter.ts";
import { logSoftmax, softmax } from "./ops/softmax.ts";
import type { SortOptions } from "./ops/sort.ts";
import * as sorting from "./ops/sort.ts";
import type { VarianceOptions } from "./ops/statistics.ts";
import * as statistics from "./ops/statistics.ts";
import type { Shape } from "./shape.ts";
import type { Node } from "./tape.ts";
import { Tensor } from "./tensor.ts";

/** The operations as methods: each is the function of the same name with the tensor in front. */
export interface TensorMethods {
  add(other: Operand): Tensor;
  sub(other: Operand): Tensor;
  mul(other: Operand): Tensor;
  div(other: Operand): Tensor;
  pow(exponent: Operand): Tensor;
  maximum(other: Tensor): Tensor;
  minimum(other: Tensor): Tensor;
  fmod(other: Operand): Tensor;
  remainder(other: Operand): Tensor;
  atan2(x: Tensor): Tensor;
  lerp(end: Tensor, weight: Operand): Tensor;
  eq(other: Operand): Tensor;
  ne(other: Operand): Tensor;
  lt(other: Operand): Tensor;
  le(other: Operand): Tensor;
  gt(other: Operand): Tensor;
  ge(other: Operand): Tensor;
  logicalAnd(other: Tensor): Tensor;
  logicalOr(other: Tensor): Tensor;
  logicalXor(other: Tensor): Tensor;
  logicalNot(): Tensor;
  isnan(): Tensor;
  isinf(): Tensor;
  isfinite(): Tensor;
  maskedFill(mask: Tensor, value: number): Tensor;
  neg(): Tensor;
  abs(): Tensor;
  sign(): Tensor;
  square(): Tensor;
  sqrt(): Tensor;
  rsqrt(): Tensor;
  reciprocal(): Tensor;
  floor(): Tensor;
  ceil(): Tensor;
  round(): Tensor;
  trunc(): Tensor;
  exp(): Tensor;
  expm1(): Tensor;
  log(): Tensor;
  log1p(): Tensor;
  log2(): Tensor;
  log10(): Tensor;
  sin(): Tensor;
  cos(): Tensor;
  tan(): Tensor;
  asin(): Tensor;
  acos(): Tensor;
  atan(): Tensor;
  sinh(): Tensor;
  cosh(): Tensor;
  asinh(): Tensor;
  acosh(): Tensor;
  atanh(): Tensor;
  erf(): Tensor;
  clamp(options: { min?: number; max?: number }): Tensor;
  relu(): Tensor;
  tanh(): Tensor;
  sigmoid(): Tensor;
  gelu(options?: { approximate?: "none" | "tanh" }): Tensor;
  silu(): Tensor;
  softmax(dim: number): Tensor;
  logSoftmax(dim: number): Tensor;
  matmul(other: Tensor): Tensor;
  sum(dim?: Dims, options?: ReduceOptions): Tensor;
  mean(dim?: Dims, options?: ReduceOptions): Tensor;
  amax(dim?: Dims, options?: ReduceOptions): Tensor;
  amin(dim?: Dims, options?: ReduceOptions): Tensor;
  max(): Tensor;
  max(dim: number, options?: ReduceOptions): Extremes;
  min(): Tensor;
  min(dim: number, options?: ReduceOptions): Extremes;
  argmax(dim?: number, options?: ReduceOptions): Tensor;
  argmin(dim?: number, options?: ReduceOptions): Tensor;
  prod(dim?: Dims, options?: ReduceOptions): Tensor;
  variance(dim?: Dims, options?: VarianceOptions): Tensor;
  std(dim?: Dims, options?: VarianceOptions): Tensor;
  logsumexp(dim?: Dims, options?: ReduceOptions): Tensor;
  norm(ord?: number, dim?: Dims, options?: ReduceOptions): Tensor;
  cumsum(dim: number): Tensor;
  sort(dim?: number, options?: SortOptions): Extremes;
  argsort(dim?: number, options?: SortOptions): Tensor;
  topk(k: number, dim?: number, options?: { largest?: boolean }): Extremes;
  indexSelect(dim: number, index: Tensor): Tensor;
  indexAdd(dim: number, index: Tensor, src: Tensor, options?: { alpha?: number }): Tensor;
  gather(dim: number, index: Tensor): Tensor;
  scatter(dim: number, index: Tensor, src: Tensor | number): Tensor;
  scatterAdd(dim: number, index: Tensor, src: Tensor): Tensor;
  maskedSelect(mask: Tensor): Tensor;
  maskedSelectAsync(mask: Tensor): Promise<Tensor>;
  nonzero(): Tensor;
  nonzeroAsync(): Promise<Tensor>;
  flip(dims: Dims): Tensor;
  roll(shifts: Dims, dims?: Dims): Tensor;
  tile(repeats: readonly number[]): Tensor;
  tril(diagonal?: number): Tensor;
  triu(diagonal?: number): Tensor;
  reshape(shape: Shape): Tensor;
  flatten(startDim?: number, endDim?: number): Tensor;
  squeeze(dim?: Dims): Tensor;
  unsqueeze(dim: number): Tensor;
  permute(dims: readonly number[]): Tensor;
  transpose(dim0: number, dim1: number): Tensor;
  expand(shape: Shape): Tensor;
  slice(ranges: readonly SliceRange[]): Tensor;
  narrow(dim: number, start: number, length: number): Tensor;
  split(sizes: number | readonly number[], dim?: number): Tensor[];
  chunk(chunks: number, dim?: number): Tensor[];
  contiguous(): Tensor;
  clone(): Tensor;
  /** The tensor in another dtype; itself if it has it already. */
  to(dtype: DType): Tensor;
  /** Adds the gradients of this tensor to the `grad` of every leaf that requires one. */
  backward(gradient?: Tensor | null, options?: BackwardOptions): void;
  /** Keeps the gradient of this tensor too, although it is not a leaf. Returns the tensor. */
  retainGrad(): Tensor;
}

declare module "./tensor.ts" {
  interface Tensor extends TensorMethods {}
}

function retainGrad(x: Tensor): Tensor {
  x.checkAlive("retainGrad");
  if (!x.requiresGrad) {
    throw new LifetimeError(
      `retainGrad: ${x.describe()} has no graph, so no gradient will reach it`,
    );
  }
  if (x.node !== null) (x.node as Node).retainFor = x;
  return x;
}

// Functions whose first argument is the tensor itself.
const methods: Record<keyof TensorMethods, (x: Tensor, ...rest: never[]) => unknown> = {
  add: arithmetic.add,
  sub: arithmetic.sub,
  mul: arithmetic.mul,
  div: arithmetic.div,
  pow: math.pow,
  maximum: arithmetic.maximum,
  minimum: arithmetic.minimum,
  fmod,
  remainder,
  atan2: inverse.atan2,
  lerp: arithmetic.lerp,
  eq: compare.eq,
  ne: compare.ne,
  lt: compare.lt,
  le: compare.le,
  gt: compare.gt,
  ge: compare.ge,
  logicalAnd: compare.logicalAnd,
  logicalOr: compare.logicalOr,
  logicalXor: compare.logicalXor,
  logicalNot: compare.logicalNot,
  isnan: compare.isnan,
  isinf: compare.isinf,
  isfinite: compare.isfinite,
  maskedFill: compare.maskedFill,
  neg: arithmetic.neg,
  abs: math.abs,
  sign: math.sign,
  square: math.square,
  sqrt: math.sqrt,
  rsqrt: math.rsqrt,
  reciprocal: math.reciprocal,
  floor: math.floor,
  ceil: math.ceil,
  round: math.round,
  trunc: math.trunc,
  exp: math.exp,
  expm1: math.expm1,
  log: math.log,
  log1p: math.log1p,
  log2: math.log2,
  log10: math.log10,
  sin: math.sin,
  cos: math.cos,
  tan: math.tan,
  asin: inverse.asin,
  acos: inverse.acos,
  atan: inverse.atan,
  sinh: hyperbolic.sinh,
  cosh: hyperbolic.cosh,
  asinh: hyperbolic.asinh,
  acosh: hyperbolic.acosh,
  atanh: hyperbolic.atanh,
  erf: math.erf,
  clamp: math.clamp,
  relu: activation.relu,
  tanh: activation.tanh,
  sigmoid: activation.sigmoid,
  gelu: activation.gelu,
  silu: activation.silu,
  softmax,
  logSoftmax,
  matmul,
  sum,
  mean: reductions.mean,
  amax: reductions.amax,
  amin: reductions.amin,
  max: reductions.max,
  min: reductions.min,
  argmax: reductions.argmax,
  argmin: reductions.argmin,
  prod: statistics.prod,
  variance: statistics.variance,
  std: statistics.std,
  logsumexp: statistics.logsumexp,
  norm: statistics.norm,
  cumsum: statistics.cumsum,
  sort: sorting.sort,
  argsort: sorting.argsort,
  topk: sorting.topk,
  indexSelect: indexing.indexSelect,
  indexAdd: indexing.indexAdd,
  gather: indexing.gather,
  scatter,
  scatterAdd: indexing.scatterAdd,
  maskedSelect: byValue.maskedSelect,
  maskedSelectAsync: byValue.maskedSelectAsync,
  nonzero: byValue.nonzero,
  nonzeroAsync: byValue.nonzeroAsync,
  flip: rearrange.flip,
  roll: rearrange.roll,
  tile: rearrange.tile,
  tril: rearrange.tril,
  triu: rearrange.triu,
  reshape,
  flatten: movement.flatten,
  squeeze: movement.squeeze,
  unsqueeze: movement.unsqueeze,
  permute: movement.permute,
  transpose: movement.transpose,
  expand,
  slice: movement.slice,
  narrow: movement.narrow,
  split: movement.split,
  chunk: rearrange.chunk,
  contiguous: movement.contiguous,
  clone: movement.clone,
  to: cast,
  backward,
  retainGrad,
};

/** Called once by index.ts. */
export function installMethods(): void {
  for (const [name, apply] of Object.entries(methods)) {
    Object.defineProperty(Tensor.prototype, name, {
      configurable: true,
      writable: true,
      value(this: Tensor, ...rest: never[]): unknown {
        return apply(this, ...rest);
      },
    });
  }
}
