// A picture or clip from the camera, a sound from the microphone.

import { useEffect, useRef, useState } from "preact/hooks";
import type { MediaKind } from "../model/schema";
import { Dialog, Status } from "../ui";

interface Props {
  kind: MediaKind;
  onFile: (file: File) => void;
  onClose: () => void;
}

const TYPES: Record<string, string[]> = {
  video: ["video/mp4", "video/webm;codecs=vp9,opus", "video/webm"],
  audio: ["audio/mp4", "audio/webm;codecs=opus", "audio/webm", "audio/ogg"],
};

export function CaptureDialog(props: Props) {
  const [stream, setStream] = useState<MediaStream | null>(null);
  const [mistake, tell] = useState("");
  useEffect(() => {
    let opened: MediaStream | null = null;
    let isGone = false;
    navigator.mediaDevices.getUserMedia({ video: props.kind !== "audio", audio: props.kind !== "image" }).then(
      (found) => {
        opened = found;
        if (isGone) stop(found);
        else setStream(found);
      },
      (error: Error) => tell(`It cannot be used: ${error.message}. Allow it for this page, or choose a file.`),
    );
    return () => {
      isGone = true;
      if (opened) stop(opened);
    };
  }, []);
  const name = props.kind === "audio" ? "Microphone" : "Camera";
  return (
    <Dialog label={name} onClose={props.onClose}>
      <Status>{mistake || (stream ? "" : "Waiting for permission…")}</Status>
      {stream && (props.kind === "image" ? <Photo {...props} stream={stream} /> : <Recording {...props} stream={stream} />)}
    </Dialog>
  );
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

function Live(props: { stream: MediaStream; view: { current: HTMLVideoElement | null } }) {
  useEffect(() => {
    if (props.view.current) props.view.current.srcObject = props.stream;
  }, [props.stream]);
  return <video ref={props.view} class="preview" autoplay muted playsInline aria-label="What the camera sees" />;
}

function Photo(props: Props & { stream: MediaStream }) {
  const view = useRef<HTMLVideoElement>(null);
  const take = () => {
    const video = view.current;
    if (!video?.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    canvas.toBlob((blob) => blob && props.onFile(new File([blob], "photo.png", { type: "image/png" })), "image/png");
  };
  return (
    <div class="stack">
      <Live stream={props.stream} view={view} />
      <button type="button" class="primary" onClick={take}>Take the picture</button>
    </div>
  );
}

function Recording(props: Props & { stream: MediaStream }) {
  const view = useRef<HTMLVideoElement>(null);
  const recorder = useRef<MediaRecorder | null>(null);
  const [isOn, setOn] = useState(false);
  useEffect(() => () => {
    if (recorder.current?.state === "recording") recorder.current.stop();
  }, []);
  const begin = () => {
    const type = (TYPES[props.kind] ?? []).find((each) => MediaRecorder.isTypeSupported(each));
    const made = new MediaRecorder(props.stream, type ? { mimeType: type } : {});
    const parts: Blob[] = [];
    made.ondataavailable = (event) => parts.push(event.data);
    made.onstop = () => {
      const kind = (made.mimeType.split(";")[0] ?? "") || `${props.kind}/webm`;
      props.onFile(new File(parts, `recording.${kind.split("/")[1]}`, { type: kind }));
    };
    recorder.current = made;
    made.start();
    setOn(true);
  };
  return (
    <div class="stack">
      {props.kind === "video" && <Live stream={props.stream} view={view} />}
      <Status>{isOn ? "Recording…" : ""}</Status>
      {isOn
        ? <button type="button" class="primary" onClick={() => recorder.current?.stop()}>Stop and use it</button>
        : <button type="button" class="primary" onClick={begin}>Record</button>}
    </div>
  );
}
