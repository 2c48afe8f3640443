/** Runs one ONNX node test on one device and compares with ONNX's outputs. */
import path from "node:path";
import type { DeviceName, Tensor } from "../../src/index.ts";
import { scope, tensor, withDevice } from "../../src/index.ts";
import type { Constant, Graph, GraphNode, RawTensor } from "./decode.ts";
import { decodeTensor, readGraph, readTensor } from "./decode.ts";
import { looser } from "./known.ts";
import { Node, NotApplicable } from "./node.ts";
import { operators, whyMissing } from "./operators/index.ts";

export interface Verdict {
  readonly status: "pass" | "fail" | "n/a";
  /** Of a failure or of what is not applicable; else "". */
  readonly reason: string;
}

/** |found - expected| ≤ absolute + relative · |expected| */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

export const tolerance: Tolerance = { relative: 1e-5, absolute: 1e-7 };
/** What ONNX' own runner allows. */
export const onnxTolerance: Tolerance = { relative: 1e-3, absolute: 1e-7 };
const exact: Tolerance = { relative: 0, absolute: 0 };

/** Types that tensors of roadless have, or that their values fit. */
const known = new Set(["float32", "float64", "int32", "int64", "bool"]);

/** Attributes in `replaced` take the place of the model's. */
export function judge(
  folder: string,
  name: string,
  device: DeviceName,
  replaced: Readonly<Record<string, number>> = {},
): Verdict {
  try {
    const graph = readGraph(path.join(folder, name, "model.onnx"));
    checkApplicable(graph);
    const allowed = looser.some(({ pattern }) => pattern.test(name)) ? onnxTolerance : tolerance;
    const data = path.join(folder, name, "test_data_set_0");
    scope(() => withDevice(device, () => play(graph, data, allowed, replaced)));
    return { status: "pass", reason: "" };
  } catch (error) {
    const reason = (error as Error).message;
    return { status: error instanceof NotApplicable ? "n/a" : "fail", reason };
  }
}

/** Operators first: that one is missing says more than a type that it would have taken. */
function checkApplicable({ nodes, inputs, outputs }: Graph): void {
  for (const { op } of nodes) if (!(op in operators)) throw new NotApplicable(whyMissing(op));
  for (const { type } of [...inputs, ...outputs]) {
    if (type === "sequence" || type === "optional")
      throw new NotApplicable(`a value of type ${type}`);
    if (!known.has(type)) throw new NotApplicable(`no dtype ${type}`);
  }
}

/** Floats become the device's; int64 has become int32 when it was decoded. */
function toTensor({ type, shape, data }: Constant): Tensor {
  const isFloat = type === "float32" || type === "float64";
  return tensor(data, { shape, dtype: isFloat ? undefined : type === "bool" ? type : "int32" });
}

function play(
  graph: Graph,
  folder: string,
  allowed: Tolerance,
  replaced: Readonly<Record<string, number>>,
): void {
  const values = new Map<string, Tensor | null>([["", null]]);
  graph.inputs.forEach(({ name }, i) => {
    values.set(name, toTensor(readTensor(path.join(folder, `input_${i}.pb`))));
  });
  for (const node of graph.nodes) runNode(node, values, replaced);
  graph.outputs.forEach(({ name }, i) => {
    const found = values.get(name);
    if (!found) throw new Error(`output ${name} has not been computed`);
    compare(name, found, readTensor(path.join(folder, `output_${i}.pb`)), allowed);
  });
}

function runNode(
  node: GraphNode,
  values: Map<string, Tensor | null>,
  replaced: Readonly<Record<string, number>>,
): void {
  const inputs = node.inputs.map((name) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`${node.op}: input ${name} is not there`);
    return value;
  });
  const attributes = new Map<string, unknown>();
  for (const { name, value } of node.attributes) {
    const isTensor = value !== null && typeof value === "object" && "data_type" in value;
    attributes.set(name, isTensor ? toTensor(decodeTensor(value as RawTensor)) : value);
  }
  for (const [name, value] of Object.entries(replaced)) attributes.set(name, value);
  const result = operators[node.op](new Node(node.op, inputs, node.outputs.length, attributes));
  const outputs = Array.isArray(result) ? result : [result];
  node.outputs.forEach((name, i) => {
    if (name !== "") values.set(name, outputs[i] ?? null);
  });
}

function compare(
  name: string,
  found: Tensor,
  { type, shape, data }: Constant,
  allowed: Tolerance,
): void {
  const dtypes = type.startsWith("float") ? ["float32", "float64"] : [type.replace("64", "32")];
  if (!dtypes.includes(found.dtype)) {
    throw new Error(`${name} has dtype ${found.dtype}; expected ${type}`);
  }
  if (String(found.shape) !== String(shape)) {
    throw new Error(`${name} has the shape [${String(found.shape)}]; expected [${String(shape)}]`);
  }
  const { relative, absolute } = type.startsWith("float") ? allowed : exact;
  found.dataSync().forEach((value, i) => {
    const expected = data[i];
    if (Object.is(value, expected) || value === expected) return;
    const bound = Number.isFinite(expected) ? absolute + relative * Math.abs(expected) : 0;
    if (Math.abs(value - expected) <= bound) return;
    throw new Error(`${name}[${i}] is ${value}; expected ${expected}`);
  });
}
