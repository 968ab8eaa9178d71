// <model-viewer>, with decoders of our own address: nothing is fetched from anywhere else.

import { ModelViewerElement } from "@google/model-viewer";

const own = new URL(/* @vite-ignore */ "./", import.meta.url).href;
ModelViewerElement.dracoDecoderLocation = own;
ModelViewerElement.ktx2TranscoderLocation = own;
