/**
 * Forecasts the births of the next day by an LSTM: `npm run timeseries`, or with `-- --help`.
 *
 * Trained on 2001 to 2012, tested on 2013 and 2014, and compared with the forecasts that anybody can make:
 * yesterday's number, last week's, last year's, and linear regression on the same inputs.
 */
import { DataLoader, init, manualSeed, mseLoss, nn, noGrad, optim, type Tensor } from "roadless";
import { breathe, listenForCtrlC } from "./common/interrupt.ts";
import { formatCount, formatTime, print, Progress, strong } from "./common/progress.ts";
import { RecentLoss } from "./common/recent-loss.ts";
import { checkLoss, describeDevice, describeSize, runExample } from "./common/run.ts";
import { linearRegression, measure } from "./timeseries/baselines.ts";
import { drawForecast } from "./timeseries/chart.ts";
import { loadBirths, measureScale, type Series, Stretches } from "./timeseries/data.ts";
import { readSettings, type Settings } from "./timeseries/options.ts";

/** Days that the network sees before and including the one whose births it forecasts. */
const stretch = 56;
/** The first forecasts in a stretch are made with little to go by: they do not count. */
const warmup = 14;

/** Inputs [n, time, width] → forecasts [n, time]: for each day, from what precedes it. */
class Forecaster extends nn.Module {
  lstm: nn.LSTM;
  head: nn.Linear;

  constructor(width: number, hidden: number) {
    super();
    this.lstm = new nn.LSTM(width, hidden, { batchFirst: true });
    this.head = new nn.Linear(hidden, 1);
  }

  forward(x: Tensor): Tensor {
    const { output } = this.lstm.forward(x);
    return this.head.forward(output).squeeze(2);
  }
}

/** Trains until all epochs are done or `stop` is aborted. */
async function train(
  model: Forecaster,
  optimizer: optim.AdamWScheduleFree,
  loader: DataLoader,
  epochs: number,
  stop: AbortSignal,
): Promise<void> {
  const total = epochs * loader.length;
  const progress = new Progress("training", total);
  let steps = 0;
  const recentLoss = new RecentLoss();

  model.train();
  optimizer.train();
  for (let epoch = 0; epoch < epochs && !stop.aborted; epoch++) {
    for (const [x, y] of loader) {
      await breathe();
      if (stop.aborted || !Number.isFinite(recentLoss.mean)) break;

      optimizer.zeroGrad();
      const counted = stretch - warmup;
      const forecast = model.forward(x).narrow(1, warmup, counted);
      const loss = mseLoss(forecast, y.narrow(1, warmup, counted));
      loss.backward();
      optimizer.step();

      steps++;
      await recentLoss.add(loss);
      const left = formatTime(progress.seconds * (total / steps - 1));
      progress.update(steps, `loss ${recentLoss.mean.toFixed(4)}  ${left} left`);
    }
  }
  await recentLoss.settle();
  const seconds = formatTime(progress.seconds);
  progress.stop(steps, `loss ${recentLoss.mean.toFixed(4)}  ${steps} steps in ${seconds}`);
  checkLoss(recentLoss.mean, steps, optimizer.paramGroups[0].lr);
}

/** Births of every test day, each forecast from the days before it, with the weights x. */
async function forecastTestDays(
  model: Forecaster,
  optimizer: optim.AdamWScheduleFree,
  series: Series,
): Promise<number[]> {
  const scale = measureScale(series);
  const days = new Stretches(series, scale, stretch, series.testFrom, series.births.length);
  const forecasts: number[] = [];
  model.eval();
  optimizer.eval();
  for (const [x] of new DataLoader(days, { batchSize: 200 })) {
    const last = noGrad(() => model.forward(x).narrow(1, stretch - 1, 1));
    for (const value of await last.data()) forecasts.push(scale.mean + scale.deviation * value);
  }
  return forecasts;
}

async function main(settings: Settings): Promise<void> {
  const stop = listenForCtrlC();
  const { epochs, hidden, lr, batchSize, seed, limit, device, threads, precision } = settings;
  await init({ device, threads, precision });
  manualSeed(seed); // decides the initial weights and the order of the stretches

  const series = loadBirths();
  const { births, dates, testFrom, width } = series;
  const from = Math.max(series.first + stretch, testFrom - limit);
  const trainDays = new Stretches(series, measureScale(series), stretch, from, testFrom);
  const loader = new DataLoader(trainDays, { batchSize, shuffle: true });
  const model = new Forecaster(width, hidden);
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), { lr });

  print(
    `LSTM, ${describeSize(model)}; AdamWScheduleFree, lr ${lr}, ` +
      `batch size ${batchSize}, seed ${seed}`,
  );
  print(
    `births per day in the USA: ${formatCount(trainDays.length)} days to train, ` +
      `${formatCount(births.length - testFrom)} to test (from ${dates[testFrom]} on); ` +
      `${describeDevice()}`,
  );

  await train(model, optimizer, loader, epochs, stop);
  const forecasts = await forecastTestDays(model, optimizer, series);
  optimizer.dispose();
  model.dispose();

  const rows: [name: string, forecast: (day: number) => number][] = [
    ["yesterday's births", (day) => births[day - 1]],
    ["same weekday, last week", (day) => births[day - 7]],
    ["same weekday, last year", (day) => births[day - 364]],
    ["linear regression", linearRegression(series)],
    ["LSTM", (day) => forecasts[day - testFrom]],
  ];
  print("");
  print(drawForecast(births, forecasts, dates));
  print("");
  print("error on test days, births per day  root mean square    mean absolute");
  for (const [name, forecast] of rows) {
    const { rmse, mae } = measure(series, testFrom, forecast);
    const line = `${name.padEnd(34)}${rmse.toFixed(0).padStart(18)}${mae.toFixed(0).padStart(17)}`;
    print(name === "LSTM" ? strong(line) : line);
  }
  print("");
}

await runExample("timeseries", readSettings, main);
