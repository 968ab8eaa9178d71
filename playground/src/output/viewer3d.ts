// <model-viewer>, with decoders of our own address: nothing is fetched from anywhere else.

import "@google/model-viewer";

const own = new URL(/* @vite-ignore */ "./", import.meta.url).href;

// Each element reads these when it is made; without them it goes to addresses of Google's.
Object.assign(globalThis, {
  ModelViewerElement: { dracoDecoderLocation: own, ktx2TranscoderLocation: own, lottieLoaderLocation: `${own}none.js` },
});
