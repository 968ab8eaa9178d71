// An OpenAPI document -> the fields of a form. Pure.

import { isObject, type Json, type JsonObject } from "./json";

export type Schema = { [key: string]: any };
export type MediaKind = "image" | "video" | "audio" | "file" | "model3d";
export type Kind =
  | "text" | "textarea" | "password" | "number" | "boolean" | "choice" | "file" | "files"
  | "mask" | "object" | "array" | "union" | "json";

export interface Choice {
  label: string;
  value: Json;
}

export interface Limits {
  bytes?: number;
  types?: string[];
  note: string;
}

/** One field of a form; the fields of an object and the branches of a union are made when asked. */
export interface Field {
  key: string;
  title: string;
  description: string;
  kind: Kind;
  schema: Schema;
  required: boolean;
  nullable: boolean;
  initial: Json | undefined;
  advanced: boolean;
  important: boolean;
  hidden: boolean;
  deprecated: boolean;
  readOnly: boolean;
  media: MediaKind;
  /** A file that is sent as an object with a url, not as a text. */
  asObject: boolean;
  limits: Limits;
  integer: boolean;
  choices: Choice[];
  examples: Json[];
  samples: string[];
  /** The field that a mask is painted over. */
  over: string | undefined;
  children: () => Field[];
  item: () => Field;
  branches: () => Field[];
}

const MEDIA: readonly MediaKind[] = ["image", "video", "audio", "model3d", "file"];
const FILE_FORMATS = new Set(["https-url", "data-uri", "data-url"]);
const DEEPEST = 8;

/** Turns schemas of one document into fields. */
export class Reader {
  constructor(private readonly document: Schema) {}

  /** Return a schema with its `$ref` followed, and what stands beside it kept. */
  resolve(schema: Schema | undefined, depth = 0): Schema {
    if (!schema || depth > DEEPEST) return {};
    if (typeof schema.$ref === "string") {
      const { $ref, ...beside } = schema;
      return { ...this.resolve(this.at($ref), depth + 1), ...beside };
    }
    if (Array.isArray(schema.allOf) && schema.allOf.length === 1) {
      const { allOf, ...beside } = schema;
      return { ...this.resolve(allOf[0], depth + 1), ...beside };
    }
    return schema;
  }

