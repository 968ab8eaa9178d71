// The built page: unhashed names, relative addresses, no inline script, one style sheet.

import { appendFileSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const OUT = "../src/towpath/playground/static";
const DRACO = "node_modules/three/examples/jsm/libs/draco/gltf";

const NOTICES = `
## draco (Apache-2.0)

Copyright 2016 The Draco Authors. draco_decoder.wasm and draco_wasm_wrapper.js come as they are in three's
package, under the Apache License, version 2.0: https://www.apache.org/licenses/LICENSE-2.0

## meshoptimizer (MIT)

Copyright (C) 2016-2026, by Arseny Kapoulkine. Its decoder comes in three's package, under the same terms
as three.js above.
`;

/** The decoder of compressed meshes: only the one for glTF, under its own name. */
function decoders(): Plugin {
  return {
    name: "decoders",
    transform(code, id) {
      return id.endsWith("/DRACOLoader.js") ? code.replace(/new URL\( '\.\.\/libs[^)]*\)/g, "''") : undefined;
    },
    closeBundle() {
      for (const name of ["draco_wasm_wrapper.js", "draco_decoder.wasm"]) copyFileSync(join(DRACO, name), join(OUT, name));
      appendFileSync(join(OUT, "THIRD_PARTY_LICENSES.md"), NOTICES);
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
