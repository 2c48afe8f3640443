/**
 * Several elements in one dispatch. What one leaves and another takes stays in a register; arrays are read where nothing
 * before has written them, and written at the end, if anybody else will read them.
 */
import type { Buffer, View } from "../../backend.ts";
import { isContiguous } from "../../../shape.ts";
import type { Shape } from "../../../shape.ts";
import { collapse, rangeOf } from "../../layout.ts";
import { MANY } from "../launch/elementwise.ts";
import { foursOf } from "../launch/places.ts";
import { wgslType } from "../pipelines.ts";
import { PARAMETER_BYTES } from "../queue.ts";
import type { Dispatch } from "../runtime.ts";
import type { Element, Operand } from "./element.ts";
import { placeIn, windowIn } from "./place.ts";

/** An array of a chain. */
interface Bound {
  readonly name: string;
  /** Says where `p.NAME_at` is; other places in the same array have offsets of their own. */
  readonly view: View;
  readonly wide: boolean;
}

/** What a lane knows before it computes. */
interface Given {
  readonly register: string;
  readonly type: string;
  readonly code: string;
  /** Is it a vec4? */
  readonly wide: boolean;
}

/** Elements that the chain writes. */
interface Written {
  readonly view: View;
  /** Holds what is in them now; empty before they are written. */
  register: string;
  needed: boolean;
}

/** What is needed to write the code of a chain. */
export class Chain {
  /** Elements of y, of every y. */
  readonly size: number;
  /** Four at a time? */
  readonly fours: boolean;
  private readonly bound = new Map<Buffer, Bound>();
  private readonly given = new Map<string, Given>();
  private readonly functions = new Map<string, string>();
  private readonly lines: string[] = [];
  private readonly written: Written[] = [];
  private readonly u32: Record<string, number> = { seal: 0 };
  private readonly numbers: Record<"f32" | "i32", Record<string, number>> = { f32: {}, i32: {} };
  private count = 0;

  private constructor(size: number, fours: boolean) {
    this.size = size;
    this.fours = fours;
  }

  /**
   * The elements, in this order, or null where one dispatch cannot take them: one writes what another reads at other
   * places, or they have more arrays or parameters than there is room for.
   *
   * @param needed whether anybody but these elements reads what each of them writes
   */
  static of(
    elements: readonly Element[],
    needed: readonly boolean[],
    mostArrays: number,
  ): Chain | null {
    const size = elements.find(({ window }) => !window)?.y.size;
    if (size === undefined) return null;
    if (size >= MANY && size % 4 === 0) {
      const chain = new Chain(size, true);
      if (chain.add(elements, needed) && chain.fits(mostArrays)) return chain;
    }
    const chain = new Chain(size, false);
    return chain.add(elements, needed) && chain.fits(mostArrays) ? chain : null;
  }

  /** Has it nothing to do, as nobody reads what it writes? */
  get idle(): boolean {
    return this.stored().length === 0;
  }

  /** Does an element read or write there? */
  touches(buffer: Buffer): boolean {
    return this.bound.has(buffer) || this.written.some(({ view }) => view.buffer === buffer);
  }

