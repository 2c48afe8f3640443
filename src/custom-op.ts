/** Operations with a gradient of the user's own. */
import { filled } from "./autograd.ts";
import { ShapeError, ValueError } from "./errors.ts";
import { recordOutputs } from "./multi-output.ts";
import { enterScope, runScoped } from "./scope.ts";
import { formatShape, sameShape } from "./shape.ts";
import type { VjpContext } from "./tape.ts";
import { isRecording, withRecording } from "./tape.ts";
import { commonBackend, isFloat, Tensor } from "./tensor.ts";

/** What `forward` of a custom operation may ask for. */
export interface ForwardContext {
  /**
   * Keeps tensors (arguments, results, or values in between) until backward, which finds them in
   * `saved` in this order. Changing one in place in the meantime makes backward an error.
   */
  save(...tensors: Tensor[]): void;
  /** Will argument i (from 0) get a gradient? If none will, `save` keeps nothing. */
  needs(i: number): boolean;
}

/** What `backward` of a custom operation may look at. */
export interface BackwardContext<Args extends readonly unknown[]> {
  /** What `forward` saved, in that order. */
  readonly saved: readonly Tensor[];
  /** The arguments of the call. Of tensors only the shape may be read: `save` those whose values count. */
  readonly args: Args;
  /** Does argument i (from 0) need a gradient? Skip the work if not. */
  needs(i: number): boolean;
}

export interface CustomOp<
  Args extends readonly unknown[],
  Result extends Tensor | readonly Tensor[],
> {
  /** Stands in error messages. */
  readonly name: string;
  /** Computes the result, one tensor or several, with ordinary operations, which are not recorded. */
  readonly forward: (context: ForwardContext, ...args: Args) => Result;
  /**
   * From the gradient of every result (zeros for one that was not used) to a gradient for every
   * argument of `forward`, in order: a tensor of the argument's shape, or null for what has none
   * (numbers, options, tensors of integers) or needs none. Written with ordinary operations, which
   * are not recorded.
   */
  readonly backward: (
    context: BackwardContext<Args>,
    ...grads: Tensor[]
  ) => readonly (Tensor | null)[];
}

/**
 * Makes an operation with its own gradient, like torch.autograd.Function and jax.custom_vjp: for
 * gradients that differ from those of the operations inside (straight-through estimators, clipping
 * or reversing gradients), are numerically better, or need less memory. The arguments of the result
 * are those of `forward` without the context; they may be of any kind. Tensors that `forward` uses
 * but does not take as arguments get no gradient.
 *
 * What `forward` returns lives in the caller's scope, what it saves until backward has run or the
 * result's graph is released, everything else it makes until it returns.
 *
 * @throws ValueError, ShapeError during backward when the gradients do not fit the arguments
 */
export function customOp<
  Args extends readonly unknown[],
  Result extends Tensor | readonly Tensor[],
>(op: CustomOp<Args, Result>): (...args: Args) => Result {
  const { name, forward } = op;
  if (typeof name !== "string" || name === "") {
    throw new ValueError(`customOp: name is ${JSON.stringify(name)}; expected some text`);
  }
  return (...args) => {
    const tensors = args.filter((arg) => arg instanceof Tensor);
    for (const x of tensors) x.checkAlive(name);
    if (tensors.length > 1) commonBackend(name, tensors);
    const wanted = args.map((arg) => isRecording() && arg instanceof Tensor && arg.requiresGrad);
    const needs = (i: number): boolean => wanted[i];
    return runScoped(name, () => {
      const saved: Tensor[] = [];
      const save = (...values: Tensor[]): void => {
        values.forEach((value, i) => checkTensor(`${name}: save() got`, i, value));
        saved.push(...values);
      };
      const made = withRecording(false, () => forward({ save, needs }, ...args));
      // New handles: what forward returns may be an argument itself, or a tensor that has a graph.
      const results = (made instanceof Tensor ? [made] : listOf(name, made)).map((y) => {
        const result = y.alias(name);
        enterScope(result);
        return result;
      });
      const floats = results.filter((y) => isFloat(y.dtype));
      if (wanted.includes(true) && floats.length > 0) {
        const vjp = (arrived: readonly (Tensor | null)[], { saved }: VjpContext) => {
          const grads = results.map((y) => arrived[floats.indexOf(y)] ?? filled(y, 0));
          return checkedGrads(name, args, op.backward({ saved, args, needs }, ...grads));
        };
        recordOutputs({ name, vjp }, tensors, floats, saved);
      }
      return (made instanceof Tensor ? results[0] : results) as Result;
    });
  };
}

function checkTensor(what: string, i: number, value: unknown): asserts value is Tensor {
  if (value instanceof Tensor) return;
  throw new ValueError(`${what} ${kindOf(value)} at position ${i}; expected a tensor`);
}

function listOf(name: string, made: unknown): readonly Tensor[] {
  if (!Array.isArray(made) || made.length === 0) {
    throw new ValueError(
      `${name}: forward returned ${kindOf(made)}; expected a tensor or an array of tensors`,
    );
  }
  made.forEach((y, i) => checkTensor(`${name}: forward returned`, i, y));
  return made as Tensor[];
}

/** The gradients of the tensors among `args`, in order. */
function checkedGrads(name: string, args: readonly unknown[], found: unknown): (Tensor | null)[] {
  if (!Array.isArray(found)) {
    throw new ValueError(
      `${name}: backward returned ${kindOf(found)}; expected an array with one gradient (or null) for each argument`,
    );
  }
  if (found.length !== args.length) {
    throw new ValueError(
      `${name}: backward returned ${found.length} gradients; expected ${args.length}, one for each argument of forward ` +
        "(null for those that have none)",
    );
  }
  const grads: (Tensor | null)[] = [];
  args.forEach((arg, i) => {
    const grad: unknown = found[i];
    if (grad === null) {
      if (arg instanceof Tensor) grads.push(null);
      return;
    }
    const what = `${name}: gradient ${i} is ${kindOf(grad)}`;
    if (!(arg instanceof Tensor)) {
      throw new ValueError(`${what}, but argument ${i} is ${kindOf(arg)}; expected null`);
    }
    if (!(grad instanceof Tensor)) throw new ValueError(`${what}; expected a tensor or null`);
    if (!sameShape(grad.shape, arg.shape)) {
      throw new ShapeError(
        `${what}; expected the shape of argument ${i}, ${formatShape(arg.shape)}`,
      );
    }
    if (arg.requiresGrad && grad.dtype !== arg.dtype) {
      throw new ValueError(
        `${what}; expected dtype ${arg.dtype}, as argument ${i} (convert with .to(dtype))`,
      );
    }
    grads.push(grad);
  });
  return grads;
}

function kindOf(value: unknown): string {
  if (value instanceof Tensor) return value.describe();
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return "an object";
  return typeof value === "function" ? "a function" : `the ${typeof value} ${String(value)}`;
}
