/** Where digits are drawn, and how they become images like MNIST's. */
import { scalePixel } from "./data.ts";

const side = 28; // pixels of an image
const inner = 20; // of the box that MNIST fits digits into

export class Pad {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #last: readonly [x: number, y: number] | undefined;

  /** `drawn` is called with every stroke. */
  constructor(canvas: HTMLCanvasElement, drawn: () => void) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true })!;
    Object.assign(this.#context, {
      lineWidth: canvas.width / 12,
      lineCap: "round",
      strokeStyle: "white",
    });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#last = this.#at(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.#last === undefined) return;
      this.#stroke(this.#last, (this.#last = this.#at(event)));
      drawn();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => (this.#last = undefined));
    }
  }

  clear(): void {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /**
   * The drawing as MNIST has its digits: fitted into 20 × 20 pixels, and these placed so that the centre of mass is in
   * the middle of 28 × 28. undefined: nothing is drawn.
   */
  image(): Float32Array | undefined {
    const { width, height } = this.#canvas;
    const box = boxOf(this.#context.getImageData(0, 0, width, height));
    if (box === undefined) return undefined;
    const [x, y, w, h] = box;
    const scale = inner / Math.max(w, h);
    const small = shrink(this.#canvas, x, y, w, h, scale, side / 2, side / 2);
    const [cx, cy] = centreOf(small);
    const centred = shrink(this.#canvas, x, y, w, h, scale, side - cx, side - cy);
    return Float32Array.from({ length: side * side }, (_, i) => scalePixel(alphaAt(centred, i)));
  }

  #at({ offsetX, offsetY }: PointerEvent): readonly [number, number] {
    return [offsetX, offsetY];
  }

  #stroke(from: readonly [number, number], to: readonly [number, number]): void {
    const context = this.#context;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  }
}

/** 0 to 1: only strokes are opaque. */
const alphaAt = ({ data }: ImageData, pixel: number): number => data[4 * pixel + 3] / 255;

/** Left, top, width and height of what is drawn. */
function boxOf(image: ImageData): [number, number, number, number] | undefined {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      if (alphaAt(image, y * image.width + x) === 0) continue;
      [left, top] = [Math.min(left, x), Math.min(top, y)];
      [right, bottom] = [Math.max(right, x), Math.max(bottom, y)];
    }
  }
  return right < 0 ? undefined : [left, top, right - left + 1, bottom - top + 1];
}

/** A part of the canvas in 28 × 28 pixels, its middle at (cx, cy). */
function shrink(
  canvas: HTMLCanvasElement,
  ...[x, y, w, h, scale, cx, cy]: [number, number, number, number, number, number, number]
): ImageData {
  const context = new OffscreenCanvas(side, side).getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(
    canvas,
    x,
    y,
    w,
    h,
    cx - (w * scale) / 2,
    cy - (h * scale) / 2,
    w * scale,
    h * scale,
  );
  return context.getImageData(0, 0, side, side);
}

/** The centre of mass, in pixels. */
function centreOf(image: ImageData): [number, number] {
  let [mass, x, y] = [0, 0, 0];
  for (let i = 0; i < side * side; i++) {
    const alpha = alphaAt(image, i);
    mass += alpha;
    x += alpha * ((i % side) + 0.5);
    y += alpha * (Math.floor(i / side) + 0.5);
  }
  return [x / mass, y / mass];
}
