/** Kinds `map`, `zip`, `where` and `accumulate`: the records' WGSL expressions at every element. */
import type { Attrs, DType, Kernel, View } from "../../backend.ts";
import { BackendError } from "../../../errors.ts";
import { broadcastStrides, isContiguous, sameShape, stridesOf } from "../../../shape.ts";
import { wgslType } from "../pipelines.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { foursOf, placesOf } from "./places.ts";

/** The record's expression for a dtype; an error that names the record where there is none. */
export function expressionOf(kernel: Kernel, dtype: DType): string {
  const { wgsl } = kernel;
  const expression = typeof wgsl === "string" ? wgsl : wgsl?.[dtype];
  if (expression !== undefined) return expression;
  throw new BackendError(
    `webgpu: no kernel for ${kernel.name} of ${dtype} yet; use await init({ device: "cpu" }) for models with it`,
  );
}

/** The operation's parameters, by their names with that ending; int32 gets whole numbers that fit. */
export function numbersOf(
  { params = [] }: Kernel,
  attrs: Attrs,
  whole: boolean,
  ending = "",
): Record<string, number> {
  const values: Record<string, number> = {};
  for (const name of params) {
    const value = attrs[name] as number;
    values[name + ending] = whole ? Math.min(Math.max(value, -2147483648), 2147483647) : value;
  }
  return values;
}

/** The same in the type of the elements, as `parameterLines` expects them. */
function parametersOf(kernel: Kernel, attrs: Attrs, whole: boolean) {
  const values = numbersOf(kernel, attrs, whole, "_");
  return whole ? { i32: values } : { f32: values };
}

/** Names the parameters as the expression does. */
const parameterLines = ({ params = [] }: Kernel): string[] =>
  params.map((name) => `  let ${name} = p.${name}_;`);

/** Is the operand what the result overwrites? An array that is bound twice would be copied first. */
const isSame = (x: View, y: View): boolean =>
  x.buffer === y.buffer &&
  x.offset === y.offset &&
  sameShape(x.shape, y.shape) &&
  isContiguous(x.shape, x.strides);

/** Elements from which four at a time are worth a kernel of their own. */
export const MANY = 2 ** 14;

/** Are these so many elements that taking them in fours is worth it? */
const areMany = (views: readonly View[], { size }: View): boolean =>
  size >= MANY && views.every((view) => view.dtype === "float32");

/**
 * The expression at every element of y and the operands that it names, four at a time; the first may be y. False
 * where they are few, or do not lie in fours.
 */
function mapQuads(
  rt: Runtime,
  kernel: Kernel,
  expression: string,
  operands: Readonly<Record<string, View>>,
  y: View,
  attrs: Attrs,
): boolean {
  const names = Object.keys(operands);
  if (!areMany([...Object.values(operands), y], y)) return false;
  const inPlace = isSame(operands[names[0]], y);
  const read = inPlace ? names.slice(1) : names;
  const arrays = [
    ...read.map((name) => {
      const { offset, shape, strides } = operands[name];
      return { offset, strides: broadcastStrides(shape, strides, y.shape) };
    }),
    { offset: y.offset, strides: stridesOf(y.shape) },
  ];
  const fours = foursOf(y.shape, arrays);
  if (fours === null) return false;
  const bound = [...read.map((name) => `${name}_`), "y_"];
  const places = placesOf(
    fours.shape,
    Object.fromEntries(bound.map((name, k) => [name, fours.strides[k]])),
  );
  const wide = bound.filter((_, k) => fours.wide[k]);
  const array = (name: string): string => (read.includes(name) ? `${name}_` : "y_");
  const results = ["x", "y", "z", "w"].map((component) => {
    const values = names.map((name) =>
      wide.includes(array(name)) ? `${name}.${component}` : name,
    );
    return `each(${values.join(", ")})`;
  });
  rt.run({
    key: `${kernel.name} quads ${places.key}${inPlace ? " in place" : ""}`,
    reads: Object.fromEntries(read.map((name) => [`${name}_`, operands[name]])),
    writes: { y_: y },
    wide,
    u32: places.u32,
    ...parametersOf(kernel, attrs, false),
    items: y.size / 4,
    code: () => ({
      outside: `fn each(${names.map((name) => `${name}: f32`).join(", ")}) -> f32 {
${parameterLines(kernel).join("\n")}
  return f32(${expression});
}`,
      body: [
        places.code,
        ...names.map((name) => `  let ${name} = ${array(name)}[${array(name)}_i];`),
        `  y_[y__i] = vec4f(${results.join(", ")});`,
      ].join("\n"),
    }),
  });
  return true;
}

