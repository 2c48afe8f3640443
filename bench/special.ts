/** What turns cannot measure: each engine in a fresh process, as memory and first calls depend on the past. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { transformSync } from "esbuild";
import { Cannot } from "./client.ts";
import type { Client } from "./client.ts";
import type { Engine } from "./engines.ts";
import { ratiosOf } from "./ratios.ts";
import type { Cell, Result, Row, Unit } from "./row.ts";
import { cnnWork, mlpWork, toyWork } from "./rows/training.ts";
import type { TrainWork } from "./work.ts";

export interface Special {
  readonly section: string;
  /** How the table calls the engines' unit, and which engines take part. */
  readonly unit: Unit;
  readonly groups: readonly Engine["group"][];
  measure(engines: readonly Engine[]): Promise<Result[]>;
}

const one = (value: number): Cell => ({ best: value, median: value, samples: 1 });

/** Figures of every engine under several names, from a fresh process of each. */
async function inFresh(
  { section, unit, groups }: Omit<Special, "measure">,
  names: readonly string[],
  engines: readonly Engine[],
  measure: (client: Client) => Promise<(number | undefined)[]>,
): Promise<Result[]> {
  const cells = names.map((): Record<string, Cell> => ({}));
  for (const engine of engines) {
    let client: Client | undefined;
    try {
      client = engine.start();
      const values = await measure(client);
      values.forEach((value, i) => {
        if (value !== undefined) cells[i][engine.name] = one(value);
      });
    } catch (error) {
      if (!(error instanceof Cannot)) throw error;
      cells[0][engine.name] = { cannot: error.message };
    } finally {
      client?.stop();
    }
  }
  return names.map((name, i) => {
    const row: Row = { section, name, unit, work: cnnWork, groups };
    return { section, name, unit, cells: cells[i], ratios: ratiosOf(row, cells[i], engines, []) };
  });
}

const memoryOfCnn: Special = {
  section: "memory",
  unit: "MB",
  groups: ["roadless", "pytorch"],
  measure(engines) {
    const names = ["process before the model", "process, mnist cnn, 20 steps", "of it WebAssembly"];
    return inFresh(this, names, engines, async (client) => {
      await client.about();
      const before = await client.memory();
      await client.prepare(cnnWork, { warm: false, limit: 60 });
      await client.calls([20], 120);
      const after = await client.memory();
      return [before.rss, after.peakRss, after.wasm].map((bytes) => bytes && bytes / 1e6);
    });
  },
};

/** Milliseconds from the first call on: compilers warm up, memory is touched, pools start. */
const firstCalls: Special = {
  section: "first calls",
  unit: "ms",
  groups: ["roadless", "pytorch"],
  async measure(engines) {
    const works: [string, TrainWork, number[]][] = [
      ["16-32-1", toyWork, [1, 10, 100, 1000]],
      ["mlp", mlpWork, [1, 10, 100]],
      ["mnist cnn", cnnWork, [1, 10]],
    ];
    const results: Result[] = [];
    for (const [label, work, until] of works) {
      const names = until.map((calls) => `${label}, ${calls} step${calls === 1 ? "" : "s"}`);
      const found = await inFresh(this, names, engines, async (client) => {
        await client.prepare(work, { warm: false, limit: 60 });
        return (await client.calls(until, 120)).map((seconds) => seconds * 1e3);
      });
      results.push(...found);
    }
    return results;
  },
};

const bundleSize: Special = {
  section: "size",
  unit: "kB",
  groups: ["roadless"],
  async measure(engines) {
    const column = engines[0].name;
    const folder = "dist/chunks";
    const chunks = readdirSync("dist").includes("chunks")
      ? readdirSync(folder).filter((name) => name.endsWith(".js"))
      : [];
    const files = ["dist/index.js", ...chunks.map((name) => path.join(folder, name))];
    const shipped = files.map((file) => readFileSync(file, "utf8")).join("");
    const minified = transformSync(shipped, { minify: true, format: "esm" }).code;
    const figures: [string, number][] = [
      ["library, as shipped", shipped.length],
      ["gzip", gzipSync(shipped, { level: 9 }).length],
      ["minified, gzip", gzipSync(minified, { level: 9 }).length],
      ["minified, brotli", brotliCompressSync(minified).length],
    ];
    return figures.map(([name, bytes]) => ({
      section: this.section,
      name,
      unit: this.unit,
      cells: { [column]: one(bytes / 1e3) },
      ratios: [],
    }));
  },
};

export const specials: readonly Special[] = [memoryOfCnn, firstCalls, bundleSize];
