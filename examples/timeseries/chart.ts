/** Draws a forecast over what came true: in two colors, or in two charts where there are none. */
import asciichart from "asciichart";
import { colored } from "../common/progress.ts";

/** The last `days` days of both. `forecasts` ends with the day that `births` ends with. */
export function drawForecast(
  births: Float64Array,
  forecasts: readonly number[],
  dates: readonly string[],
  days = 64,
): string {
  const actual = [...births.subarray(-days)];
  const forecast = forecasts.slice(-days);
  const both = [...actual, ...forecast];
  const options = {
    height: 12,
    min: Math.min(...both),
    max: Math.max(...both),
    format: (value: number) => value.toFixed(0).padStart(6),
  };
  const span = `${dates[dates.length - days]} to ${dates[dates.length - 1]}`;
  if (colored) {
    const { darkgray, green, plot } = asciichart;
    const chart = plot([actual, forecast], { ...options, colors: [darkgray, green] });
    return `births per day, ${span}: actual in gray, forecast in green\n${chart}`;
  }
  return (
    `births per day, ${span}\n${asciichart.plot([actual], options)}\n` +
    `forecast\n${asciichart.plot([forecast], options)}`
  );
}
