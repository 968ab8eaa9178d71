import { describe, expect, it } from "vitest";
import { readDocument } from "../src/model/endpoints";
import { type Field, orderOf, Reader, type Schema } from "../src/model/schema";

const reader = new Reader({ components: { schemas: { Lora: { type: "object", title: "Lora", properties: { path: { type: "string" }, scale: { type: "number", default: 1 } } } } } });
const field = (key: string, schema: Schema): Field => reader.field(key, schema, false);

describe("a field's control", () => {
  const table: [string, string, Schema, Partial<Field>][] = [
    ["text", "name", { type: "string" }, { kind: "text" }],
    ["a prompt is long", "prompt", { type: "string" }, { kind: "textarea" }],
    ["a secret", "token", { type: "string", format: "password" }, { kind: "password" }],
    ["write only is a secret", "token", { type: "string", writeOnly: true }, { kind: "password" }],
    ["whole number", "n", { type: "integer" }, { kind: "number", integer: true }],
    ["choice", "n", { enum: ["a", "b"] }, { kind: "choice" }],
    ["one value", "n", { const: 3 }, { kind: "choice" }],
    ["by its name", "input_image_url", { type: "string" }, { kind: "file", media: "image" }],
    ["several by their name", "video_urls", { type: "array", items: { type: "string" } }, { kind: "files", media: "video" }],
    ["by its hint", "path", { type: "string", ui: { field: "audio" } }, { kind: "file", media: "audio" }],
    ["by its formats", "path", { anyOf: [{ type: "string", format: "https-url" }, { type: "string", format: "data-uri" }] }, { kind: "file", media: "file" }],
    ["null is an empty state", "image", { anyOf: [{ type: "string", ui: { field: "image" } }, { type: "null" }] }, { kind: "file", nullable: true }],
    ["null in a list of types", "n", { type: ["integer", "null"] }, { kind: "number", nullable: true }],
    ["a mask", "mask_url", { type: "string", ui: { field: "mask" } }, { kind: "mask", media: "image" }],
    ["preset or object", "size", { anyOf: [{ $ref: "#/components/schemas/Lora" }, { type: "string", enum: ["big"] }] }, { kind: "union" }],
    ["two lists of choices are one", "x", { anyOf: [{ enum: ["a"] }, { enum: ["b"] }] }, { kind: "choice" }],
    ["a file as an object", "f", { type: "object", properties: { url: {}, content_type: {} } }, { kind: "file", asObject: true }],
    ["an object", "l", { $ref: "#/components/schemas/Lora" }, { kind: "object" }],
    ["a list of objects", "l", { type: "array", items: { $ref: "#/components/schemas/Lora" } }, { kind: "array" }],
    ["anything else", "x", {}, { kind: "json" }],
    ["an object without fields", "x", { type: "object" }, { kind: "json" }],
    ["a reference to nowhere", "x", { $ref: "#/nowhere" }, { kind: "json" }],
  ];
  it.each(table)("%s", (_, key, schema, wanted) => {
    expect(field(key, schema)).toMatchObject(wanted);
  });

  it("is found whatever hints are", () => {
    const odd = { type: "string", title: 3, examples: 5, "x-samples": 5, "x-fal": "no", ui: "no", description: null };
    expect(() => field("x", odd as Schema)).not.toThrow();
  });

  it("is JSON where a schema contains itself without end", () => {
    const endless = new Reader({ d: { type: "object", properties: { next: { $ref: "#/d" } } } });
    let found = endless.field("x", { $ref: "#/d" }, true);
    for (let depth = 0; depth < 12 && found.kind === "object"; depth += 1) found = found.children()[0] as Field;
    expect(found.kind).toBe("json");
  });
});

it("makes the fields of an object once, so that what did not change is not drawn again", () => {
  const form = field("l", { $ref: "#/components/schemas/Lora" });
  expect(form.children()).toBe(form.children());
  expect(form.children()[0]).toBe(form.children()[0]);
});

describe("names", () => {
  it.each([
    ["image_url", { type: "string", title: "Image Url" }, "Image"],
    ["num_images", { type: "integer", title: "Num Images" }, "Num images"],
    ["x", { type: "string", title: "My own title" }, "My own title"],
    ["opt", { anyOf: [{ $ref: "#/components/schemas/Lora" }, { type: "null" }] }, "Opt"],
  ])("%s", (key, schema, title) => {
    expect(field(key, schema as Schema).title).toBe(title);
  });
});

describe("the order of fields", () => {
  const properties = { a: {}, b: { "x-order": 0 }, c: {} };
  it("is the author's, and nothing is left out", () => {
    expect(orderOf({ properties, "x-fal-order-properties": ["c", "gone", "a"] })).toEqual(["c", "a", "b"]);
    expect(orderOf({ properties, "x-order-properties": ["b"], "x-fal-order-properties": ["c"] })[0]).toBe("b");
    expect(orderOf({ properties })[0]).toBe("b");
  });
  it("puts important ones on top", () => {
    const form = reader.field("", { type: "object", properties: { a: { type: "string" }, b: { type: "string", ui: { important: true } } } }, true);
    expect(form.children().map((each) => each.key)).toEqual(["b", "a"]);
  });
});

describe("a document", () => {
  const post = (more: object = {}) => ({ post: { summary: "Do", responses: { 200: { content: { "application/json": { schema: {} } } } }, ...more } });
  it("lists endpoints in the author's order, without those that stop others", () => {
    const found = readDocument({ info: { title: "T" }, paths: { "/b": post(), "/": post(), "/b/cancel": post(), "/health": { get: {} } }, "x-fal-order-paths": ["/", "/b"] });
    expect(found.endpoints.map((each) => each.path)).toEqual(["/", "/b"]);
  });
  it("knows which endpoints stream", () => {
    const found = readDocument({ paths: { "/": { post: { responses: { 200: { content: { "text/event-stream": {} } } } } } } });
    expect(found.endpoints[0]?.streams).toBe(true);
  });
  it("survives a document with next to nothing in it", () => {
    expect(readDocument({}).endpoints).toEqual([]);
    expect(readDocument({ paths: { "/": { post: {} } } }).endpoints[0]?.input).toBeNull();
  });
});
