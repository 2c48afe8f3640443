/**
 * Functions with several outputs on a tape whose nodes have one: the function's node stands for all of
 * them, and behind each output a small node hands its gradient over. Walking newest first brings the
 * function's node to its turn when all gradients have arrived.
 */
import { enterScope, keep, leaveScope } from "./scope.ts";
import type { VjpContext } from "./tape.ts";
import { putOnTape } from "./tape.ts";
import type { Tensor } from "./tensor.ts";
import { empty } from "./tensor.ts";

/** A function of several outputs: from their gradients (null: none arrived) to those of its inputs. */
export interface MultiOutput {
  readonly name: string;
  readonly vjp: (
    grads: readonly (Tensor | null)[],
    context: VjpContext,
  ) => readonly (Tensor | null)[];
}

const noTensors: readonly Tensor[] = [];

/** Records that `outputs`, which have no graph yet, were made from `inputs` by one function. */
export function recordOutputs(
  { name, vjp }: MultiOutput,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  saved: readonly Tensor[],
): void {
  if (outputs.length === 1) {
    const op = { name, vjp: (dy: Tensor, context: VjpContext) => vjp([dy], context) };
    putOnTape(op, null, inputs, outputs[0], saved, noTensors);
    return;
  }
  const grads: (Tensor | null)[] = outputs.map(() => null);
  const { backend, dtype } = outputs[0];
  const all = empty(backend, [0], dtype, name);
  const whole = {
    name,
    vjp: (_: Tensor, context: VjpContext) => {
      // A backward pass that failed half-way leaves handles behind whose scope has ended.
      const arrived = grads.map((grad) => (grad === null || grad.disposed ? null : grad));
      grads.fill(null);
      for (const grad of arrived) {
        if (grad === null) continue;
        leaveScope(grad);
        enterScope(grad);
      }
      return vjp(arrived, context);
    },
  };
  putOnTape(whole, null, inputs, all, saved, noTensors);
  outputs.forEach((output, i) => {
    const part = {
      name,
      vjp: (dy: Tensor) => {
        const grad = dy.alias();
        enterScope(grad);
        grads[i] = keep(grad); // in the scope of the whole backward pass
        return [empty(backend, [0], dtype, name)];
      },
    };
    putOnTape(part, null, [all], output, noTensors, noTensors);
  });
  all.dispose(); // the outputs' nodes hold what it stood for
}
