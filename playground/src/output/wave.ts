// The waveform of a sound, drawn over the browser's own player; loaded when there is a sound.

import WaveSurfer from "wavesurfer.js";

export function drawWave(container: HTMLElement, media: HTMLMediaElement): () => void {
  const colours = getComputedStyle(container);
  const wave = WaveSurfer.create({
    container,
    media,
    height: 72,
    waveColor: colours.getPropertyValue("--faint").trim() || "#888",
    progressColor: colours.getPropertyValue("--accent").trim() || "#06c",
    cursorColor: colours.color,
  });
  wave.on("error", () => wave.destroy());
  return () => wave.destroy();
}
