/** Records operations on the float64 reference: cases of golden/1's ops files. */
import type { Tensor } from "../index.ts";
import { ValueError } from "../index.ts";
import { Draw } from "./draw.ts";
import type { FloatType, GoldenArray, JsonNumbers } from "./format.ts";
import { listOf, rounded } from "./format.ts";
import type { OperationCase } from "./operation-run.ts";
import { operationOf, runOperation } from "./operation-run.ts";
import type { GoldenAttrs, Operation, OperationInputs } from "./operations.ts";
import { runNow } from "./reads.ts";

/** An input: a shape alone is filled with numbers about 0. */
export type InputSpec =
  | readonly number[]
  | {
      /** Default with `data`: one dimension. */
      readonly shape?: readonly number[];
      /** The values themselves. */
      readonly data?: readonly (number | boolean)[];
      /** Else drawn from [low, high). */
      readonly low?: number;
      readonly high?: number;
      /** Whole numbers: indices, classes. They have no gradient. */
      readonly integers?: boolean;
      /** Truth values: masks. They have no gradient. */
      readonly booleans?: boolean;
      /** False: not differentiated. */
      readonly differentiated?: boolean;
    };

export interface OperationRow {
  /** golden/1's name. */
  readonly op: string;
  /** The case is `op_label`. */
  readonly label?: string;
  readonly attrs?: Readonly<Record<string, unknown>>;
  /** In order; the names stand in the file. */
  readonly inputs: Readonly<Record<string, InputSpec>>;
  /** Special input: NaN, infinities, ties, nothing. */
  readonly edge?: boolean;
  /** Gradients there are recorded but not required. */
  readonly grads_informative?: boolean;
}

/** The case's name, but for its type. */
export function labelOf({ op, label }: OperationRow): string {
  return label === undefined ? op : `${op}_${label}`;
}

/** Records one case; `apply` is the operation of the row's name unless it is given. */
export function recordOperation(
  row: OperationRow,
  dtype: FloatType,
  seed: number,
  apply: Operation = operationOf(row.op),
): OperationCase {
  const plain = labelOf(row);
  // Both types get the same numbers.
  const draw = new Draw(seed, plain);
  const inputs = Object.entries(row.inputs).map(([name, spec]) => arrayOf(name, spec, dtype, draw));
  const attrs = (row.attrs ?? {}) as GoldenAttrs;
  const weights: (number[] | null)[] = [];
  const specs = Object.values(row.inputs);
  const { outputs, grads } = runNow(
    "reference",
    runOperation(
      apply,
      { inputs, attrs },
      {
        differentiated: (i) => {
          const spec = specs[i];
          return !("differentiated" in spec) || spec.differentiated !== false;
        },
        gradOutput: (_, output) => {
          const values = output.requiresGrad ? draw.normal(output.size) : null;
          weights.push(values);
          return values;
        },
      },
    ),
  );
  const arrays = outputs.map(({ shape, dtype: type, data }): GoldenArray => {
    if (type === "int32") return { shape, dtype: "int64", data: listOf(data) };
    if (type === "bool") return { shape, dtype: "bool", data: listOf(data) };
    return { shape, dtype, data: listOf(data, dtype) };
  });
  const differentiable = weights.some((values) => values !== null);
  const single = arrays.length === 1;
  return {
    name: `${plain}/${dtype}`,
    op: row.op,
    dtype,
    edge: row.edge,
    grads_informative: row.grads_informative,
    attrs,
    inputs,
    output: single ? arrays[0] : arrays,
    grad_output: differentiable ? (single ? weights[0]! : weights) : undefined,
    grads: grads.map((grad) => (grad === null || !differentiable ? null : listOf(grad, dtype))),
  };
}

/**
 * An operation of your own, run on the float64 reference: cases for both types, with outputs and
 * gradients, to be put into a file by `exportVectors({ operations })`.
 *
 * @param name stands for the operation in the file: whoever plays it has to know it
 * @param fn from tensors (in the order of `inputs`, and in `byName`) and attributes to a tensor or several
 * @throws ValueError when an input is not described; whatever `fn` throws
 */
export function recordVectors<A extends object = object>(
  name: string,
  fn: (inputs: OperationInputs, attrs: A) => Tensor | Tensor[],
  inputs: OperationRow["inputs"],
  options: Omit<OperationRow, "op" | "inputs" | "attrs"> & { attrs?: A; seed?: number } = {},
): OperationCase[] {
  const { seed = 0, attrs, ...rest } = options;
  const row = { ...rest, attrs: attrs as OperationRow["attrs"], op: name, inputs };
  const apply = fn as unknown as Operation;
  return (["float64", "float32"] as const).map((dtype) => recordOperation(row, dtype, seed, apply));
}

function arrayOf(name: string, given: InputSpec, dtype: FloatType, draw: Draw): GoldenArray {
  const spec = Array.isArray(given)
    ? { shape: given as readonly number[] }
    : (given as Exclude<InputSpec, readonly number[]>);
  const shape = spec.shape ?? (spec.data === undefined ? undefined : [spec.data.length]);
  const size = shape?.reduce((n, extent) => n * extent, 1);
  if (shape === undefined || (spec.data !== undefined && spec.data.length !== size)) {
    throw new ValueError(
      `vectors: input "${name}" has shape ${JSON.stringify(spec.shape)} and ${spec.data?.length ?? "no"} ` +
        "values; expected a shape, or data that fit it",
    );
  }
  const { low = -2, high = 2, integers = false, booleans = false } = spec;
  if (booleans) {
    const data = spec.data ?? draw.integers(size!, 0, 2);
    // As PyTorch's vectors have them.
    return { name, shape, dtype: "bool", data: data.map(Boolean) as unknown as JsonNumbers };
  }
  if (integers) {
    const data = (spec.data as readonly number[]) ?? draw.integers(size!, low, high);
    return { name, shape, dtype: "int64", data };
  }
  const inBounds = spec.low !== undefined || spec.high !== undefined;
  const data =
    (spec.data as readonly number[] | undefined) ??
    (inBounds ? draw.uniform(size!, low, high) : draw.normal(size!));
  return { name, shape, dtype, data: data.map((value) => rounded(value, dtype)) };
}