  private at(reference: string): Schema {
    const steps = reference.replace(/^#\//, "").split("/");
    let found: any = this.document;
    for (const step of steps) found = found?.[step.replace(/~1/g, "/").replace(/~0/g, "~")];
    return found ?? {};
  }

  /** Return the branches of a union, each resolved, and whether null is one of them. */
  options(schema: Schema): { options: Schema[]; nullable: boolean } {
    const listed: Schema[] = schema.anyOf ?? schema.oneOf ?? [];
    const resolved = listed.map((each) => this.resolve(each));
    const options = resolved.filter((each) => each.type !== "null");
    return { options, nullable: options.length < resolved.length };
  }

  field(key: string, raw: Schema, required: boolean, depth = 0): Field {
    const { schema, nullable } = this.plain(raw);
    const ui = schema.ui ?? {};
    const limits = limitsOf(schema);
    const base: Field = {
      key,
      title: titleOf(key, raw),
      description: typeof schema.description === "string" ? schema.description : "",
      kind: "json",
      schema,
      required,
      nullable,
      initial: schema.default,
      advanced: Boolean(ui.advanced || schema.deprecated) && !ui.important,
      important: Boolean(ui.important),
      hidden: Boolean(ui.hidden),
      deprecated: Boolean(schema.deprecated),
      readOnly: Boolean(schema.readOnly),
      media: mediaOf(key, schema),
      asObject: false,
      limits,
      integer: schema.type === "integer",
      choices: [],
      examples: Array.isArray(schema.examples) ? schema.examples : [],
      samples: (Array.isArray(schema["x-samples"]) ? schema["x-samples"] : []).filter((each) => typeof each === "string"),
      over: ui.over,
      children: once(() => this.children(schema, depth + 1)),
      item: once(() => this.field("item", { ...this.itemOf(key, schema), title: singular(titleOf(key, raw)) }, true, depth + 1)),
      branches: once(() => this.options(schema).options.map((each, n) => this.branch(each, n, depth + 1))),
    };
    return depth > DEEPEST ? base : { ...base, ...this.kindOf(key, schema) };
  }

  /** Return a schema without the null branch; what stands beside the branches is kept. */
  private plain(raw: Schema): { schema: Schema; nullable: boolean } {
    const schema = this.resolve(raw);
    if (Array.isArray(schema.type)) {
      const types = schema.type.filter((each: string) => each !== "null");
      const nullable = types.length < schema.type.length;
      return { schema: { ...schema, type: types.length === 1 ? types[0] : undefined }, nullable };
    }
    const { options, nullable } = this.options(schema);
    const [only] = options;
    if (options.length !== 1 || !only) return { schema, nullable };
    const { anyOf: _a, oneOf: _o, ...beside } = schema;
    const ui = only.ui || beside.ui ? { ui: { ...only.ui, ...beside.ui } } : {};
    return { schema: { ...only, ...beside, ...ui }, nullable };
  }

  private itemOf(key: string, schema: Schema): Schema {
    const items = this.resolve(schema.items ?? {});
    const kind = schema.ui?.field ?? mediaByName(singularKey(key));
    return kind && !items.ui && items.type === "string" ? { ...items, ui: { field: kind } } : items;
  }

  private kindOf(key: string, schema: Schema): Partial<Field> {
    const asked: string | undefined = schema.ui?.field;
    const { options } = this.options(schema);
    if (asked === "json") return { kind: "json" };
    if (options.length > 1) return this.unionOf(key, schema, options);
    if (schema.const !== undefined) return choiceOf({ ...schema, enum: [schema.const] });
    if (Array.isArray(schema.enum)) return choiceOf(schema);
    if (schema.type === "string") return textOf(key, schema);
    if (schema.type === "number" || schema.type === "integer") return { kind: "number" };
    if (schema.type === "boolean") return { kind: "boolean" };
    if (schema.type === "array") return this.arrayOf(key, schema);
    if (isFileObject(schema)) return { kind: asked === "mask" ? "mask" : "file", asObject: true };
    return schema.type === "object" && schema.properties ? { kind: "object" } : { kind: "json" };
  }

  private arrayOf(key: string, schema: Schema): Partial<Field> {
    if (!schema.items) return { kind: "json" };
    const item = this.field(key, this.itemOf(key, schema), true, DEEPEST - 1);
    if (item.kind !== "file") return { kind: "array" };
    return { kind: "files", asObject: item.asObject, media: item.media };
  }

  private unionOf(key: string, schema: Schema, options: Schema[]): Partial<Field> {
    const asked = schema.ui?.field;
    const isText = (each: Schema) => each.type === "string" && !each.enum;
    const files = options.every((each) => isText(each) || isFileObject(each));
    const named = isMedia(asked) || asked === "mask" || options.some((each) => isMedia(each.ui?.field));
    const formats = options.some((each) => FILE_FORMATS.has(each.format)) || options.some(isFileObject);
    if (files && (named || formats || mediaByName(key))) {
      const media = options.map((each) => each.ui?.field).find(isMedia) ?? mediaOf(key, schema);
      return { kind: asked === "mask" ? "mask" : "file", media, asObject: !options.some(isText) };
    }
    if (options.every((each) => Array.isArray(each.enum) || each.const !== undefined)) {
      return choiceOf({ enum: options.flatMap((each) => each.enum ?? [each.const]) });
    }
    return { kind: "union" };
  }

  private branch(schema: Schema, number: number, depth: number): Field {
    const field = this.field(String(number), schema, true, depth);
    const named = schema.title ? worded(schema.title.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()) : wordsOfType(field);
    if (field.kind === "choice") return { ...field, title: "Preset" };
    return { ...field, title: named };
  }

  private children(schema: Schema, depth: number): Field[] {
    const required = new Set<string>(schema.required ?? []);
    const fields = orderOf(schema).map((key) => this.field(key, schema.properties[key], required.has(key), depth));
    return [...fields.filter((each) => each.important), ...fields.filter((each) => !each.important)];
  }
}

/** Make a value when it is asked for, and only once: fields stay the same objects. */
function once<T>(make: () => T): () => T {
  let kept: { value: T } | null = null;
  return () => (kept ??= { value: make() }).value;
}

/** Return the names of an object's properties in the order that its author wants. */
export function orderOf(schema: Schema): string[] {
  const known = Object.keys(schema.properties ?? {});
  const listed = schema["x-order-properties"] ?? schema["x-fal-order-properties"];
  if (Array.isArray(listed)) {
    const first = listed.filter((key) => known.includes(key));
    return [...first, ...known.filter((key) => !first.includes(key))];
  }
  const place = (key: string) => schema.properties[key]?.["x-order"] ?? Number.MAX_SAFE_INTEGER;
  return known.sort((one, other) => place(one) - place(other));
}

export function isMedia(kind: unknown): kind is MediaKind {
  return MEDIA.includes(kind as MediaKind);
}

/** Return whether a schema is one of a file: an object with a URL and a content type. */
export function isFileObject(schema: Schema): boolean {
  const properties = schema.properties;
  return schema.type === "object" && Boolean(properties?.url && properties?.content_type);
}

/** Return the kind of file that a name promises: `mask_image_url`, `video_urls`. */
export function mediaByName(key: string): MediaKind | undefined {
  const found = /(?:^|_)(image|video|audio|file)_urls?$/.exec(key);
  return found?.[1] as MediaKind | undefined;
}

function mediaOf(key: string, schema: Schema): MediaKind {
  const asked = schema.ui?.field;
  if (isMedia(asked)) return asked;
  return asked === "mask" ? "image" : mediaByName(key) ?? "file";
}

function textOf(key: string, schema: Schema): Partial<Field> {
  const asked = schema.ui?.field;
  if (schema.format === "password" || schema.writeOnly) return { kind: "password" };
  if (asked === "mask") return { kind: "mask" };
  if (isMedia(asked) || FILE_FORMATS.has(schema.format) || mediaByName(key)) return { kind: "file" };
  const long = asked === "textarea" || asked === "markdown" || (schema.maxLength ?? 0) > 120;
  return { kind: long || /(^|_)(prompt|text|content)$/.test(key) ? "textarea" : "text" };
}

function choiceOf(schema: Schema): Partial<Field> {
  const choices = schema.enum.map((value: Json) => ({ value, label: value === null ? "None" : String(value) }));
  return { kind: "choice", choices };
}

function limitsOf(schema: Schema): Limits {
  const given: JsonObject = isObject(schema["x-fal"]) ? schema["x-fal"] : {};
  const size = given.max_bytes ?? given.max_file_size;
  const types = given.content_types;
  const said = Object.entries(given)
    .filter(([name]) => !["max_bytes", "max_file_size", "content_types", "timeout"].includes(name))
    .map(([name, value]) => `${worded(name).toLowerCase()} ${value}`);
  return {
    ...(typeof size === "number" ? { bytes: size } : {}),
    ...(Array.isArray(types) ? { types: types.map(String) } : {}),
    note: said.join(", "),
  };
}

function wordsOfType(field: Field): string {
  const words: Partial<Record<Kind, string>> = { text: "Text", textarea: "Text", boolean: "Yes or no", choice: "Preset", array: "List", object: "Custom", json: "JSON" };
  return field.kind === "number" ? (field.integer ? "Whole number" : "Number") : words[field.kind] ?? worded(field.kind);
}

/** Return what a field is called: by its own title, less what its name adds for machines. */
export function titleOf(key: string, raw: Schema): string {
  const given: string | undefined = typeof raw.title === "string" ? raw.title : undefined;
  const made = key.split("_").map((each) => each.charAt(0).toUpperCase() + each.slice(1)).join(" ");
  if (given && given.toLowerCase() !== made.toLowerCase()) return given;
  return worded(key.replace(/_url(s?)$/, "$1"));
}

/** Return a name as words: `image_url` -> `Image url`. */
export function worded(key: string): string {
  const words = key.replace(/[_-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function singular(title: string): string {
  return title.replace(/s$/, "") || title;
}

function singularKey(key: string): string {
  return key.replace(/s$/, "");
}
