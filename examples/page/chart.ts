/** A line that grows, over the number of steps. */

/** What of the chart's height a value takes, from 0 to 1, and which values are labelled. */
export interface Scale {
  height(value: number): number;
  readonly ticks: readonly [value: number, label: string][];
}

const [width, height] = [300, 120]; // of the view box in index.html

/** Points that a line keeps: beyond them it forgets every other one. */
const mostPoints = 600;

function svg(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

export class Chart {
  readonly #scale: Scale;
  readonly #line: SVGElement;
  #points: [step: number, y: number][] = [];
  /** Of `add`, one in so many is kept. */
  #every = 1;
  #added = 0;

  constructor(element: Element, color: string, scale: Scale) {
    this.#scale = scale;
    this.#line = svg("polyline", {
      fill: "none",
      stroke: `var(--${color})`,
      "stroke-width": 2,
      "vector-effect": "non-scaling-stroke",
    });
    for (const [value, label] of scale.ticks) {
      const y = this.#y(value);
      element.append(
        svg("line", { x2: width, y1: y, y2: y, stroke: "var(--line)", "stroke-dasharray": "2 4" }),
      );
      const text = svg("text", { x: 4, y: y - 3, "font-size": 10, fill: "var(--soft)" });
      text.textContent = label;
      element.append(text);
    }
    element.append(this.#line);
  }

  clear(): void {
    this.#points = [];
    this.#every = 1;
    this.#added = 0;
    this.#draw();
  }

  add(step: number, value: number): void {
    if (this.#added++ % this.#every !== 0) return;
    this.#points.push([step, this.#y(value)]);
    if (this.#points.length > mostPoints) {
      this.#points = this.#points.filter((_, i) => i % 2 === 0);
      this.#every *= 2;
    }
    this.#draw();
  }

  #y(value: number): number {
    return height * (1 - Math.min(Math.max(this.#scale.height(value), 0), 1));
  }

  #draw(): void {
    const last = this.#points.at(-1)?.[0] ?? 1;
    const points = this.#points.map(
      ([step, y]) => `${((step / last) * width).toFixed(1)},${y.toFixed(1)}`,
    );
    this.#line.setAttribute("points", points.join(" "));
  }
}
