declare module "asciichart" {
  interface Config {
    height?: number;
    colors?: readonly (string | undefined)[];
    format?: (value: number) => string;
    offset?: number;
    min?: number;
    max?: number;
  }
  function plot(series: readonly (readonly number[])[], config?: Config): string;
  const green: string;
  const darkgray: string;
  export default { plot, green, darkgray };
}
