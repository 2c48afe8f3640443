/** Reads ONNX files: the graph of a model.onnx, and the tensors in input_*.pb and output_*.pb. */
import fs from "node:fs";
import protobuf from "protobufjs";
import { NotApplicable } from "./node.ts";

/** A tensor of a file, decoded. int64 is held as int32, which it must fit. */
export interface Constant {
  readonly type: TypeName;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array;
}

export interface Attribute {
  readonly name: string;
  readonly value: number | string | readonly number[] | RawTensor | null;
}

export interface GraphNode {
  readonly op: string;
  /** Names of values; "" where an optional one is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly Attribute[];
}

export interface GraphValue {
  readonly name: string;
  /** An element type's name, or "sequence" or "optional". */
  readonly type: string;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly initializers: readonly RawTensor[];
}

/** TensorProto as it is in the file; fields that are absent are empty. */
export interface RawTensor {
  readonly dims: readonly number[];
  readonly data_type: number;
  readonly float_data: readonly number[];
  readonly int32_data: readonly number[];
  readonly int64_data: readonly number[];
  readonly double_data: readonly number[];
  readonly raw_data?: Uint8Array;
}

/** TensorProto.DataType */
const typeNames = [
  "undefined",
  "float32",
  "uint8",
  "int8",
  "uint16",
  "int16",
  "int32",
  "int64",
  "string",
  "bool",
  "float16",
  "float64",
  "uint32",
  "uint64",
  "complex64",
  "complex128",
  "bfloat16",
] as const;

export type TypeName = (typeof typeNames)[number];

export function typeName(code: number): TypeName {
  return typeNames[code] ?? "undefined";
}

interface RawType {
  tensor_type?: { elem_type: number };
  sequence_type?: object;
  optional_type?: object;
}

interface RawAttribute {
  name: string;
  type: number;
  f: number;
  i: number;
  s: Uint8Array;
  t: RawTensor;
  floats: number[];
  ints: number[];
}

interface RawModel {
  graph: {
    node: { op_type: string; input: string[]; output: string[]; attribute: RawAttribute[] }[];
    initializer: RawTensor[];
    input: { name: string; type: RawType }[];
    output: { name: string; type: RawType }[];
  };
}

const schema = protobuf.parse(fs.readFileSync(new URL("onnx.proto", import.meta.url), "utf8"), {
  keepCase: true,
}).root;

function read(file: string, message: string): unknown {
  const type = schema.lookupType(message);
  return type.toObject(type.decode(fs.readFileSync(file)), { longs: Number, arrays: true });
}

export function readGraph(file: string): Graph {
  const { graph } = read(file, "ModelProto") as RawModel;
  return {
    nodes: graph.node.map(({ op_type, input, output, attribute }) => ({
      op: op_type,
      inputs: input,
      outputs: output,
      attributes: attribute.map((raw) => ({ name: raw.name, value: attributeValue(raw) })),
    })),
    inputs: graph.input.map(({ name, type }) => ({ name, type: valueType(type) })),
    outputs: graph.output.map(({ name, type }) => ({ name, type: valueType(type) })),
    initializers: graph.initializer,
  };
}

function valueType({ tensor_type: tensor, sequence_type: sequence }: RawType): string {
  if (tensor) return typeName(tensor.elem_type);
  return sequence ? "sequence" : "optional";
}

/** AttributeProto.AttributeType; graphs and lists of strings are null: no operator here reads them. */
function attributeValue(raw: RawAttribute): Attribute["value"] {
  switch (raw.type) {
    case 1:
      return raw.f;
    case 2:
      return raw.i;
    case 3:
      return new TextDecoder().decode(raw.s);
    case 4:
      return raw.t;
    case 6:
      return raw.floats;
    case 7:
      return raw.ints;
    default:
      return null;
  }
}

export function readTensor(file: string): Constant {
  return decodeTensor(read(file, "TensorProto") as RawTensor);
}

/**
 * The elements of a tensor, which are in `raw_data` (little-endian) or in the field of their type.
 *
 * @throws NotApplicable for types that roadless has no counterpart of
 */
export function decodeTensor(raw: RawTensor): Constant {
  const type = typeName(raw.data_type);
  const bytes = raw.raw_data?.length ? Uint8Array.from(raw.raw_data).buffer : null;
  const shape = raw.dims;
  switch (type) {
    case "float32":
      return { type, shape, data: new Float32Array(bytes ?? raw.float_data) };
    case "float64":
      return { type, shape, data: new Float64Array(bytes ?? raw.double_data) };
    case "int32":
      return { type, shape, data: new Int32Array(bytes ?? raw.int32_data) };
    case "int64":
      return { type, shape, data: narrowed(bytes ? wide(bytes) : raw.int64_data) };
    case "bool":
      return { type, shape, data: new Uint8Array(bytes ?? raw.int32_data) };
    default:
      throw new NotApplicable(`no dtype ${type}`);
  }
}

const wide = (bytes: ArrayBuffer): number[] => Array.from(new BigInt64Array(bytes), Number);

function narrowed(values: readonly number[]): Int32Array {
  if (values.some((value) => Math.abs(value) >= 2 ** 31)) {
    throw new NotApplicable("int64 values beyond int32");
  }
  return Int32Array.from(values);
}
