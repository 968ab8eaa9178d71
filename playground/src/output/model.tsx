// 3D models; the viewer is large, so it comes after a click.

import { useEffect, useRef, useState } from "preact/hooks";
import type { FileValue } from "../model/media";
import { isOurs } from "../page";
import { dragged, FileLine, Foreign } from "./file";
import type { Viewer } from "./viewer3d";

export function ModelView(props: { file: FileValue; title: string }) {
  const { file } = props;
  const [isAwake, wake] = useState(false);
  const [why, tell] = useState("");
  if (!isOurs(file.url)) return <Foreign file={file} />;
  const sleep = (reason: string) => {
    tell(reason);
    wake(false);
  };
  return (
    <figure class="media" {...dragged(file.url)}>
      {isAwake ? <Model key={file.url} url={file.url} title={props.title} onTrouble={sleep} /> : (
        <button type="button" class="picture asleep" onClick={() => wake(true)}>
          {why ? "It cannot be shown here; try again, or download it" : "Show the 3D model"}
        </button>
      )}
      {why && !isAwake && <p class="error" role="alert">{why}</p>}
      <figcaption><FileLine file={file} media="model3d" /></figcaption>
    </figure>
  );
}

function Model(props: { url: string; title: string; onTrouble: (why: string) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const [viewer, set] = useState<Viewer | null>(null);
  const [isPlaying, play] = useState(false);
  useEffect(() => {
    let gone = false;
    let shown: Viewer | null = null;
    import("./viewer3d").then(async ({ show }) => {
      if (gone || !box.current) return;
      shown = await show(box.current, props.url, props.title);
      if (gone) shown.remove();
      else set(shown);
    }).catch((error: unknown) => { if (!gone) props.onTrouble(reasonOf(error)); });
    return () => {
      gone = true;
      shown?.remove();
    };
  }, []);
  const turn = () => {
    viewer?.play(!isPlaying);
    play(!isPlaying);
  };
  return (
    <>
      <div class="model" ref={box} data-state={viewer ? "shown" : "loading"} draggable onDragStart={keepStill}>
        {!viewer && <p class="notice" role="status">Loading the model…</p>}
      </div>
      {viewer?.moves && <p class="row"><button type="button" class="quiet" onClick={turn}>{isPlaying ? "Stop the motion" : "Play the motion"}</button></p>}
    </>
  );
}

/** A drag turns the model; it does not take its file along. */
function keepStill(event: DragEvent): void {
  event.preventDefault();
  event.stopPropagation();
}

function reasonOf(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  if (/KTX2/.test(said)) return "Its textures are KTX2, which this page does not decode; PNG, JPEG and WebP can be shown.";
  return `The viewer says: ${said.slice(0, 200)}`;
}
