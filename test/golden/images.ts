/** Batches of the MNIST traces (golden README section 4): images in file order. */
import type { Dataset } from "../../src/index.ts";
import type { Batch, Source } from "../../src/vectors/data.ts";
import { mnist } from "./mnist.ts";

export interface ImageData {
  images: string;
  batch_size: number;
  first_image: number;
  test_images: [number, number];
  sha256: Record<string, string>;
}

const TEST_BATCH = 250;

export async function imageSource(data: ImageData): Promise<Source> {
  const { sha256, batch_size, first_image, test_images } = data;
  const [training, testing] = [await mnist("train", sha256), await mnist("t10k", sha256)];
  const [first, last] = test_images;
  const starts = Array.from(
    { length: Math.ceil((last + 1 - first) / TEST_BATCH) },
    (_, i) => first + i * TEST_BATCH,
  );
  return {
    train: (step) => images(training, first_image + step * batch_size, batch_size),
    test: starts.map(
      (start) => () => images(testing, start, Math.min(TEST_BATCH, last + 1 - start)),
    ),
  };
}

function images(dataset: Dataset, first: number, count: number): Batch {
  const [x, y] = dataset.batch(Int32Array.from({ length: count }, (_, i) => first + i));
  return { x, y };
}
