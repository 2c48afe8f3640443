/** Calls that compute one element of y from one element of each operand, in one form for all their kinds. */
import type { Attrs, DType, Kernel, View } from "../../backend.ts";
import { broadcastStrides, isContiguous } from "../../../shape.ts";
import type { Strides } from "../../../shape.ts";
import { expressionOf, numbersOf } from "../launch/elementwise.ts";
import { converted, filling } from "../launch/movement.ts";
import { wgslType } from "../pipelines.ts";

/** A kernel call as a program notes it. */
export interface Call {
  readonly kernel: Kernel;
  readonly inputs: readonly View[];
  readonly outputs: readonly View[];
  readonly attrs: Attrs;
}

export interface Operand {
  /** What the expression calls it. */
  readonly name: string;
  readonly view: View;
  /** The view's, broadcast to y. */
  readonly strides: Strides;
}

/** y = expression(operands, parameters), at every element. */
export interface Element {
  /** Dense, but for windows. */
  readonly y: View;
  /** A copy into a part of an array, of which something before it made the whole. */
  readonly window: boolean;
  readonly operands: readonly Operand[];
  /** Of y's type. */
  readonly expression: string;
  /** Numbers that the expression names. */
  readonly parameters: {
    readonly type: "f32" | "i32";
    readonly values: Readonly<Record<string, number>>;
  };
}

type Form = (call: Call) => Pick<Element, "expression" | "parameters"> & { names: string[] };

const none: Element["parameters"] = { type: "f32", values: {} };

/** The record's expression, whose type is that of its operands. */
const recorded =
  (names: string[]): Form =>
  ({ kernel, inputs: [{ dtype }], attrs }) => {
    const whole = dtype === "int32";
    return {
      names,
      expression: expressionOf(kernel, dtype),
      parameters: { type: whole ? "i32" : "f32", values: numbersOf(kernel, attrs, whole) },
    };
  };

const forms: Readonly<Record<string, Form>> = {
  map: recorded(["x"]),
  zip: recorded(["a", "b"]),
  where: () => ({ names: ["c", "a", "b"], expression: "select(b, a, c != 0u)", parameters: none }),
  copy: ({ inputs: [x] }) => moved(x.dtype, x.dtype),
  cast: ({ inputs: [x], outputs: [y] }) => moved(x.dtype, y.dtype),
  fill: ({ outputs: [y], attrs }) => ({
    names: [],
    expression: "value",
    parameters: {
      type: y.dtype === "float32" ? "f32" : "i32",
      values: { value: filling(attrs.value as number, y.dtype) },
    },
  }),
  // y is its own first operand.
  accumulate: () => ({ names: ["a", "b"], expression: "a + b", parameters: none }),
};

const moved = (from: DType, to: DType): ReturnType<Form> => ({
  names: ["x"],
  expression: converted("x", from, to),
  parameters: none,
});

/** The call as an element, or null: another kind, or an output that is not dense. */
export function elementOf(call: Call): Element | null {
  const { kernel, inputs, outputs } = call;
  const form = Object.hasOwn(forms, kernel.kind) ? forms[kernel.kind] : undefined;
  const y = outputs[0];
  if (form === undefined || y.size === 0) return null;
  const window = !isContiguous(y.shape, y.strides);
  if (window && kernel.kind !== "copy") return null;
  const { names, expression, parameters } = form(call);
  const views = kernel.kind === "accumulate" ? [y, ...inputs] : inputs;
  const operands = views.map((view, k) => ({
    name: names[k],
    view,
    strides: broadcastStrides(view.shape, view.strides, y.shape),
  }));
  return { y, window, operands, expression: `${wgslType[y.dtype]}(${expression})`, parameters };
}
