// What an app offers: its endpoints, in the author's order. Pure.

import type { Json } from "./json";
import { Reader, type Field, type Schema, worded } from "./schema";

export interface Endpoint {
  path: string;
  title: string;
  description: string;
  input: Field | null;
  output: Schema | null;
  /** Whether it answers with server-sent events. */
  streams: boolean;
  examples: Json[];
  /** What may come out, as the author shows it. */
  outcome: Json | undefined;
  reader: Reader;
}

export interface AppDocument {
  title: string;
  description: string;
  endpoints: Endpoint[];
}

export function readDocument(document: Schema): AppDocument {
  const reader = new Reader(document);
  const listed: string[] = document["x-fal-order-paths"] ?? [];
  const known = Object.keys(document.paths ?? {}).filter((path) => document.paths[path].post);
  const ordered = [...listed.filter((path) => known.includes(path)), ...known.filter((path) => !listed.includes(path))];
  return {
    title: document.info?.title ?? "App",
    description: document.info?.description ?? "",
    endpoints: ordered.filter((path) => !isAside(path, known)).map((path) => endpointOf(document, path, reader)),
  };
}

/** An endpoint that stops another one's work is called by the page itself. */
function isAside(path: string, known: string[]): boolean {
  return path.endsWith("/cancel") && known.includes(path.slice(0, -"/cancel".length) || "/");
}

function endpointOf(document: Schema, path: string, reader: Reader): Endpoint {
  const operation = document.paths[path].post;
  const content = operation.requestBody?.content ?? {};
  const raw: Schema | undefined = content["application/json"]?.schema ?? content["multipart/form-data"]?.schema;
  const answers = operation.responses?.["200"]?.content ?? {};
  const streams = "text/event-stream" in answers;
  const output = answers["application/json"]?.schema ?? null;
  const schema = raw ? reader.resolve(raw) : null;
  return {
    path,
    title: operation.summary ?? (path === "/" ? "Run" : worded(path.replace(/^\//, ""))),
    description: operation.description ?? "",
    input: schema ? reader.field("", schema, true) : null,
    output: output ? reader.resolve(output) : null,
    streams,
    examples: examplesOf(schema, content["application/json"]),
    outcome: examplesOf(output ? reader.resolve(output) : null, answers["application/json"])[0],
    reader,
  };
}

function examplesOf(schema: Schema | null, content: Schema | undefined): Json[] {
  const beside = content?.examples ? Object.values(content.examples).map((each: any) => each?.value) : [];
  const single = content?.example !== undefined ? [content.example] : [];
  const within = Array.isArray(schema?.examples) ? schema.examples : [];
  return [...within, ...single, ...beside].filter((each) => each !== undefined);
}
