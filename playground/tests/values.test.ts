import { describe, expect, it } from "vitest";
import { getIn, setIn } from "../src/model/json";
import { Reader, type Schema } from "../src/model/schema";
import { bodyOf, branchOf, errorsOf, initialOf, sharedOf } from "../src/model/values";

const reader = new Reader({});
const form = (properties: Schema, required: string[] = []) => reader.field("", { type: "object", properties, required }, true);
const size = { anyOf: [{ type: "object", title: "Size", properties: { width: { type: "integer", default: 512 } } }, { type: "string", enum: ["square", "wide"] }], default: "square" };

describe("what is sent", () => {
  it.each<[string, Schema, string[], any, any]>([
    ["what is there", { a: { type: "string" } }, [], { a: "x" }, { a: "x" }],
    ["no empty text that is not required", { a: { type: "string" } }, [], { a: "" }, {}],
    ["an empty text where one is required", { a: { type: "string" } }, ["a"], {}, { a: "" }],
    ["an emptied text that has a default", { a: { type: "string", default: "x" } }, [], { a: "" }, { a: "" }],
    ["no null that is the default anyway", { a: { type: ["string", "null"] } }, [], { a: null }, {}],
    ["null where something else is the default", { a: { type: ["string", "null"], default: "x" } }, [], { a: null }, { a: null }],
    ["zero and false", { a: { type: "integer" }, b: { type: "boolean" } }, [], { a: 0, b: false }, { a: 0, b: false }],
    ["a file as an object where one is wanted", { f: { type: "object", properties: { url: {}, content_type: {} } } }, [], { f: "u" }, { f: { url: "u" } }],
    ["no file that is not there", { image_url: { type: "string" } }, ["image_url"], { image_url: "" }, {}],
    ["files less the empty ones", { image_urls: { type: "array", items: { type: "string" } } }, [], { image_urls: ["a", ""] }, { image_urls: ["a"] }],
    ["what only the JSON view can set", { a: { type: "string" } }, [], { a: "x", other: 1 }, { a: "x", other: 1 }],
    ["a branch's own body", { size }, [], { size: { width: 3 } }, { size: { width: 3 } }],
  ])("%s", (_, properties, required, value, body) => {
    expect(bodyOf(form(properties, required), value)).toEqual(body);
  });
});

it("begins with defaults, empty lists and no hidden field", () => {
  const fields = form({ a: { type: "string", default: "x" }, l: { type: "array", items: { type: "string" } }, h: { type: "integer", default: 1, ui: { hidden: true } }, size }, []);
  expect(initialOf(fields)).toEqual({ a: "x", l: [], size: "square" });
});

it("knows the branch of a value", () => {
  const branches = form({ size }).children()[0]!.branches();
  expect(branchOf(branches, "wide")).toBe(1);
  expect(branchOf(branches, { width: 1 })).toBe(0);
});

describe("errors find their field", () => {
  const fields = form({ prompt: { type: "string" }, size, loras: { type: "array", items: { type: "object", properties: { path: { type: "string" } } } }, opt: { anyOf: [{ type: "object", title: "Opt", properties: { a: { type: "string" } } }, { type: "null" }] } });
  it.each<[(string | number)[], (string | number)[]]>([
    [["body", "prompt"], ["prompt"]],
    [["body", "loras", 0, "path"], ["loras", 0, "path"]],
    [["body", "size", "Size", "width"], ["size", "width"]],
    [["body", "size", "literal['square','wide']"], ["size"]],
    [["body", "opt", "a"], ["opt", "a"]],
    [["body", "nothing"], []],
    [["query", "x"], []],
  ])("%j", (loc, path) => {
    expect(errorsOf(fields, [{ loc, msg: "no" }])).toEqual([{ path, message: "no" }]);
  });
  it("has none where the server says just a sentence", () => {
    expect(errorsOf(fields, "no")).toEqual([]);
  });
});

it("keeps no secret and no data: URI", () => {
  const fields = form({ token: { type: "string", format: "password" }, image_url: { type: "string" }, inner: { type: "object", properties: { key: { type: "string", writeOnly: true }, a: { type: "string" } } }, l: { type: "array", items: { type: "string" } } });
  const value = { token: "secret", image_url: "data:image/png;base64,AAAA", inner: { key: "secret", a: "x" }, l: ["data:,x", "y"] };
  expect(sharedOf(fields, value)).toEqual({ inner: { a: "x" }, l: ["", "y"] });
  expect(JSON.stringify(sharedOf(fields, value))).not.toContain("secret");
});

it("changes a value without touching the old one", () => {
  const before = { a: [{ b: 1 }, { b: 2 }], c: { d: 1 } };
  const after = setIn(before, ["a", 1, "b"], 3) as typeof before;
  expect(getIn(after, ["a", 1, "b"])).toBe(3);
  expect(before.a[1]!.b).toBe(2);
  expect(after.c).toBe(before.c);
  expect(setIn(before, ["c"], undefined)).toEqual({ a: before.a });
});
