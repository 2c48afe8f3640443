/** Runs an operation on a case's inputs, forward and backward: what is recorded, and what is compared. */
import type { DType, TypedArray } from "../index.ts";
import { backend, scope, tensor, Tensor } from "../index.ts";
import type { GoldenArray, JsonNumber, JsonNumbers } from "./format.ts";
import { toNumbers, Unsupported } from "./format.ts";
import type { GoldenAttrs, Operation, OperationInputs } from "./operations.ts";
import { operations } from "./operations.ts";
import type { Run } from "./reads.ts";
import { read } from "./reads.ts";

/** A case of ops/*.json without what comes out. */
export interface OperationSpec {
  readonly name: string;
  readonly op: string;
  readonly attrs: GoldenAttrs;
  readonly inputs: readonly GoldenArray[];
}

/** A case of ops/*.json. */
export interface OperationCase extends OperationSpec {
  readonly dtype: "float64" | "float32";
  /** True: special input. Gradients there must match unless `grads_informative`. */
  readonly edge?: unknown;
  readonly quirk?: unknown;
  readonly grads_informative?: boolean;
  readonly compare?: string;
  readonly output: GoldenArray | readonly GoldenArray[];
  readonly grad_output?: JsonNumbers | readonly (JsonNumbers | null)[];
  readonly grads?: readonly (JsonNumbers | null)[];
}

export interface OperationResult {
  readonly outputs: readonly { shape: readonly number[]; dtype: DType; data: TypedArray }[];
  /** Per input: the gradient of sum(output · grad_output), null where it was not asked for. */
  readonly grads: readonly (TypedArray | null)[];
}

/** What flows into the gradients. */
export interface Differentiation {
  /** Is there a gradient of input i? */
  differentiated(i: number): boolean;
  /** The weights of output k's elements; null: no gradient flows in there. */
  gradOutput(k: number, output: Tensor): ArrayLike<number> | null;
}

/** The operation of that name; throws Unsupported. */
export function operationOf(name: string): Operation {
  const found = Object.hasOwn(operations, name) ? operations[name] : undefined;
  if (found !== undefined) return found;
  throw new Unsupported(
    name,
    `vectors: found the operation "${name}"; expected one of golden/1: ${Object.keys(operations).join(", ")}`,
  );
}

/** Runs `apply` in a scope, on the default device and in its float type. Without `how`, forward alone. */
export function* runOperation(
  apply: Operation,
  { inputs: given, attrs }: Pick<OperationSpec, "inputs" | "attrs">,
  how?: Differentiation,
): Run<OperationResult> {
  const open = scope();
  try {
    const { float } = backend().capabilities();
    const inputs = given.map(({ shape, dtype, data }, i) => {
      const type = dtypeOf(dtype, float);
      const requiresGrad = type === float && (how?.differentiated(i) ?? false);
      const values = Float64Array.from(toNumbers(data as readonly JsonNumber[]));
      return tensor(values, { shape: [...shape], dtype: type, requiresGrad });
    }) as unknown as OperationInputs;
    inputs.byName = {};
    given.forEach(({ name }, i) => {
      if (name !== undefined) inputs.byName[name] = inputs[i];
    });
    const result = apply(inputs, attrs);
    const tensors = result instanceof Tensor ? [result] : result;
    if (how !== undefined) differentiate(tensors, how);
    const held = inputs.flatMap(({ grad }) => grad ?? []);
    const values = [...(yield* read([...tensors, ...held]))];
    const outputs = tensors.map((x) => ({ shape: x.shape, dtype: x.dtype, data: values.shift()! }));
    const grads = inputs.map((input) => {
      if (!input.requiresGrad) return null;
      return input.grad === null ? new Float64Array(input.size) : values.shift()!;
    });
    for (const grad of held) grad.dispose();
    return { outputs, grads };
  } finally {
    open.unwind();
  }
}

function differentiate(outputs: readonly Tensor[], how: Differentiation): void {
  const weighted = outputs.flatMap((output, k) => {
    const values = how.gradOutput(k, output);
    if (values === null || !output.requiresGrad) return [];
    const { shape, dtype, device } = output;
    return [[output, tensor(Float64Array.from(values), { shape, dtype, device })] as const];
  });
  weighted.forEach(([output, gradient], k) => {
    output.backward(gradient, { retainGraph: k < weighted.length - 1 });
  });
}

function dtypeOf(dtype: string, float: DType): DType {
  if (dtype === "float32" || dtype === "float64") return float;
  if (dtype === "bool") return "bool";
  if (dtype === "int64" || dtype === "int32") return "int32";
  throw new Unsupported(
    `dtype ${dtype}`,
    `vectors: found the dtype "${dtype}"; expected float64, float32, int64, int32 or bool`,
  );
}
