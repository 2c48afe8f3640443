/** Activations that run inside the operation before them: their gradients need the result alone. */
import type { NdArray } from "../backend/backend.ts";
import { ValueError } from "../errors.ts";
import type { Op } from "../op.ts";
import { defineOp } from "../op.ts";
import type { VjpContext } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { leakyReluOp, reluOp, sigmoidOp, tanhOp } from "./activation.ts";

export type FusedActivation = "relu" | "leakyRelu" | "sigmoid" | "tanh";

export interface EpilogueOptions {
  /**
   * Applied to the result before it is stored: the same numbers as the function of that name gives,
   * without a second pass and without room for what it is applied to. Default: none.
   */
  activation?: FusedActivation | null;
  /** Of "leakyRelu". Default 0.01; > 0, as the gradient is computed from the result. */
  negativeSlope?: number;
}

export interface EpilogueAttrs {
  activation: FusedActivation;
  slope: number;
}

/** Their records, as if all had a slope. */
const records = {
  relu: reluOp,
  leakyRelu: leakyReluOp,
  sigmoid: sigmoidOp,
  tanh: tanhOp,
} as Readonly<Record<FusedActivation, Op<{ slope: number }>>>;

/** What the options ask for; null for nothing. */
export function epilogueOf(op: string, options: EpilogueOptions): EpilogueAttrs | null {
  const { activation = null, negativeSlope: slope = 0.01 } = options;
  if (activation === null) return null;
  if (!Object.hasOwn(records, activation)) {
    throw new ValueError(
      `${op}: activation is ${JSON.stringify(activation)}; expected one of ${Object.keys(records).join(", ")} ` +
        "(others need what they are applied to: call them on the result)",
    );
  }
  if (!(slope > 0)) {
    throw new ValueError(
      `${op}: negativeSlope is ${slope}; expected a number > 0, or leakyRelu() of the result`,
    );
  }
  return { activation, slope };
}

/** The gradient before the activation, from the one after it: its own, which looks at y. */
function through(dy: Tensor, y: Tensor, attrs: EpilogueAttrs): Tensor {
  const context = { saved: [y], inputs: [y], needs: () => true };
  return records[attrs.activation].vjp!(dy, context, attrs)[0]!;
}

/** The gradients from that after the activation and its result; null where they take the one before it. */
type FoldedVjp<A> = (
  dy: Tensor,
  y: Tensor,
  context: VjpContext,
  attrs: A & EpilogueAttrs,
) => (Tensor | null)[] | null;

/** The record of `op` followed by an activation; of the same kind. `folded` is asked for the gradients first. */
export function withEpilogue<A>(op: Op<A>, folded?: FoldedVjp<A>): Op<A & EpilogueAttrs> {
  const saves = op.saves!;
  return defineOp<A & EpilogueAttrs>({
    ...op,
    name: `${op.name}Activated`,
    reference: (
      inputs: readonly NdArray[],
      [y]: readonly NdArray[],
      attrs: A & EpilogueAttrs,
    ): void => {
      const before = op.reference as (
        inputs: readonly NdArray[],
        outputs: readonly NdArray[],
        attrs: A,
      ) => void;
      before(inputs, [y], attrs);
      const f = records[attrs.activation].reference as (x: number, slope: number) => number;
      for (let i = 0; i < y.data.length; i++) y.data[i] = f(y.data[i], attrs.slope);
    },
    saves: [...saves, "y"],
    vjp: (dy, context, attrs) => {
      const y = context.saved[saves.length];
      return folded?.(dy, y, context, attrs) ?? op.vjp!(through(dy, y, attrs), context, attrs);
    },
  });
}
