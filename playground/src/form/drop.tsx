// The place where files come in: dropped, pasted, chosen, linked, taken by camera or microphone.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { lastPart } from "../model/json";
import type { Field } from "../model/schema";
import { ACCEPT, itemsIn } from "./uploads";

interface DropProps {
  field: Field;
  id: string;
  many: boolean;
  describedBy: string | undefined;
  isWrong: boolean;
  onFile: (file: File) => void;
  onLink: (url: string) => void;
  children?: ComponentChildren;
}

const WORDS: Record<string, string> = { image: "a picture", video: "a video", audio: "a sound", model3d: "a 3D model", file: "a file" };

export function Drop(props: DropProps) {
  const { field, id } = props;
  const chooser = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const take = (data: DataTransfer | null) => {
    const { files, link } = itemsIn(data);
    for (const file of props.many ? files : files.slice(0, 1)) props.onFile(file);
    if (!files.length && link) props.onLink(link);
    return files.length > 0 || link !== "";
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer);
  };
  const paste = (event: ClipboardEvent) => {
    if ((event.target as Element).matches("input[type=url]") && !event.clipboardData?.files.length) return;
    if (take(event.clipboardData)) event.preventDefault();
  };
  const chosen = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    for (const file of Array.from(input.files ?? [])) props.onFile(file);
    input.value = "";
  };
  const accept = field.limits.types?.join(",") ?? ACCEPT[field.media];
  return (
    <div class="drop" data-over={isOver} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop} onPaste={paste}>
      <button type="button" id={id} class="drop-button" aria-labelledby={props.many ? undefined : `${id}-label ${id}`} aria-describedby={props.describedBy} aria-invalid={props.isWrong} onClick={() => chooser.current?.click()}>
        <strong>Choose {props.many ? "files" : WORDS[field.media]}</strong>
        <span>or drop {props.many ? "them" : "it"} here, or paste with Ctrl+V</span>
      </button>
      <input ref={chooser} type="file" class="sr" tabIndex={-1} aria-hidden="true" accept={accept} multiple={props.many} onChange={chosen} />
      <Tools {...props} />
      {props.children}
    </div>
  );
}

function Tools(props: DropProps) {
  const { field } = props;
  return (
    <div class="drop-tools">
      <Link {...props} />
      {canRecord(field) && <Capture {...props} />}
      {field.samples.map((each) => (
        <button type="button" class="chip" key={each} onClick={() => props.onLink(new URL(each, location.href).href)}>Sample {lastPart(each)}</button>
      ))}
    </div>
  );
}

function Link(props: DropProps) {
  const [text, setText] = useState("");
  const use = () => {
    if (!text.trim()) return;
    props.onLink(text.trim());
    setText("");
  };
  const enter = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    use();
  };
  return (
    <div class="link">
      <input type="url" aria-label={`Link to ${WORDS[props.field.media]} for ${props.field.title}`} placeholder="https://…" value={text}
        onInput={(event) => setText(event.currentTarget.value)} onKeyDown={enter} onBlur={use} />
    </div>
  );
}

function canRecord(field: Field): boolean {
  return field.media !== "file" && field.media !== "model3d" && Boolean(navigator.mediaDevices?.getUserMedia);
}

/** The recorder is loaded when it is asked for. */
function Capture(props: DropProps) {
  const [Dialog, setDialog] = useState<null | typeof import("./capture").CaptureDialog>(null);
  const open = async () => {
    const { CaptureDialog } = await import("./capture");
    setDialog(() => CaptureDialog);
  };
  const name = props.field.media === "audio" ? "Microphone" : "Camera";
  return (
    <>
      <button type="button" class="chip" onClick={open}>{name}</button>
      {Dialog && <Dialog kind={props.field.media} onClose={() => setDialog(null)} onFile={(file) => { setDialog(null); props.onFile(file); }} />}
    </>
  );
}
