// A field for one file: empty, on its way, or there.

import { useState } from "preact/hooks";
import { bytes, getIn, lastPart, shortened } from "../model/json";
import type { Field, MediaKind } from "../model/schema";
import { urlOf } from "../model/values";
import { isOurs } from "../page";
import { Drop } from "./drop";
import { type ControlProps, idOf } from "./field";
import { localOf, type Upload, useUploads } from "./uploads";

export function FileControl(props: ControlProps) {
  const { field, path, value } = props;
  const url = urlOf(value);
  const set = (next: string) => props.onChange(path, next);
  const { uploads, mistake, tell, begin } = useUploads(field, set);
  const link = (next: string) => {
    tell("");
    set(next);
  };
  const upload = uploads[uploads.length - 1];
  return (
    <>
      {upload ? <Going upload={upload} media={field.media} /> : url ? (
        <Chosen id={idOf(path)} field={field} url={url} onRemove={() => props.onChange(path, field.nullable ? null : undefined)}
          describedBy={props.describedBy} isWrong={props.isWrong} onFile={begin} />
      ) : (
        <Drop field={field} id={idOf(path)} many={false} describedBy={props.describedBy} isWrong={props.isWrong} onFile={begin} onLink={link} />
      )}
      {field.kind === "mask" && <Paint {...props} onFile={begin} />}
      <Limits field={field} />
      {mistake && <p class="error" role="alert">{mistake}</p>}
    </>
  );
}

export function Going(props: { upload: Upload; media: MediaKind }) {
  const { upload } = props;
  return (
    <div class="going">
      {props.media === "image" && <Preview url={upload.local} media="image" />}
      <span dir="auto">{upload.name}</span>
      <progress aria-label={`Upload of ${upload.name}`} max={1} value={upload.share} />
      <button type="button" class="quiet" onClick={upload.cancel}>Cancel</button>
    </div>
  );
}

interface ChosenProps {
  id: string;
  field: Field;
  url: string;
  onRemove: () => void;
  onFile: (file: File) => void;
  describedBy: string | undefined;
  isWrong: boolean;
}

function Chosen(props: ChosenProps) {
  const { field, url } = props;
  const drop = (event: DragEvent) => {
    const [file] = Array.from(event.dataTransfer?.files ?? []);
    event.preventDefault();
    if (file) props.onFile(file);
  };
  return (
    <div class="chosen" onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      <Preview url={url} media={field.media} />
      <div class="chosen-line">
        <span class="name" dir="ltr">{nameOf(url)}</span>
        <button type="button" class="quiet" id={props.id} aria-label={`Remove ${field.title}`} aria-describedby={props.describedBy} aria-invalid={props.isWrong} onClick={props.onRemove}>Remove</button>
      </div>
    </div>
  );
}

/** A small view of an input; what lies on other servers is named, not fetched. */
export function Preview(props: { url: string; media: MediaKind }) {
  const source = localOf(props.url) ?? props.url;
  const [isBroken, setBroken] = useState("");
  if (!isOurs(source)) return null;
  if (isBroken === source) return <p class="hint">This browser cannot show it; the app may still read it.</p>;
  const fail = () => setBroken(source);
  if (props.media === "image") return <img class="preview" src={source} alt="" onError={fail} />;
  if (props.media === "video") return <video class="preview" src={source} controls muted playsInline preload="metadata" onError={fail} />;
  if (props.media === "audio") return <audio src={source} controls preload="metadata" onError={fail} />;
  return null;
}

function Limits(props: { field: Field }) {
  const { limits } = props.field;
  const parts = [limits.types?.join(", "), limits.bytes ? `at most ${bytes(limits.bytes)}` : "", limits.note].filter(Boolean);
  return parts.length ? <p class="hint">{parts.join("; ")}</p> : null;
}

/** The painter of masks is loaded when it is asked for. */
function Paint(props: ControlProps & { onFile: (file: File) => void }) {
  const [Dialog, setDialog] = useState<null | typeof import("./mask").MaskDialog>(null);
  const below = pictureBelow(props);
  const open = async () => {
    const { MaskDialog } = await import("./mask");
    setDialog(() => MaskDialog);
  };
  return (
    <>
      <button type="button" class="chip" disabled={!below} onClick={open}>Paint a mask</button>
      {!below && <span class="hint"> once there is a picture to paint on</span>}
      {Dialog && below && <Dialog picture={below} onClose={() => setDialog(null)} onFile={(file) => { setDialog(null); props.onFile(file); }} />}
    </>
  );
}

/** Return the picture that a mask lies on: the field that is named, else the first picture beside it. */
function pictureBelow(props: ControlProps): string {
  const { beside, field, path } = props;
  const own = path[path.length - 1];
  const names = field.over ? [field.over] : Object.keys((beside as object) ?? {}).filter((key) => key !== own && /image/.test(key));
  for (const name of names) {
    const url = urlOf(getIn(beside, [name]));
    const source = localOf(url) ?? url;
    if (source && isOurs(source)) return source;
  }
  return "";
}

export function nameOf(url: string): string {
  return url.startsWith("data:") ? shortened(url) : lastPart(url) || url;
}