  dispatch(): Dispatch {
    const { fours, u32, numbers } = this;
    const stored = this.stored();
    const given = [...this.given.values()];
    const reads: Record<string, View> = {};
    const writes: Record<string, View> = {};
    for (const [buffer, { name, view }] of this.bound) {
      const isStored = stored.some((each) => each.view.buffer === buffer);
      (isStored ? writes : reads)[name] = view;
    }
    const outside = [
      ...[...this.functions].map(([text, name]) => `fn ${name}${text}`),
      // The compiler does not know that p.seal is 0, so that values pass as they would through memory: products and
      // sums of several elements are not contracted, NaN, infinities and signs of zeros not reasoned away.
      "fn sealed_f32(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ p.seal); }",
      "fn sealed_i32(x: i32) -> i32 { return x ^ i32(p.seal); }",
      "fn sealed_u32(x: u32) -> u32 { return x ^ p.seal; }",
      "fn again(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) + p.seal); }",
      `struct Results { ${stored.map(({ register, view }) => `${register}: ${wgslType[view.dtype]}`).join(", ")} }`,
      `fn each(${given.map(({ register, type }) => `${register}: ${type}`).join(", ")}) -> Results {`,
      ...this.lines,
      `  return Results(${stored.map(({ register }) => register).join(", ")});`,
      "}",
    ].join("\n");
    const calls = (fours ? ["x", "y", "z", "w"] : [""]).map((component, k) => {
      const values = given.map(({ register, wide }) =>
        wide ? `${register}.${component}` : register,
      );
      return `  let each${k} = each(${values.join(", ")});`;
    });
    const body = [
      ...given.map(({ register, code }) => `  let ${register} = ${code};`),
      ...calls,
      ...stored.map(({ register, view }) => {
        const bound = this.bound.get(view.buffer)!;
        const type = wgslType[view.dtype];
        const values = calls.map((_, k) => `each${k}.${register}`).join(", ");
        const value = fours ? `vec4<${type}>(${values})` : values;
        return `  ${bound.name}[${this.startOf(view, bound)} + i] = ${value};`;
      }),
    ].join("\n");
    return {
      key: `chain ${outside}\n${body}`,
      reads,
      writes,
      wide: [...this.bound.values()].filter(({ wide }) => wide).map(({ name }) => name),
      u32,
      ...numbers,
      items: fours ? this.size / 4 : this.size,
      code: () => ({ outside, body }),
    };
  }

  private fits(mostArrays: number): boolean {
    const words = 1 + this.bound.size + Object.keys(this.u32).length + this.count;
    return this.bound.size <= mostArrays && words <= PARAMETER_BYTES / 4;
  }

  private stored(): Written[] {
    return this.written.filter(({ needed }) => needed);
  }

  private add(elements: readonly Element[], needed: readonly boolean[]): boolean {
    for (const { y, window } of elements) {
      if (window || this.writtenAt(y) !== undefined) continue;
      if (this.isWritten(y)) return false;
      this.written.push({ view: y, register: "", needed: false });
    }
    for (let k = 0; k < elements.length; k++) {
      const element = elements[k];
      const done = element.window
        ? this.addWindow(element, `v${k}`, needed[k])
        : this.addOne(element, `v${k}`, needed[k]);
      if (!done) return false;
    }
    for (const { view } of this.stored()) {
      const bound = this.bindingOf(view, this.fours);
      if (bound === null || (this.fours && view.offset % 4 !== 0)) return false;
      this.startOf(view, bound);
    }
    return true;
  }

  /** What the chain writes just there. */
  private writtenAt({ buffer, offset, dtype }: View): Written | undefined {
    return this.written.find(
      ({ view }) => view.buffer === buffer && view.offset === offset && view.dtype === dtype,
    );
  }

  /** Does the chain write some of these elements? */
  private isWritten(view: View): boolean {
    const [low, high] = rangeOf(view);
    return this.written.some(
      ({ view: { buffer, offset } }) =>
        buffer === view.buffer && offset < high && offset + this.size > low,
    );
  }

  private addOne(element: Element, register: string, needed: boolean): boolean {
    const { y, operands, expression, parameters } = element;
    const args: string[] = [];
    const types: string[] = [];
    for (const operand of operands) {
      const value = this.valueOf(operand, y.shape);
      if (value === null) return false;
      const type = wgslType[operand.view.dtype];
      args.push(type === "f32" && args.includes(value) ? `again(${value})` : value);
      types.push(`${operand.name}: ${type}`);
    }
    const { type, values } = parameters;
    for (const name in values) {
      const own = `k${this.count++}`;
      this.numbers[type][own] = values[name];
      args.push(`p.${own}`);
      types.push(`${name}: ${type}`);
    }
    const result = wgslType[y.dtype];
    const text = `(${types.join(", ")}) -> ${result} { return ${expression}; }`;
    let name = this.functions.get(text);
    if (name === undefined) this.functions.set(text, (name = `f${this.functions.size}`));
    this.lines.push(`  let ${register} = sealed_${result}(${name}(${args.join(", ")}));`);
    const written = this.writtenAt(y)!;
    written.register = register;
    written.needed = needed;
    return true;
  }

