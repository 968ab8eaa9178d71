// Pictures: one, compared with what went in, or many; enlarged with zoom and pan.

import { useRef, useState } from "preact/hooks";
import { asFile, type FileValue } from "../model/media";
import type { Json } from "../model/json";
import { isOurs } from "../page";
import { Dialog } from "../ui";
import { CannotShow, dragged, FileLine, Foreign, nameOf } from "./file";

export function ImageView(props: { file: FileValue; title: string; before: string | undefined }) {
  const { file } = props;
  const [isBroken, setBroken] = useState(false);
  const [isLarge, enlarge] = useState(false);
  const [pixels, setPixels] = useState<string>();
  if (!isOurs(file.url)) return <Foreign file={file} />;
  const loaded = (event: Event) => {
    const image = event.currentTarget as HTMLImageElement;
    setPixels(`${image.naturalWidth} × ${image.naturalHeight}`);
  };
  return (
    <figure class="media">
      {isBroken ? <CannotShow file={file} what="show" /> : (
        <>
          {props.before && <Compare before={props.before} after={file.url} title={props.title} />}
          {!props.before && (
            <button type="button" class="picture" aria-label={`Enlarge ${props.title}`} onClick={() => enlarge(true)}>
              <img key={file.url} src={file.url} alt={props.title} onLoad={loaded} onError={() => setBroken(true)} {...dragged(file.url)} />
            </button>
          )}
        </>
      )}
      <figcaption><FileLine file={file} media="image" pixels={pixels} /></figcaption>
      {isLarge && <Lightbox files={[file]} at={0} onClose={() => enlarge(false)} />}
    </figure>
  );
}

/** Two pictures over each other, and a slider between them. */
function Compare(props: { before: string; after: string; title: string }) {
  const [share, setShare] = useState(50);
  return (
    <div class="compare">
      <div class="compare-pictures">
        <img src={props.after} alt={`${props.title}, after`} {...dragged(props.after)} />
        <img class="compare-before" src={props.before} alt="Before" style={{ clipPath: `inset(0 ${100 - share}% 0 0)` }} />
        <span class="compare-line" style={{ insetInlineStart: `${share}%` }} />
      </div>
      <input type="range" min={0} max={100} value={share} aria-label="Compare: share of the picture before" onInput={(event) => setShare(event.currentTarget.valueAsNumber)} />
    </div>
  );
}

export function Gallery(props: { values: Json[]; title: string }) {
  const files = props.values.map(asFile);
  const [at, open] = useState<number | null>(null);
  const grid = useRef<HTMLUListElement>(null);
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = Array.from(grid.current?.querySelectorAll<HTMLButtonElement>("button.picture") ?? []);
    const now = buttons.indexOf(document.activeElement as HTMLButtonElement);
    buttons[(now + step + buttons.length) % buttons.length]?.focus();
  };
  return (
    <>
      <ul class="gallery-grid" ref={grid} onKeyDown={move}>
        {files.map((file, n) => (
          <li key={file.url}>
            {isOurs(file.url) ? <GalleryPicture file={file} name={`${props.title} ${n + 1}`} onOpen={() => open(n)} /> : <Foreign file={file} />}
            <FileLine file={file} media="image" />
          </li>
        ))}
      </ul>
      {at !== null && <Lightbox files={files} at={at} onClose={() => open(null)} />}
    </>
  );
}

function GalleryPicture(props: { file: FileValue; name: string; onOpen: () => void }) {
  const [isBroken, setBroken] = useState(false);
  if (isBroken) return <CannotShow file={props.file} what="show" />;
  return (
    <button type="button" class="picture" aria-label={`Enlarge ${props.name}`} onClick={props.onOpen}>
      <img src={props.file.url} alt={props.name} loading="lazy" onError={() => setBroken(true)} {...dragged(props.file.url)} />
    </button>
  );
}

const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];

/** A picture as large as the window; arrows turn pages, + and - zoom, scrolling pans. */
export function Lightbox(props: { files: FileValue[]; at: number; onClose: () => void }) {
  const [at, setAt] = useState(props.at);
  const [zoom, setZoom] = useState(0);
  const view = useRef<HTMLDivElement>(null);
  const file = props.files[at];
  if (!file) return null;
  const turn = (step: number) => {
    setAt((at + step + props.files.length) % props.files.length);
    setZoom(0);
  };
  const magnify = (step: number) => setZoom(Math.max(0, Math.min(ZOOMS.length - 1, zoom + step)));
  const key = (event: KeyboardEvent) => {
    if (event.key === "+" || event.key === "=") magnify(1);
    else if (event.key === "-") magnify(-1);
    else if (event.key === "0") setZoom(0);
    else if (zoom === 0 && props.files.length > 1 && event.key === "ArrowRight") turn(1);
    else if (zoom === 0 && props.files.length > 1 && event.key === "ArrowLeft") turn(-1);
  };
  const wheel = (event: WheelEvent) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    magnify(event.deltaY < 0 ? 1 : -1);
  };
  return (
    <Dialog label={nameOf(file)} class="lightbox" onClose={props.onClose} onKey={key}>
      <div class="lightbox-view" ref={view} tabIndex={0} role="region" aria-label="Picture; + and - zoom, arrows move" onWheel={wheel} {...panning()}>
        <img src={file.url} alt={nameOf(file)} style={{ width: `${(ZOOMS[zoom] ?? 1) * 100}%`, height: `${(ZOOMS[zoom] ?? 1) * 100}%` }} draggable={false} />
      </div>
      <div class="row">
        {props.files.length > 1 && <button type="button" class="quiet" onClick={() => turn(-1)}>Previous</button>}
        {props.files.length > 1 && <span>{at + 1} of {props.files.length}</span>}
        {props.files.length > 1 && <button type="button" class="quiet" onClick={() => turn(1)}>Next</button>}
        <button type="button" class="quiet" aria-label="Zoom out" disabled={zoom === 0} onClick={() => magnify(-1)}>−</button>
        <span>{Math.round((ZOOMS[zoom] ?? 1) * 100)} %</span>
        <button type="button" class="quiet" aria-label="Zoom in" disabled={zoom === ZOOMS.length - 1} onClick={() => magnify(1)}>+</button>
      </div>
    </Dialog>
  );
}

/** Drag to pan. */
function panning() {
  let last: { x: number; y: number } | null = null;
  return {
    onPointerDown: (event: PointerEvent) => { last = { x: event.clientX, y: event.clientY }; },
    onPointerMove: (event: PointerEvent) => {
      if (!last || event.buttons !== 1) return;
      (event.currentTarget as Element).scrollBy(last.x - event.clientX, last.y - event.clientY);
      last = { x: event.clientX, y: event.clientY };
    },
    onPointerUp: () => { last = null; },
  };
}
