import { describe, expect, it } from "vitest";
import { type Json, lastPart } from "../src/model/json";
import { downloadOf, filesIn, lifeOf, asFile, outputsOf, viewerOf } from "../src/model/media";
import { Reader, type Schema } from "../src/model/schema";

const reader = new Reader({ components: { schemas: { File: { title: "File", type: "object", properties: { url: {}, content_type: {} } }, Image: { title: "Image", type: "object", properties: { url: {}, content_type: {} }, ui: { field: "image" } } } } });
const file = (type: string | null, name: string | null = null): Json => ({ url: "http://x/f", content_type: type, file_name: name });
const ref = (name: string): Schema => reader.resolve({ $ref: `#/components/schemas/${name}` });

describe("the viewer of a value", () => {
  it.each<[string, Schema, Json, string]>([
    ["an image by its class", ref("Image"), file(null), "image"],
    ["a plain file is a link, whatever it holds", ref("File"), file("image/png"), "file"],
    ["a file of an unknown class goes by its type", {}, file("video/mp4"), "video"],
    ["a model by its type", ref("File"), file("model/gltf-binary"), "model3d"],
    ["a model by its name", {}, file("application/octet-stream", "a.GLB"), "model3d"],
    ["a zip", {}, file("application/zip"), "archive"],
    ["several files", {}, [file("image/png"), file("image/png")], "gallery"],
    ["links with a hint", { items: { type: "string", ui: { field: "image" } } }, ["http://x/a"], "gallery"],
    ["a link with a hint", { type: "string", ui: { field: "audio" } }, "http://x/a", "audio"],
    ["markdown", { type: "string", ui: { field: "markdown" } }, "# x", "markdown"],
    ["long text", {}, "x".repeat(80), "text"],
    ["short text", {}, "x", "value"],
    ["a number", {}, 3, "value"],
    ["plain lists", {}, ["a", 1], "value"],
    ["the empty list", {}, [], "value"],
    ["an object", {}, { a: 1 }, "json"],
    ["lists of objects", {}, [{ a: 1 }], "json"],
  ])("%s", (_, schema, value, viewer) => {
    expect(viewerOf(reader, schema, value)).toBe(viewer);
  });
});

it("shows an answer in the order of its schema, without what is null or hidden", () => {
  const schema = { type: "object", properties: { b: { type: "string", title: "B" }, sample_rate: { type: "integer", title: "Sample Rate" }, h: { ui: { hidden: true } }, n: {} } };
  const found = outputsOf(reader, schema, { extra: 1, h: 1, n: null, sample_rate: 2, b: "x" });
  expect(found.map((each) => [each.key, each.title])).toEqual([["b", "B"], ["sample_rate", "Sample rate"], ["extra", "Extra"]]);
});

it("shows what is no object as one result", () => {
  expect(outputsOf(reader, null, 3).map((each) => each.title)).toEqual(["Result"]);
  expect(outputsOf(reader, ref("Image"), file("image/png"))[0]?.viewer).toBe("image");
});

it("finds every file of an answer, and no end of them", () => {
  expect(filesIn({ a: file("x"), b: [{ c: file("y") }], d: "z" })).toHaveLength(2);
  expect(filesIn(Array.from({ length: 500 }, () => file("x")))).toHaveLength(200);
});

it("counts down the life of a file", () => {
  const dated = (expires_at: string | null) => asFile({ url: "u", content_type: null, expires_at });
  const now = Date.parse("2026-01-01T00:00:00Z");
  expect(lifeOf(dated("2026-01-01T00:01:00+00:00"), now)).toBe(60);
  expect(lifeOf(dated("2025-12-31T23:59:59+00:00"), now)).toBe(-1);
  expect(lifeOf(dated(null), now)).toBeNull();
  expect(lifeOf(dated("soon"), now)).toBeNull();
});

it("names a file by its URL, also where that is no good one", () => {
  expect(lastPart("http://x/a/%C3%BC.png?b#c")).toBe("ü.png");
  expect(lastPart("http://x/100%.png")).toBe("100%.png");
});

it("asks for a download where the server can be asked", () => {
  expect(downloadOf("http://x/a?b=1")).toBe("http://x/a?b=1&download=1");
  expect(downloadOf("data:,x")).toBe("data:,x");
  expect(downloadOf("javascript:alert(1)")).toBe("");
  expect(downloadOf("http://")).toBe("");
});
