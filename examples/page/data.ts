/** MNIST, fetched. */
import { ArrayDataset, normalize, parseIdx } from "roadless";

async function fetchIdx(name: string) {
  const response = await fetch(`./mnist/${name}`);
  if (!response.ok) throw new Error(`${name}: the server says ${response.status}`);
  return parseIdx(new Uint8Array(await response.arrayBuffer()), name);
}

const scaling = { mean: 0.1307, std: 0.3081 };

/** Images [n, 1, 28, 28] with mean 0 and standard deviation 1 over the training set; labels [n]. */
export async function fetchMnist(part: "train" | "t10k"): Promise<ArrayDataset> {
  const [pixels, labels] = await Promise.all([
    fetchIdx(`${part}-images-idx3-ubyte`),
    fetchIdx(`${part}-labels-idx1-ubyte`),
  ]);
  const images = normalize(pixels as typeof pixels & { data: Uint8Array }, scaling);
  return new ArrayDataset({ ...images, shape: [labels.shape[0], 1, 28, 28] }, labels);
}

/** A pixel from 0 (black) to 1 as the network sees it. */
export const scalePixel = (value: number): number => (value - scaling.mean) / scaling.std;
