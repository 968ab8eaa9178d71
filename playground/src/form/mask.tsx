// A mask painted over a picture: white where it is to change, black elsewhere, of the same size.

import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "../ui";

interface Props {
  picture: string;
  onFile: (file: File) => void;
  onClose: () => void;
}

interface Stroke {
  size: number;
  erases: boolean;
  points: { x: number; y: number }[];
}

export function MaskDialog(props: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState(40);
  const [erases, setErases] = useState(false);
  const [strokes, setStrokes] = useState<Stroke[]>([]);
  const [pixels, setPixels] = useState<{ width: number; height: number } | null>(null);
  const current = useRef<Stroke | null>(null);

  useEffect(() => {
    if (canvas.current && pixels) draw(canvas.current, current.current ? [...strokes, current.current] : strokes, "#e11d48");
  }, [strokes, pixels]);

  const at = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const scale = (pixels?.width ?? 1) / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  };
  const begin = (event: PointerEvent) => {
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const scale = (pixels?.width ?? 1) / (event.currentTarget as Element).getBoundingClientRect().width;
    current.current = { size: size * scale, erases, points: [at(event)] };
    setStrokes([...strokes]);
  };
  const move = (event: PointerEvent) => {
    if (!current.current) return;
    current.current.points.push(at(event));
    setStrokes([...strokes]);
  };
  const end = () => {
    if (!current.current) return;
    const stroke = current.current;
    current.current = null;
    setStrokes([...strokes, stroke]);
  };
  const use = () => pixels && exported(strokes, pixels, props.onFile);
  return (
    <Dialog label="Paint a mask" class="wide" onClose={props.onClose}>
      <div class="mask">
        <img src={props.picture} alt="" onLoad={(event) => setPixels({ width: event.currentTarget.naturalWidth, height: event.currentTarget.naturalHeight })} />
        {pixels && (
          <canvas ref={canvas} width={pixels.width} height={pixels.height} aria-label="Paint here with a pointer: what is painted may change"
            role="img" onPointerDown={begin} onPointerMove={move} onPointerUp={end} onPointerCancel={end} />
        )}
      </div>
      <div class="row">
        <label>Brush <input type="range" min={4} max={160} value={size} onInput={(event) => setSize(event.currentTarget.valueAsNumber)} /></label>
        <label class="check"><input type="checkbox" checked={erases} onChange={(event) => setErases(event.currentTarget.checked)} /> Erase</label>
        <button type="button" class="quiet" disabled={!strokes.length} onClick={() => setStrokes(strokes.slice(0, -1))}>Undo</button>
        <button type="button" class="quiet" onClick={() => pixels && setStrokes([...strokes, everything(pixels)])}>Paint all</button>
        <button type="button" class="primary" disabled={!strokes.length} onClick={use}>Use this mask</button>
      </div>
    </Dialog>
  );
}

function everything(pixels: { width: number; height: number }): Stroke {
  const { width, height } = pixels;
  return { size: 2 * Math.max(width, height), erases: false, points: [{ x: width / 2, y: height / 2 }] };
}

function draw(canvas: HTMLCanvasElement, strokes: Stroke[], colour: string): void {
  const brush = canvas.getContext("2d");
  if (!brush) return;
  brush.clearRect(0, 0, canvas.width, canvas.height);
  brush.lineCap = brush.lineJoin = "round";
  for (const stroke of strokes) {
    brush.globalCompositeOperation = stroke.erases ? "destination-out" : "source-over";
    brush.strokeStyle = colour;
    brush.lineWidth = stroke.size;
    brush.beginPath();
    const [first] = stroke.points;
    if (first) brush.moveTo(first.x, first.y);
    for (const point of stroke.points) brush.lineTo(point.x + 0.01, point.y);
    brush.stroke();
  }
}

/** Write the strokes as a picture of their own. */
function exported(strokes: Stroke[], pixels: { width: number; height: number }, onFile: (file: File) => void): void {
  const painted = document.createElement("canvas");
  painted.width = pixels.width;
  painted.height = pixels.height;
  draw(painted, strokes, "#ffffff");
  const mask = document.createElement("canvas");
  mask.width = pixels.width;
  mask.height = pixels.height;
  const brush = mask.getContext("2d");
  if (!brush) return;
  brush.fillStyle = "#000000";
  brush.fillRect(0, 0, mask.width, mask.height);
  brush.drawImage(painted, 0, 0);
  mask.toBlob((blob) => blob && onFile(new File([blob], "mask.png", { type: "image/png" })), "image/png");
}
