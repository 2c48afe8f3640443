/**
 * WGSL of a tiled product. A workgroup walks along k: its lanes fetch the next 16 columns of A and rows of B into registers,
 * multiply what lies in workgroup memory while those loads are under way, and then put them there.
 *
 * Both tiles lie as vec4 of four neighbours across, for each k: a lane reads `laneRows` / 4 and `laneColumns` / 4 of them for
 * a block of multiply-adds. Its quads are interleaved with those of the other lanes, which therefore read side by side.
 *
 * In halves (half-code.ts) there is room for two tiles of each: one is filled while slow lanes still read the other, so that
 * a step has one barrier and not two.
 */
import { beyondCode, exactStep, noteBeyond } from "./half-code.ts";
import type { Operand, Product } from "./product.ts";
import type { Tile } from "./tiles.ts";
import { DEPTH } from "./tiles.ts";

const activations: Readonly<Record<string, string>> = {
  relu: "f_max(value, 0.0)",
  leakyRelu: "select(value * p.slope, value, !is_nan(value) && value > 0.0)",
  sigmoid: "f_sigmoid(value)",
  tanh: "f_tanh(value)",
};

/** Rows of tiles whose columns are walked through together: what they read is still in the cache. */
const BAND = 8;

const components = ["x", "y", "z", "w"] as const;

/** The function `finish`: adds the bias, applies the activation. */
export function finishOf({
  bias,
  finish = "value",
  activation = null,
}: Pick<Product, "bias" | "finish" | "activation">): string {
  const sum = bias === undefined ? "sum" : `sum + ${bias}`;
  return `fn finish(sum: f32, batch: u32, row: u32, column: u32) -> f32 {
  let value = ${sum};
  return ${activation === null ? finish : activations[activation.activation]};
}`;
}

/** A call of it, for a column some places on. */
export const activate = (value: string, on = 0): string =>
  `finish(${value}, batch, row, column${on === 0 ? "" : ` + ${on}u`})`;

export interface Form {
  /** Are the finished sums stored? Otherwise those of a part of k. */
  readonly whole: boolean;
  /** Are four columns stored at a time? */
  readonly quads: boolean;
  /** Are tiles rounded to f16? */
  readonly halves: boolean;
}

export function tileCode(product: Product, tile: Tile, { whole, quads, halves }: Form) {
  const { rows, columns, laneRows, laneColumns, lanes } = tile;
  const a = filling("a", "row", product.a, rows, lanes, halves);
  const b = filling("b", "column", product.b, columns, lanes, halves);
  const lanesAcross = columns / laneColumns;
  const lanesDown = rows / laneRows;
  const blocks = range(laneRows).flatMap((r) =>
    range(laneColumns / 4).map((q) => ({ r, q, name: `c${r}_${q}` })),
  );
  const rowOf = (r: number): string =>
    `first_row + 4u * (lane_row + ${(r >> 2) * lanesDown}u) + ${r % 4}u`;
  const columnOf = (q: number): string => `first_column + 4u * (lane_column + ${q * lanesAcross}u)`;
  const quadOf = (name: string, width: number, q: number, lane: string, apart: number): string => {
    const at = `depth * ${width / 4}u + ${q * apart}u + ${lane}`;
    return halves ? `vec4f(tile_${name}[${sideOf(width)} + ${at}])` : `tile_${name}[${at}]`;
  };
  const sums = (indent: string): string =>
    blocks
      .map(
        ({ r, q, name }) =>
          `${indent}${name} = fma(vec4f(a${r >> 2}.${components[r % 4]}), b${q}, ${name});`,
      )
      .join("\n");
  const step = `      for (var depth = 0u; depth < ${DEPTH}u; depth++) {
${range(laneRows / 4)
  .map((q) => `        let a${q} = ${quadOf("a", rows, q, "lane_row", lanesDown)};`)
  .join("\n")}
${range(laneColumns / 4)
  .map((q) => `        let b${q} = ${quadOf("b", columns, q, "lane_column", lanesAcross)};`)
  .join("\n")}
${sums("        ")}
      }`;
  const array = (width: number): string =>
    halves ? `array<vec4h, ${2 * (width / 4) * DEPTH}>` : `array<vec4f, ${(width / 4) * DEPTH}>`;
  return {
    outside: `var<workgroup> tile_a: ${array(rows)};
var<workgroup> tile_b: ${array(columns)};
${product.outside ?? ""}
${halves ? beyondCode(product) : ""}
${whole ? finishOf(product) : ""}
${storing(product, whole, quads)}`,
    body: `  let tiles = p.rowTiles * p.columnTiles;
  let number = group % tiles;
  let batch = group / tiles % p.batches;
  let split = group / tiles / p.batches;
  let band = number / (${BAND}u * p.columnTiles);
  let within = number % (${BAND}u * p.columnTiles);
  let height = min(p.rowTiles - band * ${BAND}u, ${BAND}u);
  let first_row = (band * ${BAND}u + within % height) * ${rows}u;
  let first_column = within / height * ${columns}u;
  let lane_row = lane / ${lanesAcross}u;
  let lane_column = lane % ${lanesAcross}u;
  let begin = split * p.part;
  let end = min(begin + p.part, p.k);
${product.setup ?? ""}
${a.declare}
${b.declare}
${blocks.map(({ name }) => `  var ${name} = vec4f();`).join("\n")}
${halves ? "  var side = 0u;" : ""}
  for (var start = begin; ; start += ${DEPTH}u) {
${a.fetch}
${b.fetch}
    if (start > begin) {
${
  halves
    ? exactStep(
        range(laneRows / 4).map((q) => rowOf(4 * q)),
        range(laneColumns / 4).map(columnOf),
        sums("          "),
        step,
      )
    : step
}
    }
    if (start >= end) { break; }
    ${halves ? "side = 1u - side;" : "workgroupBarrier();"}
${a.put}
${b.put}
    workgroupBarrier();
  }
${blocks
  .map(({ r, q, name }) => `  store(split, batch, ${rowOf(r)}, ${columnOf(q)}, ${name});`)
  .join("\n")}`,
  };
}

