// What is said under every file: its facts, how long it lives, what can be done with it.

import { useEffect, useState } from "preact/hooks";
import { bytes, lastPart, seconds } from "../model/json";
import { downloadOf, type FileValue, lifeOf } from "../model/media";
import { useRemix } from "./remix";

export function FileLine(props: { file: FileValue; media: "image" | "video" | "audio" | "file" | "model3d"; pixels?: string | undefined }) {
  const { file } = props;
  const remix = useRemix(props.media);
  const size = file.width && file.height ? `${file.width} × ${file.height}` : props.pixels;
  return (
    <p class="meta">
      {downloadOf(file.url) && <a href={downloadOf(file.url)} download={file.file_name ?? ""}>Download<span class="sr"> {nameOf(file)}</span></a>}
      {remix.targets.map((target) => (
        <button type="button" class="quiet" key={target.key} onClick={() => remix.use(target.key, file.url)}>Use as {target.title.toLowerCase()}</button>
      ))}
      {size && <span>{size}</span>}
      {file.content_type && <span>{file.content_type}</span>}
      {file.file_size !== null && <span>{bytes(file.file_size)}</span>}
      <Life file={file} />
    </p>
  );
}

/** Counts down; a file whose life is over says so. */
function Life(props: { file: FileValue }) {
  const [now, setNow] = useState(Date.now());
  const left = lifeOf(props.file, now);
  const pause = left === null || left < 0 ? null : left < 120 ? 1000 : 30_000;
  useEffect(() => {
    if (pause === null) return;
    const timer = setInterval(() => setNow(Date.now()), pause);
    return () => clearInterval(timer);
  }, [pause]);
  if (left === null) return null;
  return left < 0 ? <span class="error">expired</span> : <span>expires in {seconds(left)}</span>;
}

/** Say why something is not shown, and what helps. */
export function CannotShow(props: { file: FileValue; what: string }) {
  const { file } = props;
  const left = lifeOf(file, Date.now());
  if (left !== null && left < 0) return <p class="notice">This file expired at {file.expires_at}. Run it again for a new one.</p>;
  return (
    <p class="notice">
      This browser cannot {props.what} {file.content_type ?? "this file"}. Download it, or let the app return{" "}
      {props.what === "play" ? "MP4 (H.264), WAV or MP3" : "PNG, JPEG or WebP"}. If the file was removed, run it again.
    </p>
  );
}

export function nameOf(file: FileValue): string {
  return file.file_name ?? (lastPart(file.url).slice(0, 80) || "file");
}

/** A file on another server is linked, not fetched; what is no address of a server is just named. */
export function Foreign(props: { file: FileValue }) {
  const { url } = props.file;
  const name = url.slice(0, 120);
  if (!downloadOf(url)) return <p class="notice">This is no address of a file: {name}</p>;
  return <p class="notice">It lies on another server: <a href={url} rel="noreferrer noopener" target="_blank">{name}</a></p>;
}

/** What is dragged from an output can be dropped on an input. */
export function dragged(url: string) {
  return {
    draggable: true,
    onDragStart: (event: DragEvent) => {
      event.dataTransfer?.setData("text/uri-list", url);
      event.dataTransfer?.setData("text/plain", url);
    },
  };
}
