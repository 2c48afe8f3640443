import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "../../examples/common/options.ts";
import { linearRegression, measure } from "../../examples/timeseries/baselines.ts";
import { drawForecast } from "../../examples/timeseries/chart.ts";
import {
  loadBirths,
  measureScale,
  type Series,
  Stretches,
} from "../../examples/timeseries/data.ts";
import { readSettings } from "../../examples/timeseries/options.ts";
import { released, start } from "./start.ts";

const timeseries = suite("timeseries");

timeseries("learns enough in one short epoch to beat last week's births", async () => {
  const args = "--epochs 1 --limit 1600 --hidden 32 --lr 0.02".split(" ");
  const { code, stdout, stderr } = await start("timeseries", args).ended;
  assert.is(stderr, "");
  assert.is(code, 0);
  // oxlint-disable-next-line no-control-regex
  assert.not.match(stdout, /[\x00-\x09\x0b-\x1f\x7f]/);
  const lines = stdout.trimEnd().split("\n");
  assert.is(lines[0], "LSTM, 6,049 parameters; AdamWScheduleFree, lr 0.02, batch size 32, seed 1");
  assert.match(
    lines[1],
    /^births per day in the USA: 1,600 days to train, 730 to test \(from 2013-01-01 on\); cpu, \d+ threads?, strict$/,
  );
  const [, loss] = /^training 100 %  loss ([\d.]+)  50 steps in \d+:\d\d$/m.exec(stdout)!;
  assert.ok(Number(loss) < 0.5, loss);
  const errors = Object.fromEntries(
    [...stdout.matchAll(/^(\S.*\S) +(\d+) +(\d+)$/gm)].map(([, name, rmse]) => [name, +rmse]),
  );
  assert.is(errors["yesterday's births"], 2420);
  assert.is(errors["same weekday, last week"], 938);
  assert.is(errors["same weekday, last year"], 736);
  assert.is(errors["linear regression"], 549);
  assert.ok(errors.LSTM < 900, stdout);
  assert.match(lines.at(-1)!, released);
});

timeseries("Ctrl-C ends training, and x is tested", async () => {
  const run = start("timeseries", ["--epochs", "10000", "--hidden", "8"]);
  await run.printed("births per day in the USA");
  run.child.kill("SIGINT");
  const { code, stdout, stderr } = await run.ended;
  assert.is(stderr, "");
  assert.is(code, 0);
  assert.match(stdout, /^LSTM +\d+ +\d+$/m);
  assert.match(stdout.trimEnd().split("\n").at(-1)!, released);
});

timeseries("inputs of a day are known on the evening before", () => {
  const { births, dates, inputs, width, first } = loadBirths();
  assert.is(dates.length, 5479);
  assert.is(dates.at(-1), "2014-12-31");
  const day = dates.indexOf("2008-02-29");
  const row = [...inputs.subarray(day * width, (day + 1) * width)];
  const at = (date: string) => births[dates.indexOf(date)];
  assert.equal(row.slice(0, 4), [
    at("2008-02-28"),
    at("2007-03-02"), // a Friday too
    at("2007-02-23"),
    at("2007-02-28"), // there was no 29th
  ]);
  assert.equal(row.slice(4, 11), [0, 0, 0, 0, 1, 0, 0]);
  assert.ok(Math.abs(Math.hypot(row[11], row[12]) - 1) < 1e-12);
  assert.ok(inputs.subarray(first * width).every(Number.isFinite));
});

timeseries("stretches end with the day to forecast, on a scale measured on training days", () => {
  const series = loadBirths();
  const scale = measureScale(series);
  const stretches = new Stretches(series, scale, 3, series.testFrom, series.births.length);
  assert.is(stretches.length, 730);
  const [x, y] = stretches.batch(Int32Array.of(729, 0));
  assert.equal(x.shape, [2, 3, series.width]);
  assert.equal(y.shape, [2, 3]);
  const births = (index: number) => Math.round(scale.mean + scale.deviation * y.data[index]);
  assert.is(births(2), series.births.at(-1));
  assert.is(births(5), series.births[series.testFrom]);
  // The first input is the births of the day before.
  assert.ok(Math.abs(x.data[2 * series.width] - y.data[1]) < 1e-6);
  const changed = { ...series, births: series.births.map((v, i) => (i < series.testFrom ? v : 0)) };
  assert.equal(measureScale(changed), scale);
});

timeseries("linear regression finds a linear law", () => {
  const days = 200;
  const inputs = Float64Array.from({ length: 2 * days }, (_, i) => Math.sin(i * i));
  const births = new Float64Array(days);
  for (let i = 2; i < days; i++) {
    births[i] = 3 + 2 * inputs[2 * i] - inputs[2 * i + 1] + 0.5 * births[i - 2];
  }
  const series: Series = { births, inputs, width: 2, first: 30, testFrom: 150, dates: [] };
  assert.ok(measure(series, 150, linearRegression(series)).rmse < 1e-5);
  const { rmse, mae } = measure(series, 198, (day) => births[day] + (day === 198 ? 3 : -1));
  assert.ok(Math.abs(rmse - Math.sqrt(5)) < 1e-12);
  assert.ok(Math.abs(mae - 2) < 1e-12);
});

timeseries("without colors both series have a chart, on the same scale", () => {
  const chart = drawForecast(
    Float64Array.of(0, 100, 200, 300),
    [300, 100],
    ["a", "b", "c", "d"],
    2,
  );
  assert.match(chart, /^births per day, c to d\n/);
  const [actual, forecast] = chart.split("forecast\n").map((part) => part.trimEnd().split("\n"));
  assert.match(actual[1], /^ +300 ┤╭ *$/);
  assert.match(forecast[0], /^ +300 ┼╮ *$/);
  assert.match(forecast.at(-1)!, /^ +100 ┤╰ *$/);
});

timeseries("--help, and what is refused", async () => {
  const { help } = readSettings(["--help"]) as { help: string };
  for (const name of "epochs hidden lr batch-size seed limit device threads precision help".split(
    " ",
  )) {
    assert.match(help, `--${name}`);
  }
  assert.ok(help.split("\n").every((line) => line.length <= 80));
  assert.throws(
    () => readSettings(["--hidden", "0"]),
    (error: unknown) =>
      error instanceof UsageError &&
      error.message === '--hidden is "0"; expected a whole number from 1 to 4096',
  );
  const { code, stderr } = await start("timeseries", ["--lr", "1e30", "--limit", "100"]).ended;
  assert.match(
    stderr,
    /^timeseries: --lr is 1e\+30, and the loss was [-\w]+ after \d+ steps; .*\n$/,
  );
  assert.is(code, 2);
});

timeseries.run();
