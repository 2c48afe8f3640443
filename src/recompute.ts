/** Trading time for memory: activations that backward computes again. */
import { backwardFrom } from "./autograd.ts";
import { ValueError } from "./errors.ts";
import { recordOutputs } from "./multi-output.ts";
import type { GeneratorStates } from "./random.ts";
import { watchingGenerators, withGenerators } from "./random.ts";
import { currentScope, enterScope, runScoped } from "./scope.ts";
import { formatShape, sameShape } from "./shape.ts";
import type { VjpContext } from "./tape.ts";
import { isRecording, isTracing, tracing, withRecording } from "./tape.ts";
import { Tensor } from "./tensor.ts";

let recomputing = false;

/**
 * True while `checkpoint` runs a function for the second time, during backward. What should happen
 * once per step, like moving running statistics, must not happen then.
 */
export function isRecomputing(): boolean {
  return recomputing;
}

/**
 * fn(...inputs), without keeping what its gradient needs: backward runs `fn` again to have it (T. Chen et
 * al., "Training deep nets with sublinear memory cost", arXiv 1604.06174; torch.utils.checkpoint).
 * Memory is that of the inputs between forward and backward, and that of one such function at a time
 * during backward; time is that of one more forward pass.
 *
 * Values and gradients have the same bits as without. Only where an input is used several times in `fn` and
 * outside it too, its gradients are added in another order.
 *
 * - `fn` gives a tensor or an array of tensors, the same each time it is run. Inputs may be of any
 *   kind. Tensors that `fn` reads but does not take as inputs may be parameters and other leaves, or
 *   need no gradient; they must live until backward.
 * - Random numbers are the same both times, from the default generator and from any other that `fn` draws
 *   from; BatchNorm moves its running statistics once (see `isRecomputing`).
 * - Where nothing is recorded, as in `noGrad`, this is fn(...inputs) in a scope. Inside another checkpoint's
 *   `fn` it saves memory while that one is run again.
 *
 * @throws ValueError when `fn` gives something else, or uses a tensor that was computed outside with a
 *   gradient without taking it as an input; LifetimeError during backward when what `fn` reads was
 *   released or changed in place in the meantime, parameters included
 */
export function checkpoint<
  Inputs extends readonly unknown[],
  Result extends Tensor | readonly Tensor[],
>(fn: (...inputs: Inputs) => Result, ...inputs: Inputs): Result {
  if (!isRecording() || isTracing()) return runScoped("checkpoint", () => fn(...inputs));
  const tensors = inputs.filter((x) => x instanceof Tensor);
  return runScoped("checkpoint", () => {
    const copies = detached(inputs, tensors);
    const states: GeneratorStates = new Map();
    const traced = watchingGenerators(states, () => tracing(() => fn(...copies)));
    const made = listOf(traced.result);
    // New handles: fn may give one of its inputs.
    const results = made.map((y) => inScope(y.alias()));
    const segment: Segment = {
      run: (again) => listOf(fn(...(again as unknown as Inputs))),
      inputs,
      results,
      differentiable: made.map((y) => y.requiresGrad),
      states,
    };
    const outputs = results.filter((_, i) => segment.differentiable[i]);
    if (outputs.length > 0) {
      const vjp = (grads: readonly (Tensor | null)[], { saved }: VjpContext) =>
        gradients(segment, saved, grads);
      // What fn reads besides its inputs is saved too: for its memory, and for the check of its version.
      const saved = [...tensors, ...outsiders(traced.inputs)];
      recordOutputs({ name: "checkpoint", vjp }, tensors, outputs, saved);
    }
    return (Array.isArray(traced.result) ? results : results[0]) as unknown as Result;
  });
}

/** One call of `checkpoint`, as backward needs it. */
interface Segment {
  readonly run: (inputs: readonly unknown[]) => readonly Tensor[];
  readonly inputs: readonly unknown[];
  /** What the first run gave; only shapes are read. */
  readonly results: readonly Tensor[];
  /** Which of the results have gradients. */
  readonly differentiable: readonly boolean[];
  /** The generators that the first run drew from, as they were. */
  readonly states: GeneratorStates;
}

/** Runs the function again, this time on the tape, and walks back to its inputs. */
function gradients(
  segment: Segment,
  saved: readonly Tensor[],
  grads: readonly (Tensor | null)[],
): (Tensor | null)[] {
  const { differentiable, inputs, results, run, states } = segment;
  const copies = detached(inputs, saved);
  const outer = recomputing;
  recomputing = true;
  let again: readonly Tensor[];
  try {
    // In a scope of its own: what is in between then goes with the graph, as the walk leaves it.
    again = runScoped("checkpoint", () =>
      withGenerators(states, () => withRecording(true, () => run(copies))),
    );
  } finally {
    recomputing = outer;
  }
  checkSame(results, differentiable, again);
  const outputs = again.filter((_, i) => differentiable[i]);
  const reached = outputs.filter((_, i) => grads[i] !== null);
  backwardFrom(
    reached,
    grads.filter((grad) => grad !== null),
  );
  return copies
    .filter((x) => x instanceof Tensor)
    .map((copy) => {
      const grad = copy.grad;
      copy.grad = null;
      return grad === null ? null : inScope(grad);
    });
}

/** The inputs with tensors as leaves of a graph of their own, on the memory of `from`. */
function detached<Inputs extends readonly unknown[]>(
  inputs: Inputs,
  from: readonly Tensor[],
): Inputs {
  let at = 0;
  return inputs.map((x) => {
    if (!(x instanceof Tensor)) return x;
    const copy = inScope(from[at++].alias());
    copy.requiresGrad = x.requiresGrad;
    return copy;
  }) as unknown as Inputs;
}

function inScope(x: Tensor): Tensor {
  enterScope(x);
  return x;
}

/** Those among the tensors that the function read which it neither made nor took as an input. */
function outsiders(read: ReadonlySet<Tensor>): Tensor[] {
  const inside = currentScope();
  const found = [...read].filter((x) => !x.disposed && x.scope !== inside);
  const computed = found.find((x) => x.node !== null);
  if (computed !== undefined) {
    throw new ValueError(
      `checkpoint: fn uses ${computed.describe()}, which was computed outside it and has a gradient; ` +
        "pass it as an input: checkpoint(fn, x, y)",
    );
  }
  return found;
}

function listOf(result: unknown): readonly Tensor[] {
  const list: unknown[] = Array.isArray(result) ? result : [result];
  if (list.length > 0 && list.every((y) => y instanceof Tensor)) return list;
  throw new ValueError(
    `checkpoint: fn returned ${Array.isArray(result) ? `[${list.map(String).join(", ")}]` : String(result)}; ` +
      "expected a tensor or an array of tensors",
  );
}

function checkSame(
  first: readonly Tensor[],
  differentiable: readonly boolean[],
  again: readonly Tensor[],
): void {
  const same =
    first.length === again.length &&
    first.every(
      (y, i) => sameShape(y.shape, again[i].shape) && differentiable[i] === again[i].requiresGrad,
    );
  if (same) return;
  const list = (shapes: readonly Tensor[]): string =>
    shapes.map((y) => formatShape(y.shape)).join(", ");
  throw new ValueError(
    `checkpoint: run again for backward, fn gave ${list(again)}; expected ${list(first)} with gradients as the first time; ` +
      "fn must do the same each time",
  );
}
