/** Kinds `map`, `zip`, `where` and `accumulate`: the records' WGSL expressions at every element. */
import type { Attrs, DType, Kernel, View } from "../../backend.ts";
import { BackendError } from "../../../errors.ts";
import { broadcastStrides, isContiguous, sameShape, stridesOf } from "../../../shape.ts";
import { wgslType } from "../pipelines.ts";
import type { Launcher, Runtime } from "../runtime.ts";
import { placesOf } from "./places.ts";

/** The record's expression for a dtype; an error that names the record where there is none. */
function expressionOf(kernel: Kernel, dtype: DType): string {
  const { wgsl } = kernel;
  const expression = typeof wgsl === "string" ? wgsl : wgsl?.[dtype];
  if (expression !== undefined) return expression;
  throw new BackendError(
    `webgpu: no kernel for ${kernel.name} of ${dtype} yet; use await init({ device: "cpu" }) for models with it`,
  );
}

/** The operation's parameters in the type of the elements; int32 gets whole numbers that fit. */
function parametersOf({ params = [] }: Kernel, attrs: Attrs, whole: boolean) {
  const values: Record<string, number> = {};
  for (const name of params) {
    const value = attrs[name] as number;
    values[`${name}_`] = whole ? Math.min(Math.max(value, -2147483648), 2147483647) : value;
  }
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

/** Are these as many dense elements, in whole vec4? */
const areQuads = (views: readonly View[], { shape, size }: View): boolean =>
  size >= MANY &&
  size % 4 === 0 &&
  views.every(
    (view) =>
      view.dtype === "float32" &&
      view.offset % 4 === 0 &&
      sameShape(view.shape, shape) &&
      isContiguous(view.shape, view.strides),
  );

/** The expression at every element of y and the operands that it names, which are quads; the first may be y. */
function mapQuads(
  rt: Runtime,
  kernel: Kernel,
  expression: string,
  operands: Readonly<Record<string, View>>,
  y: View,
  attrs: Attrs,
): void {
  const names = Object.keys(operands);
  const inPlace = isSame(operands[names[0]], y);
  const read = inPlace ? names.slice(1) : names;
  const array = (name: string): string => (read.includes(name) ? name : "y");
  const results = ["x", "y", "z", "w"].map(
    (component) => `each(${names.map((name) => `${name}.${component}`).join(", ")})`,
  );
  rt.run({
    key: `${kernel.name} quads${inPlace ? " in place" : ""}`,
    reads: Object.fromEntries(read.map((name) => [`${name}_`, operands[name]])),
    writes: { y_: y },
    wide: [...read.map((name) => `${name}_`), "y_"],
    ...parametersOf(kernel, attrs, false),
    items: y.size / 4,
    code: () => ({
      outside: `fn each(${names.map((name) => `${name}: f32`).join(", ")}) -> f32 {
${parameterLines(kernel).join("\n")}
  return f32(${expression});
}`,
      body: [
        ...names.map((name) => `  let ${name} = ${array(name)}_[p.${array(name)}__at + i];`),
        `  y_[p.y__at + i] = vec4f(${results.join(", ")});`,
      ].join("\n"),
    }),
  });
}

export const map: Launcher = (rt, kernel, [x], [y], attrs) => {
  const expression = expressionOf(kernel, x.dtype);
  if (areQuads([x, y], y)) {
    mapQuads(rt, kernel, expression, { x }, y, attrs);
    return;
  }
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
  if (areQuads([a, b, y], y)) {
    mapQuads(rt, kernel, expression, { a, b }, y, attrs);
    return;
  }
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
  if (areQuads([a, b], a)) {
    rt.run({
      key: "accumulate quads",
      reads: { b },
      writes: { a },
      wide: ["a", "b"],
      items: a.size / 4,
      code: () => "  a[p.a_at + i] += b[p.b_at + i];",
    });
    return;
  }
  const places = placesOf(a.shape, {
    a: a.strides,
    b: broadcastStrides(b.shape, b.strides, a.shape),
  });
  rt.run({
    key: `accumulate ${places.key}`,
    reads: { b },
    writes: { a },
    u32: places.u32,
    items: a.size,
    code: () => `${places.code}\n  a[a_i] += b[b_i];`,
  });
};