/** Where a tile in halves begins. */
const sideOf = (width: number): string => `side * ${(width / 4) * DEPTH}u`;

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** How a tile comes into workgroup memory: what each lane declares, fetches and puts. */
interface Filling {
  readonly declare: string;
  readonly fetch: string;
  readonly put: string;
}

function filling(
  name: string,
  across: "row" | "column",
  operand: Operand,
  width: number,
  lanes: number,
  halves: boolean,
): Filling {
  const quads = width / 4;
  // What is read as vec4 along k comes in blocks of 4 × 4, to be turned over; all else as vec4 across.
  const turned = operand.wide && operand.alongK;
  const steps = turned ? DEPTH / 4 : DEPTH;
  const count = quads * steps;
  const limit = across === "row" ? "p.m" : "p.n";
  const parts = turned ? 4 : 1;
  const declare: string[] = [];
  const fetch: string[] = [];
  const put: string[] = [];
  range(Math.max(count / lanes, 1)).forEach((slot) => {
    const lane = slot === 0 ? "lane" : `(lane + ${slot * lanes}u)`;
    const quad = operand.alongK ? `${lane} / ${steps}u` : `${lane} % ${quads}u`;
    const step = operand.alongK ? `${lane} % ${steps}u` : `${lane} / ${quads}u`;
    const own = `${name}${slot}`;
    declare.push(`  let ${own}_quad = ${quad};`, `  let ${own}_depth = (${step}) * ${parts}u;`);
    const places = range(operand.wide && !turned ? 1 : 4);
    for (const j of places) {
      declare.push(`  let ${own}_${across}${j} = first_${across} + 4u * ${own}_quad + ${j}u;`);
      if (operand.place === undefined) continue;
      declare.push(`  var ${own}_place${j} = vec3u();
  {
    let ${across} = ${own}_${across}${j};
    ${own}_place${j} = ${operand.place};
  }`);
    }
    for (const j of range(parts)) declare.push(`  var ${own}_v${j} = vec4f();`);

    const reads = places.map((j) => {
      const into = operand.wide ? `${own}_v${j}` : `${own}_v0.${components[j]}`;
      return `      {
        let ${across} = ${own}_${across}${j};
        ${operand.place === undefined ? "" : `let place = ${own}_place${j};`}
        if (${across} < ${limit}) { ${into} = ${operand.value}; }
      }`;
    });
    const idle = count < lanes ? ` && lane < ${count}u` : "";
    fetch.push(
      ...range(parts).map((j) => `    ${own}_v${j} = vec4f();`),
      `    if (start + ${own}_depth < end${idle}) {
      let k = start + ${own}_depth;
      ${operand.step === undefined ? "" : `let step = ${operand.step};`}
${reads.join("\n")}
    }`,
    );
    const side = halves ? `${sideOf(width)} + ` : "";
    const into = (j: number, value: string): string =>
      `tile_${name}[${side}(${own}_depth + ${j}u) * ${quads}u + ${own}_quad] = ${halves ? `vec4h(${value})` : value};`;
    const column = (j: number): string =>
      `vec4f(${range(4)
        .map((r) => `${own}_v${r}.${components[j]}`)
        .join(", ")})`;
    const stores = turned ? range(4).map((j) => into(j, column(j))) : [into(0, `${own}_v0`)];
    if (halves) stores.push(noteBeyond(range(parts).map((j) => `${own}_v${j}`)));
    put.push(
      idle === ""
        ? `    ${stores.join("\n    ")}`
        : `    if (lane < ${count}u) { ${stores.join(" ")} }`,
    );
  });
  return { declare: declare.join("\n"), fetch: fetch.join("\n"), put: put.join("\n") };
}

/** The function `store`, which takes four sums of neighbouring columns. */
function storing({ at }: Product, whole: boolean, quads: boolean): string {
  const place = whole ? at : "((split * p.batches + batch) * p.m + row) * p.n + column";
  const value = (j: number): string => {
    const sum = `c.${components[j]}`;
    return whole ? activate(sum, j) : sum;
  };
  const one = (j: number): string => `  if (column < p.n) {
    y[p.y_at + ${place}] = ${whole ? activate(`c[${j}]`) : `c[${j}]`};
  }`;
  return `fn store(split: u32, batch: u32, row: u32, ${quads ? "column" : "first"}: u32, c: vec4f) {
${
  quads
    ? `  if (row >= p.m || column >= p.n) { return; }
  y[p.y_at + (${place}) / 4u] = vec4f(${range(4).map(value).join(", ")});`
    : `  if (row >= p.m) { return; }
  var column = first;
${range(4).map(one).join("\n  column++;\n")}`
}
}`;
}
