// The waveform of a sound, drawn over the browser's own player; loaded when there is a sound.

import { peaksOf } from "../model/peaks";

const RATE = 8000; // decoded at this rate: enough for an outline, and a sixth of the memory
const LARGEST = 20_000_000; // bytes of a sound whose size its file does not tell
const STEP = 3; // CSS pixels from one bar to the next

/** Draw the outline of *media*'s sound into *container*; returns what takes it away again. */
export function drawWave(container: HTMLElement, media: HTMLMediaElement): () => void {
  const canvas = document.createElement("canvas");
  const stop = new AbortController();
  let sound: Float32Array[] = [];
  let peaks: number[] = [];
  let frame = 0;
  const draw = () => {
    frame = 0;
    const count = Math.floor(canvas.clientWidth / STEP);
    if (peaks.length !== count) peaks = peaksOf(sound, count);
    paint(canvas, peaks, media.duration > 0 ? media.currentTime / media.duration : 0);
    if (!media.paused) plan();
  };
  const plan = () => { frame ||= requestAnimationFrame(draw); };
  const watcher = new ResizeObserver(plan);
  samplesOf(media.currentSrc || media.src, stop.signal).then((samples) => {
    sound = samples;
    container.append(canvas);
    watcher.observe(canvas);
  }).catch(() => undefined); // the player is there without it
  for (const event of ["play", "pause", "seeked", "timeupdate"]) media.addEventListener(event, plan, { signal: stop.signal });
  followPointer(canvas, media, stop.signal);
  return () => {
    stop.abort();
    watcher.disconnect();
    cancelAnimationFrame(frame);
    canvas.remove();
  };
}

async function samplesOf(url: string, signal: AbortSignal): Promise<Float32Array[]> {
  const answer = await fetch(url, { signal });
  const size = url.startsWith("data:") ? 0 : Number(answer.headers.get("content-length") ?? Infinity);
  if (size > LARGEST) throw new Error("too large to be decoded at once, or nobody knows");
  const decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await answer.arrayBuffer());
  return Array.from({ length: decoded.numberOfChannels }, (_, n) => decoded.getChannelData(n));
}

function paint(canvas: HTMLCanvasElement, peaks: number[], played: number): void {
  const pen = canvas.getContext("2d");
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!pen || !width) return;
  const scale = Math.min(devicePixelRatio, 2);
  canvas.width = width * scale;
  canvas.height = height * scale;
  pen.scale(scale, scale);
  const colours = getComputedStyle(canvas);
  peaks.forEach((peak, n) => {
    const tall = Math.max(1, peak * height);
    pen.fillStyle = n * STEP < played * width ? colours.accentColor : colours.color;
    pen.fillRect(n * STEP, (height - tall) / 2, STEP - 1, tall);
  });
}

/** A press on the outline plays on from there; the player's own slider does the same by keyboard. */
function followPointer(canvas: HTMLCanvasElement, media: HTMLMediaElement, signal: AbortSignal): void {
  const seek = (event: PointerEvent) => {
    if (!event.buttons || !(media.duration > 0)) return;
    const box = canvas.getBoundingClientRect();
    media.currentTime = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * media.duration;
  };
  canvas.addEventListener("pointerdown", seek, { signal });
  canvas.addEventListener("pointermove", seek, { signal });
}
