// Writes two triangles as binary glTF, compressed: node solid.cjs draco|meshopt TARGET
const { writeFileSync } = require("node:fs");

const [, , how, target] = process.argv;
const FACES = new Uint32Array([0, 1, 2, 0, 2, 3]);
const CORNERS = new Float32Array([-1, 0, 0, 1, 0, 0, 1, 1.5, 0, -1, 1.5, 0]);
const PLACES = { componentType: 5126, type: "VEC3", min: [-1, 0, 0], max: [1, 1.5, 0] };

// Draco's module has a `then` of its own for ever, so it cannot be awaited.
if (how === "draco") require("draco3d").createEncoderModule({ onModuleLoaded: byDraco });
else import("meshoptimizer").then(byMeshopt);

function byDraco(module) {
  const encoder = new module.Encoder();
  const builder = new module.MeshBuilder();
  const mesh = new module.Mesh();
  builder.AddFacesToMesh(mesh, 2, FACES);
  const position = builder.AddFloatAttributeToMesh(mesh, module.POSITION, 4, 3, CORNERS);
  encoder.SetEncodingMethod(module.MESH_SEQUENTIAL_ENCODING);
  const array = new module.DracoInt8Array();
  const length = encoder.EncodeMeshToDracoBuffer(mesh, array);
  if (length <= 0) throw new Error("nothing was encoded");
  const packed = Buffer.from(Array.from({ length }, (_, n) => array.GetValue(n) & 255));
  const extension = { KHR_draco_mesh_compression: { bufferView: 0, attributes: { POSITION: position } } };
  write(packed, Object.keys(extension), {
    meshes: [{ primitives: [{ attributes: { POSITION: 0 }, indices: 1, extensions: extension }] }],
    buffers: [{ byteLength: padded(packed.length) }],
    bufferViews: [{ buffer: 0, byteLength: length }],
    accessors: [{ ...PLACES, count: 4 }, { componentType: 5125, count: 6, type: "SCALAR" }],
  });
}

async function byMeshopt({ MeshoptEncoder: encoder }) {
  await encoder.ready;
  const corners = Float32Array.from([...FACES].flatMap((n) => [...CORNERS.subarray(3 * n, 3 * n + 3)]));
  const packed = Buffer.from(encoder.encodeGltfBuffer(new Uint8Array(corners.buffer), 6, 12, "ATTRIBUTES"));
  const extension = { buffer: 0, byteLength: packed.length, byteStride: 12, count: 6, mode: "ATTRIBUTES" };
  write(packed, ["EXT_meshopt_compression"], {
    meshes: [{ primitives: [{ attributes: { POSITION: 0 } }] }],
    buffers: [{ byteLength: padded(packed.length) }, { byteLength: 72, extensions: { EXT_meshopt_compression: { fallback: true } } }],
    bufferViews: [{ buffer: 1, byteLength: 72, byteStride: 12, extensions: { EXT_meshopt_compression: extension } }],
    accessors: [{ ...PLACES, bufferView: 0, count: 6 }],
  });
}

function padded(length) {
  return length + ((4 - (length % 4)) % 4);
}

function write(data, extensions, facts) {
  const gltf = { asset: { version: "2.0" }, scene: 0, scenes: [{ nodes: [0] }], nodes: [{ mesh: 0 }], extensionsUsed: extensions, extensionsRequired: extensions, ...facts };
  const json = JSON.stringify(gltf);
  const text = Buffer.from(json.padEnd(padded(json.length)));
  const body = Buffer.alloc(padded(data.length));
  data.copy(body);
  const head = Buffer.alloc(12);
  head.write("glTF", 0);
  head.writeUInt32LE(2, 4);
  head.writeUInt32LE(28 + text.length + body.length, 8);
  writeFileSync(target, Buffer.concat([head, ...chunk("JSON", text), ...chunk("BIN\0", body)]));
}

function chunk(name, content) {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(content.length, 0);
  head.write(name, 4);
  return [head, content];
}
