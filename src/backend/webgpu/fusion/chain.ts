/**
 * Several elements in one dispatch. What one leaves and another takes stays in a register; arrays are read where nothing
 * before has written them, and written at the end, if anybody else will read them.
 */
import type { Buffer, View } from "../../backend.ts";
import { isContiguous, stridesOf } from "../../../shape.ts";
import type { Shape, Strides } from "../../../shape.ts";
import { collapse } from "../../layout.ts";
import { MANY } from "../launch/elementwise.ts";
import { foursOf } from "../launch/places.ts";
import { wgslType } from "../pipelines.ts";
import { PARAMETER_BYTES } from "../queue.ts";
import type { Dispatch } from "../runtime.ts";
import type { Element, Operand } from "./element.ts";

/** An array of a chain. */
interface Bound {
  readonly name: string;
  /** Says where `p.NAME_at` is; other places in the same array have offsets of their own. */
  readonly view: View;
  readonly wide: boolean;
}

interface Load {
  readonly register: string;
  readonly type: string;
  readonly bound: Bound;
  readonly place: string;
}

/** What is needed to write the code of a chain. */
export class Chain {
  /** Elements of y, of every y. */
  readonly size: number;
  /** Four at a time? */
  readonly fours: boolean;
  private readonly bound = new Map<Buffer, Bound>();
  private readonly loads = new Map<string, Load>();
  private readonly functions = new Map<string, string>();
  private readonly lines: string[] = [];
  /** The arrays that some element writes, with the register that holds what is in them now. */
  private readonly written = new Map<Buffer, { view: View; register: string; needed: boolean }>();
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
    const { size } = elements[0].y;
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
    return this.bound.has(buffer) || this.written.has(buffer);
  }

  dispatch(): Dispatch {
    const { fours, u32, numbers } = this;
    const stored = this.stored();
    const loads = [...this.loads.values()];
    const reads: Record<string, View> = {};
    const writes: Record<string, View> = {};
    for (const [buffer, { name, view }] of this.bound) {
      const isStored = this.written.get(buffer)?.needed === true;
      (isStored ? writes : reads)[name] = view;
    }
    const outside = [
      ...[...this.functions].map(([text, name]) => `fn ${name}${text}`),
      // The compiler does not know that p.seal is 0, so that values pass as they would through memory: products and
      // sums of several elements are not contracted, NaN and infinities not reasoned away.
      "fn sealed(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ p.seal); }",
      "fn again(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) + p.seal); }",
      `struct Results { ${stored.map(({ register, view }) => `${register}: ${wgslType[view.dtype]}`).join(", ")} }`,
      `fn each(${loads.map(({ register, type }) => `${register}: ${type}`).join(", ")}) -> Results {`,
      ...this.lines,
      `  return Results(${stored.map(({ register }) => register).join(", ")});`,
      "}",
    ].join("\n");
    const calls = (fours ? ["x", "y", "z", "w"] : [""]).map((component, k) => {
      const values = loads.map(({ register, bound }) =>
        bound.wide ? `${register}.${component}` : register,
      );
      return `  let each${k} = each(${values.join(", ")});`;
    });
    const body = [
      ...loads.map(({ register, bound, place }) => `  let ${register} = ${bound.name}[${place}];`),
      ...calls,
      ...stored.map(({ register, view }) => {
        const { name } = this.bound.get(view.buffer)!;
        const type = wgslType[view.dtype];
        const values = calls.map((_, k) => `each${k}.${register}`).join(", ");
        return `  ${name}[p.${name}_at + i] = ${fours ? `vec4<${type}>(${values})` : values};`;
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

  private stored() {
    return [...this.written.values()].filter(({ needed }) => needed);
  }

  private add(elements: readonly Element[], needed: readonly boolean[]): boolean {
    for (const { y } of elements) {
      const before = this.written.get(y.buffer);
      if (before === undefined)
        this.written.set(y.buffer, { view: y, register: "", needed: false });
      else if (before.view.offset !== y.offset || before.view.dtype !== y.dtype) return false;
    }
    for (let k = 0; k < elements.length; k++) {
      if (!this.addOne(elements[k], `v${k}`, needed[k])) return false;
    }
    for (const { view, needed } of this.written.values()) {
      if (needed && this.bindingOf(view, this.fours) === null) return false;
      if (needed && this.fours && view.offset % 4 !== 0) return false;
    }
    return true;
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
    const call = `${name}(${args.join(", ")})`;
    this.lines.push(`  let ${register} = ${result === "f32" ? `sealed(${call})` : call};`);
    this.written.set(y.buffer, { view: y, register, needed });
    return true;
  }

  /** The register with the operand's element; null where it cannot have one. */
  private valueOf({ view, strides }: Operand, shape: Shape): string | null {
    const written = this.written.get(view.buffer);
    if (written !== undefined) {
      const same = view.offset === written.view.offset && view.dtype === written.view.dtype;
      if (!same || !isContiguous(shape, strides)) return null;

      if (written.register !== "") return written.register;
    }
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
    const key = `${bound.name} ${view.offset} ${place}`;
    let load = this.loads.get(key);
    if (load === undefined) {
      const start = this.startOf(view, bound);
      load = {
        register: `x${this.loads.size}`,
        type: wgslType[view.dtype],
        bound,
        place: `${start} + ${place}`,
      };
      this.loads.set(key, load);
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

/**
 * The place of element `i` in a strided array, as an expression. Extents and strides are constants there, as a program has
 * the same in every run, and dividing by constants is cheap.
 */
function placeIn(shape: Shape, strides: Strides): string {
  const inner = stridesOf(shape);
  const terms: string[] = [];
  for (let d = 0; d < shape.length; d++) {
    if (strides[d] === 0) continue;
    const from = inner[d] === 1 ? "i" : `i / ${inner[d]}u`;
    const along = d === 0 ? from : `${from} % ${shape[d]}u`;
    terms.push(strides[d] === 1 ? `(${along})` : `(${along}) * ${strides[d] >>> 0}u`);
  }
  return terms.length === 0 ? "0u" : terms.join(" + ");
}
