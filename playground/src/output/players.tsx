// Videos and sounds: the browser's own players, with steps of one frame and a waveform.

import { useEffect, useRef, useState } from "preact/hooks";
import type { FileValue } from "../model/media";
import { isOurs } from "../page";
import { CannotShow, dragged, FileLine, Foreign } from "./file";

const LARGEST_WAVE = 20_000_000;
const FRAME = 1 / 30; // where the file does not say how long its frames are

export function VideoView(props: { file: FileValue; title: string; fps: number | undefined; captions: string | undefined }) {
  const { file } = props;
  const video = useRef<HTMLVideoElement>(null);
  const [isBroken, setBroken] = useState(false);
  if (!isOurs(file.url)) return <Foreign file={file} />;
  const step = (by: number) => {
    const player = video.current;
    if (!player) return;
    player.pause();
    player.currentTime = Math.max(0, Math.min(player.duration || 0, player.currentTime + by / (props.fps ?? 1 / FRAME)));
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === ",") step(-1);
    else if (event.key === ".") step(1);
  };
  return (
    <figure class="media" onKeyDown={key}>
      {isBroken ? <CannotShow file={file} what="play" /> : (
        <video key={file.url} ref={video} src={file.url} aria-label={props.title} controls loop playsInline preload="metadata" onError={() => setBroken(true)} {...dragged(file.url)}>
          {props.captions && <track kind="captions" src={props.captions} default />}
        </video>
      )}
      <figcaption>
        {!isBroken && (
          <span class="row">
            <button type="button" class="quiet" onClick={() => step(-1)}>◂ Frame</button>
            <button type="button" class="quiet" onClick={() => step(1)}>Frame ▸</button>
          </span>
        )}
        <FileLine file={file} media="video" />
      </figcaption>
    </figure>
  );
}

export function AudioView(props: { file: FileValue; title: string }) {
  const { file } = props;
  const audio = useRef<HTMLAudioElement>(null);
  const wave = useRef<HTMLDivElement>(null);
  const [isBroken, setBroken] = useState(false);
  const drawn = isOurs(file.url) && !isBroken && (file.file_size ?? 0) <= LARGEST_WAVE;
  useEffect(() => {
    if (!drawn) return;
    let gone = false;
    let remove = () => {};
    import("./wave").then(({ drawWave }) => {
      if (!gone && audio.current && wave.current) remove = drawWave(wave.current, audio.current);
    }).catch(() => undefined); // the player is there without it
    return () => {
      gone = true;
      remove();
    };
  }, [file.url, drawn]);
  if (!isOurs(file.url)) return <Foreign file={file} />;
  return (
    <figure class="media">
      {isBroken ? <CannotShow file={file} what="play" /> : (
        <>
          {drawn && <div ref={wave} class="wave" aria-hidden="true" />}
          <audio key={file.url} ref={audio} src={file.url} aria-label={props.title} controls preload="metadata" onError={() => setBroken(true)} {...dragged(file.url)} />
        </>
      )}
      <figcaption><FileLine file={file} media="audio" /></figcaption>
    </figure>
  );
}
