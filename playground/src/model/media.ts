// What kind of viewer an answer's values want. Pure.

import { isObject, type Json } from "./json";
import { isFileObject, type Reader, type Schema, titleOf } from "./schema";

export interface FileValue {
  url: string;
  content_type: string | null;
  file_name: string | null;
  file_size: number | null;
  width: number | null;
  height: number | null;
  expires_at: string | null;
}

export type Viewer = "image" | "video" | "audio" | "model3d" | "archive" | "file" | "gallery" | "markdown" | "text" | "value" | "json";

export interface Output {
  key: string;
  title: string;
  description: string;
  viewer: Viewer;
  value: Json;
  schema: Schema;
}

const ARCHIVES = new Set(["application/zip", "application/x-zip-compressed"]);
const LONG_TEXT = 60;

export function isFile(value: Json | undefined): value is Json & FileValue & { [key: string]: Json } {
  return isObject(value) && typeof value.url === "string" && ("content_type" in value || "file_name" in value);
}

/** Return the sections of an answer, in the order of its schema. */
export function outputsOf(reader: Reader, schema: Schema | null, value: Json): Output[] {
  const resolved = schema ? unwrapped(reader, schema) : {};
  if (!isObject(value) || isFile(value)) {
    return [outputOf(reader, "result", { ...resolved, description: "" }, value, "Result")];
  }
  const properties: Schema = resolved.properties ?? {};
  const names = [...Object.keys(properties).filter((key) => key in value), ...Object.keys(value).filter((key) => !(key in properties))];
  return names
    .filter((key) => value[key] !== null && value[key] !== undefined && !properties[key]?.ui?.hidden)
    .map((key) => outputOf(reader, key, properties[key] ?? {}, value[key] as Json, titleOf(key, properties[key] ?? {})));
}

function outputOf(reader: Reader, key: string, raw: Schema, value: Json, title: string): Output {
  const schema = unwrapped(reader, raw);
  return { key, title, description: raw.description ?? "", viewer: viewerOf(reader, schema, value), value, schema };
}

/** Return a schema without the null that it may be. */
function unwrapped(reader: Reader, raw: Schema): Schema {
  const schema = reader.resolve(raw);
  const { options } = reader.options(schema);
  const [only] = options;
  if (options.length !== 1 || !only) return schema;
  const { anyOf: _a, oneOf: _o, ...beside } = schema;
  return { ...only, ...beside };
}

export function viewerOf(reader: Reader, schema: Schema, value: Json): Viewer {
  if (isFile(value)) return fileViewer(schema, value);
  if (Array.isArray(value)) return listViewer(reader, schema, value);
  const asked = schema.ui?.field;
  if (typeof value === "string") {
    const isLink = /^(https?:\/\/|data:)/.test(value);
    if (isLink && (asked === "image" || asked === "video" || asked === "audio" || asked === "model3d")) return asked;
    if (asked === "markdown") return "markdown";
    return value.length > LONG_TEXT || value.includes("\n") || asked === "textarea" ? "text" : "value";
  }
  return isObject(value) ? "json" : "value";
}

function listViewer(reader: Reader, schema: Schema, values: Json[]): Viewer {
  const item = reader.resolve(schema.items ?? {});
  if (!values.length) return "value";
  if (values.every((each) => isFile(each))) return "gallery";
  if (values.every((each) => typeof each === "string" && /^(https?:|data:)/.test(each)) && (item.ui?.field || schema.ui?.field)) return "gallery";
  return values.every((each) => typeof each !== "object") ? "value" : "json";
}

/** A file is shown by what its author calls it; one that is just a file is a link. */
function fileViewer(schema: Schema, value: FileValue): Viewer {
  const asked = schema.ui?.field;
  const type = (value.content_type ?? "").split(";")[0] ?? "";
  if (asked === "image" || asked === "video" || asked === "audio" || asked === "model3d") return asked;
  if (/^model\/gltf/.test(type) || /\.(glb|gltf)$/i.test(value.file_name ?? "")) return "model3d";
  if (ARCHIVES.has(type)) return "archive";
  if (isFileObject(schema) && schema.title === "File") return "file";
  const family = type.split("/")[0];
  return family === "image" || family === "video" || family === "audio" ? family : "file";
}

/** Return a link as the file that it is. */
export function asFile(value: Json): FileValue {
  if (isFile(value)) {
    const { url, content_type, file_name, file_size, width, height, expires_at } = value;
    return { url, content_type: content_type ?? null, file_name: file_name ?? null, file_size: file_size ?? null, width: width ?? null, height: height ?? null, expires_at: expires_at ?? null };
  }
  return { url: String(value), content_type: null, file_name: null, file_size: null, width: null, height: null, expires_at: null };
}

/** Return every file in an answer, at most 200. */
export function filesIn(value: Json, found: FileValue[] = [], depth = 0): FileValue[] {
  if (depth > 6 || found.length >= 200) return found;
  if (isFile(value)) found.push(asFile(value));
  else if (Array.isArray(value)) value.forEach((each) => filesIn(each, found, depth + 1));
  else if (isObject(value)) Object.values(value).forEach((each) => filesIn(each, found, depth + 1));
  return found;
}

/** Return how long a file still lives: seconds, null when it is kept. */
export function lifeOf(file: FileValue, now: number): number | null {
  const end = file.expires_at ? Date.parse(file.expires_at) : NaN;
  return Number.isNaN(end) ? null : Math.floor((end - now) / 1000);
}

/** Return an address that makes browsers keep a file instead of showing it; '' for what is no file's. */
export function downloadOf(url: string): string {
  if (/^(data|blob):/i.test(url)) return url;
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return "";
  const parsed = new URL(url);
  parsed.searchParams.set("download", "1");
  return parsed.href;
}