  /** A part of what is in a register already gets other values, the rest keeps its own. */
  private addWindow({ y, operands: [x] }: Element, register: string, needed: boolean): boolean {
    const [low, high] = rangeOf(y);
    const whole = this.written.find(
      ({ view: { buffer, dtype, offset } }) =>
        buffer === y.buffer && dtype === y.dtype && offset <= low && offset + this.size >= high,
    );
    if (whole === undefined || whole.register === "" || this.isWritten(x.view)) return false;
    const from = low - whole.view.offset;
    const arrays = [
      { offset: from, strides: y.strides },
      { offset: x.view.offset, strides: x.strides },
    ];
    const fours = this.fours ? foursOf(y.shape, arrays) : null;
    if (this.fours && fours?.wide[0] !== true) return false;
    const { shape, strides } = fours ?? collapse(y.shape, [y.strides, x.strides]);
    const window = windowIn(shape, strides, fours === null ? from : from / 4);
    const bound = this.bindingOf(x.view, fours?.wide[1] ?? false);
    if (window === null || bound === null) return false;
    const [inside, value] = [`${register}_inside`, `${register}_value`];
    const place = `${this.startOf(x.view, bound)} + select(0u, ${window.place}, ${inside})`;
    const type = wgslType[y.dtype];
    this.give({ register: inside, type: "bool", code: window.inside, wide: false });
    this.give({ register: value, type, code: `${bound.name}[${place}]`, wide: bound.wide });
    this.lines.push(`  let ${register} = select(${whole.register}, ${value}, ${inside});`);
    whole.register = register;
    whole.needed ||= needed;
    return true;
  }

  private give(given: Given): void {
    this.given.set(given.register, given);
  }

  /** The register with the operand's element; null where it cannot have one. */
  private valueOf({ view, strides }: Operand, shape: Shape): string | null {
    const written = this.writtenAt(view);
    if (written !== undefined && isContiguous(shape, strides)) {
      if (written.register !== "") return written.register;
    } else if (this.isWritten(view)) return null;
    let place: string;
    let wide = false;
    if (this.fours) {
      const fours = foursOf(shape, [{ offset: view.offset, strides }]);
      if (fours === null) return null;
      [wide] = fours.wide;
      place = placeIn(fours.shape, fours.strides[0]);
    } else {
      const layout = collapse(shape, [strides]);
      place = placeIn(layout.shape, layout.strides[0]);
    }
    const bound = this.bindingOf(view, wide);
    if (bound === null) return null;
    const code = `${bound.name}[${this.startOf(view, bound)} + ${place}]`;
    let load = this.given.get(code);
    if (load === undefined) {
      const register = `x${this.given.size}`;
      load = { register, type: wgslType[view.dtype], code, wide };
      this.given.set(code, load);
    }
    return load.register;
  }

  /** Where the view begins in its array. */
  private startOf(view: View, { name, view: first, wide }: Bound): string {
    if (view.offset === first.offset) return `p.${name}_at`;
    const own = `${name}_at${view.offset}`;
    this.u32[own] = wide ? view.offset / 4 : view.offset;
    return `p.${own}`;
  }

  private bindingOf(view: View, wide: boolean): Bound | null {
    const known = this.bound.get(view.buffer);
    if (known !== undefined) {
      return known.view.dtype === view.dtype && known.wide === wide ? known : null;
    }
    const made = { name: `b${this.bound.size}`, view, wide };
    this.bound.set(view.buffer, made);
    return made;
  }
}
