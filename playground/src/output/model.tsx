// 3D models; the viewer is large, so it comes after a click.

import { createElement } from "preact";
import { useState } from "preact/hooks";
import type { FileValue } from "../model/media";
import { isOurs } from "../page";
import { dragged, FileLine, Foreign } from "./file";

export function ModelView(props: { file: FileValue; title: string }) {
  const { file } = props;
  const [state, setState] = useState<"asleep" | "loading" | "there" | "broken">("asleep");
  if (!isOurs(file.url)) return <Foreign file={file} />;
  const wake = async () => {
    setState("loading");
    try {
      await import("./viewer3d");
      setState("there");
    } catch {
      setState("broken");
    }
  };
  return (
    <figure class="media" {...dragged(file.url)}>
      {state === "there" ? createElement("model-viewer", {
        src: file.url, alt: props.title, "camera-controls": true, "touch-action": "pan-y", "shadow-intensity": "1",
        "interaction-prompt": "none", class: "model", onerror: () => setState("broken"),
      }) : (
        <button type="button" class="picture asleep" disabled={state === "loading"} onClick={wake}>
          {state === "loading" ? "Loading the viewer…" : state === "broken" ? "It cannot be shown here; try again, or download it" : "Show the 3D model"}
        </button>
      )}
      <figcaption><FileLine file={file} media="model3d" /></figcaption>
    </figure>
  );
}
