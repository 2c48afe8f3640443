/** What a network has to beat: forecasts of births[i] from what is known on the evening before. */
import type { Series } from "./data.ts";

export interface Errors {
  /** Root of the mean squared error, in births. */
  readonly rmse: number;
  /** Mean absolute error, in births. */
  readonly mae: number;
}

/** Errors over the days from `from` on. */
export function measure(
  { births }: Series,
  from: number,
  forecast: (day: number) => number,
): Errors {
  let squares = 0;
  let sum = 0;
  for (let day = from; day < births.length; day++) {
    const error = Math.abs(forecast(day) - births[day]);
    squares += error * error;
    sum += error;
  }
  const n = births.length - from;
  return { rmse: Math.sqrt(squares / n), mae: sum / n };
}

/**
 * Linear regression on the same inputs as the network's and the births of the four weeks before, fitted
 * to the training days by least squares.
 */
export function linearRegression(series: Series): (day: number) => number {
  const { births, inputs, width, first, testFrom } = series;
  const lags = 28;
  const row = (day: number): number[] => {
    const x = [1, ...inputs.subarray(day * width, (day + 1) * width)];
    for (let lag = 2; lag <= lags; lag++) x.push(births[day - lag]); // lag 1 is among the inputs
    return x;
  };
  const rows: number[][] = [];
  for (let day = first; day < testFrom; day++) rows.push(row(day));
  const weights = leastSquares(rows, births.subarray(first, testFrom));
  return (day) => row(day).reduce((sum, v, i) => sum + v * weights[i], 0);
}

/**
 * w that minimises Σ (row · w - target)², by the normal equations and Cholesky's factorisation. A ridge
 * of 1e-9 of the diagonal decides where columns depend on each other, as seven weekdays and a constant do.
 */
function leastSquares(rows: readonly number[][], targets: Float64Array): number[] {
  const n = rows[0].length;
  const a = Array.from({ length: n }, () => new Float64Array(n)); // AᵀA, lower half
  const b = new Float64Array(n); // Aᵀt
  rows.forEach((row, r) => {
    for (let i = 0; i < n; i++) {
      b[i] += row[i] * targets[r];
      for (let j = 0; j <= i; j++) a[i][j] += row[i] * row[j];
    }
  });
  for (let i = 0; i < n; i++) {
    a[i][i] *= 1 + 1e-9;
    for (let j = 0; j <= i; j++) {
      let sum = a[i][j];
      for (let k = 0; k < j; k++) sum -= a[i][k] * a[j][k];
      a[i][j] = i === j ? Math.sqrt(sum) : sum / a[j][j];
    }
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return [...b];
}
