// The built page: unhashed names, relative addresses, no inline script, one style sheet.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const OUT = "../src/towpath/playground/static";
const DRACO = "node_modules/three/examples/jsm/libs/draco/gltf";

/** The decoder of compressed meshes; the viewer would fetch it from elsewhere. */
function decoders(): Plugin {
  return {
    name: "decoders",
    closeBundle() {
      for (const name of ["draco_wasm_wrapper.js", "draco_decoder.wasm"]) copyFileSync(join(DRACO, name), join(OUT, name));
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [decoders()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    assetsDir: "",
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    manifest: "manifest.json",
    license: { fileName: "THIRD_PARTY_LICENSES.md" },
    rolldownOptions: {
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
      },
    },
    chunkSizeWarningLimit: 1400,
  },
});
