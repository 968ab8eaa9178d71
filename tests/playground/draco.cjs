// Writes a triangle as binary glTF whose mesh is compressed: node draco.cjs ENCODER TARGET
const { writeFileSync } = require("node:fs");

require(process.argv[2])({ onModuleLoaded: write });

function write(module) {
  const encoder = new module.Encoder();
  const builder = new module.MeshBuilder();
  const mesh = new module.Mesh();
  const faces = new Uint32Array([0, 1, 2, 0, 2, 3]);
  const places = new Float32Array([-1, 0, 0, 1, 0, 0, 1, 1.5, 0, -1, 1.5, 0]);
  builder.AddFacesToMesh(mesh, 2, faces);
  const position = builder.AddFloatAttributeToMesh(mesh, module.POSITION, 4, 3, places);
  encoder.SetEncodingMethod(module.MESH_SEQUENTIAL_ENCODING);
  const array = new module.DracoInt8Array();
  const length = encoder.EncodeMeshToDracoBuffer(mesh, array);
  if (length <= 0) throw new Error("nothing was encoded");
  const packed = Buffer.alloc(length + ((4 - (length % 4)) % 4));
  for (let n = 0; n < length; n += 1) packed[n] = array.GetValue(n) & 255;
  const extension = { KHR_draco_mesh_compression: { bufferView: 0, attributes: { POSITION: position } } };
  const gltf = {
    asset: { version: "2.0" }, scene: 0, scenes: [{ nodes: [0] }], nodes: [{ mesh: 0 }],
    extensionsUsed: Object.keys(extension), extensionsRequired: Object.keys(extension),
    meshes: [{ primitives: [{ attributes: { POSITION: 0 }, indices: 1, extensions: extension }] }],
    buffers: [{ byteLength: packed.length }], bufferViews: [{ buffer: 0, byteLength: length }],
    accessors: [
      { componentType: 5126, count: 4, type: "VEC3", min: [-1, 0, 0], max: [1, 1.5, 0] },
      { componentType: 5125, count: 6, type: "SCALAR" },
    ],
  };
  let text = JSON.stringify(gltf);
  text += " ".repeat((4 - (text.length % 4)) % 4);
  const head = Buffer.alloc(20);
  head.write("glTF", 0);
  head.writeUInt32LE(2, 4);
  head.writeUInt32LE(28 + text.length + packed.length, 8);
  head.writeUInt32LE(text.length, 12);
  head.write("JSON", 16);
  const middle = Buffer.alloc(8);
  middle.writeUInt32LE(packed.length, 0);
  middle.write("BIN\0", 4);
  writeFileSync(process.argv[3], Buffer.concat([head, Buffer.from(text), middle, packed]));
}