export const map: Launcher = (rt, kernel, [x], [y], attrs) => {
  const expression = expressionOf(kernel, x.dtype);
  if (mapQuads(rt, kernel, expression, { x }, y, attrs)) return;
  const inPlace = isSame(x, y);
  const places = placesOf(y.shape, {
    ...(inPlace ? {} : { x_: x.strides }),
    y_: stridesOf(y.shape),
  });
  rt.run({
    key: `${kernel.name} ${places.key}${inPlace ? " in place" : ""}`,
    reads: inPlace ? {} : { x_: x },
    writes: { y_: y },
    u32: places.u32,
    ...parametersOf(kernel, attrs, x.dtype === "int32"),
    items: y.size,
    code: () =>
      [
        places.code,
        ...parameterLines(kernel),
        `  let x = ${inPlace ? "y_[y__i]" : "x_[x__i]"};`,
        `  y_[y__i] = ${wgslType[y.dtype]}(${expression});`,
      ].join("\n"),
  });
};

export const zip: Launcher = (rt, kernel, [a, b], [y], attrs) => {
  const expression = expressionOf(kernel, a.dtype);
  if (mapQuads(rt, kernel, expression, { a, b }, y, attrs)) return;
  const inPlace = isSame(a, y);
  const places = placesOf(y.shape, {
    ...(inPlace ? {} : { a_: broadcastStrides(a.shape, a.strides, y.shape) }),
    b_: broadcastStrides(b.shape, b.strides, y.shape),
    y_: stridesOf(y.shape),
  });
  rt.run({
    key: `${kernel.name} ${places.key}${inPlace ? " in place" : ""}`,
    reads: inPlace ? { b_: b } : { a_: a, b_: b },
    writes: { y_: y },
    u32: places.u32,
    ...parametersOf(kernel, attrs, a.dtype === "int32"),
    items: y.size,
    code: () =>
      [
        places.code,
        ...parameterLines(kernel),
        `  let a = ${inPlace ? "y_[y__i]" : "a_[a__i]"};`,
        "  let b = b_[b__i];",
        `  y_[y__i] = ${wgslType[y.dtype]}(${expression});`,
      ].join("\n"),
  });
};

export const where: Launcher = (rt, _kernel, [condition, a, b], [y]) => {
  const spread = (view: View) => broadcastStrides(view.shape, view.strides, y.shape);
  const places = placesOf(y.shape, {
    c: spread(condition),
    a: spread(a),
    b: spread(b),
    y: stridesOf(y.shape),
  });
  rt.run({
    key: `where ${places.key}`,
    reads: { c: condition, a, b },
    writes: { y },
    u32: places.u32,
    items: y.size,
    code: () => `${places.code}
  if (c[c_i] != 0u) { y[y_i] = a[a_i]; } else { y[y_i] = b[b_i]; }`,
  });
};

/** a += b */
export const accumulate: Launcher = (rt, _kernel, [b], [a]) => {
  const strides = broadcastStrides(b.shape, b.strides, a.shape);
  const fours = areMany([a, b], a) ? foursOf(a.shape, [a, { offset: b.offset, strides }]) : null;
  const places = placesOf(
    fours?.shape ?? a.shape,
    fours === null ? { a: a.strides, b: strides } : { a: fours.strides[0], b: fours.strides[1] },
  );
  const wide = ["a", "b"].filter((_, k) => fours?.wide[k]);
  rt.run({
    key: `accumulate ${places.key}`,
    reads: { b },
    writes: { a },
    wide,
    u32: places.u32,
    items: fours === null ? a.size : a.size / 4,
    code: () => `${places.code}\n  a[a_i] += b[b_i];`,
  });
};
