/** The operators of ONNX that roadless can express, and why it has none of the others. */
import type { Operators } from "../node.ts";
import { activation } from "./activation.ts";
import { elementwise } from "./elementwise.ts";
import { image } from "./image.ts";
import { indexing } from "./indexing.ts";
import { movement } from "./movement.ts";
import { neural } from "./neural.ts";
import { reduce } from "./reduce.ts";
import { training } from "./training.ts";

export const operators: Operators = {
  ...activation,
  ...elementwise,
  ...image,
  ...indexing,
  ...movement,
  ...neural,
  ...reduce,
  ...training,
};

const control = "control flow: in roadless it is JavaScript's";
const sequence = "sequences and optionals: in roadless they are JavaScript's arrays and null";
const quantised = "quantised inference";
const text = "strings";
const random = "random: the draws of NumPy's generator";
const operator = "operator not in roadless";

const reasons: Readonly<Record<string, string>> = {
  Bernoulli: random,
  RandomUniformLike: random,
  BitShift: "unsigned integers",
  If: control,
  Loop: control,
  Scan: control,
  OptionalGetElement: sequence,
  OptionalHasElement: sequence,
  SequenceEmpty: sequence,
  SequenceInsert: sequence,
  SequenceLength: sequence,
  SequenceMap: sequence,
  ConvInteger: quantised,
  DequantizeLinear: quantised,
  DynamicQuantizeLinear: quantised,
  MatMulInteger: quantised,
  QLinearConv: quantised,
  QLinearMatMul: quantised,
  QuantizeLinear: quantised,
  StringNormalizer: text,
  TfIdfVectorizer: text,
};

/** Why an operator that is not in `operators` is not. */
export function whyMissing(op: string): string {
  const reason = reasons[op];
  return reason === undefined ? `${operator}: ${op}` : reason;
}
