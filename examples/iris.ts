/**
 * Classifies the 150 irises of Fisher (1936) by cross-validation: `npm run iris`, or with `-- --help`.
 *
 * Each of ten folds trains a small perceptron on the other nine and is then classified by it, so that
 * every flower is tested once, by a network that has not seen it.
 */
import {
  ArrayDataset,
  crossEntropy,
  DataLoader,
  init,
  manualSeed,
  nn,
  noGrad,
  optim,
} from "roadless";
import { breathe, listenForCtrlC } from "./common/interrupt.ts";
import { print, Progress, strong } from "./common/progress.ts";
import { runExample } from "./common/run.ts";
import { classes, type Flowers, loadIris, standardise, stratifiedFolds } from "./iris/data.ts";
import { readSettings, type Settings } from "./iris/options.ts";
import { formatConfusion } from "./iris/confusion.ts";

/** Trains on `train`; returns the class that the network, with the weights x, gives each flower of `test`. */
function trainAndClassify(train: Flowers, test: Flowers, settings: Settings): number[] {
  const { batchSize, epochs, hidden, lr } = settings;
  const model = new nn.Sequential(
    new nn.Linear(4, hidden),
    new nn.ReLU(),
    new nn.Linear(hidden, classes.length),
  );
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr });
  const loader = new DataLoader(new ArrayDataset(train.x, train.y), { batchSize, shuffle: true });

  model.train();
  optimizer.train();
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const [x, y] of loader) {
      optimizer.zeroGrad();
      crossEntropy(model.forward(x), y).backward();
      optimizer.step();
    }
  }

  model.eval();
  optimizer.eval();
  const found: number[] = [];
  for (const [x] of new DataLoader(new ArrayDataset(test.x), { batchSize: test.x.shape[0] })) {
    found.push(...noGrad(() => model.forward(x).argmax(1).dataSync()));
  }
  optimizer.dispose();
  model.dispose();
  return found;
}

async function main(settings: Settings): Promise<void> {
  const stop = listenForCtrlC();
  const { folds, epochs, hidden, lr, seed, device } = settings;
  await init({ device });
  manualSeed(seed); // decides the folds, the initial weights and the order of the flowers

  const irises = loadIris();
  const parts = stratifiedFolds(irises, folds);
  print(
    `${irises.y.data.length} flowers, ${classes.length} species; perceptron 4-${hidden}-${classes.length}; ` +
      `AdamWScheduleFree, lr ${lr}, ${epochs} epochs, seed ${seed}`,
  );

  const confusion = classes.map(() => classes.map(() => 0)); // [actual][found]
  const accuracies: number[] = []; // of each fold
  let correct = 0;
  let tested = 0;
  const progress = new Progress("folds", folds);
  for (const { train, test } of parts) {
    await breathe();
    if (stop.aborted) break;
    const [standardTrain, standardTest] = standardise(train, test);
    const found = trainAndClassify(standardTrain, standardTest, settings);
    let right = 0;
    found.forEach((species, i) => {
      const actual = test.y.data[i];
      confusion[actual][species]++;
      if (species === actual) right++;
    });
    correct += right;
    tested += found.length;
    accuracies.push(right / found.length);
    progress.update(accuracies.length, describe());
  }
  progress.stop(accuracies.length, describe());
  if (accuracies.length === 0) return;

  print("");
  for (const line of formatConfusion(classes, confusion)) print(line);
  print("");
  print(
    `accuracy at x ${strong(percent(correct / tested))} (${correct} of ${tested}), ` +
      `${accuracies.length} folds from ${percent(Math.min(...accuracies))} to ${percent(Math.max(...accuracies))}`,
  );

  function describe(): string {
    return tested === 0 ? "none" : `accuracy ${percent(correct / tested)}`;
  }
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}

await runExample("iris", readSettings, main);
