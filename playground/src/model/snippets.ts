// The current input as code that can be pasted and run. Pure.

import type { Json } from "./json";

export type Language = "curl" | "python" | "javascript";

export interface Call {
  /** The whole URL of the endpoint. */
  url: string;
  body: Json;
  streams: boolean;
  hasKey: boolean;
}

export function snippet(language: Language, call: Call): string {
  if (language === "curl") return curl(call);
  return language === "python" ? python(call) : javascript(call);
}

/** Quote a text for a POSIX shell. */
export function shellQuoted(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}

function curl(call: Call): string {
  const lines = [
    `curl ${call.streams ? "-N " : ""}-X POST ${shellQuoted(call.url)}`,
    "-H 'content-type: application/json'",
    ...(call.hasKey ? ['-H "authorization: Key $TOWPATH_KEY"'] : []),
    `-d ${shellQuoted(JSON.stringify(call.body, null, 2))}`,
  ];
  return lines.join(" \\\n  ");
}

function python(call: Call): string {
  const key = call.hasKey ? ["import os", ""] : [];
  const headers = call.hasKey ? ['    headers={"authorization": f"Key {os.environ[\'TOWPATH_KEY\']}"},'] : [];
  const read = call.streams
    ? ["for line in response.iter_lines():", '    if line.startswith(b"data: "):', "        print(line[6:].decode())"]
    : ["response.raise_for_status()", "print(response.json())"];
  return [
    ...key,
    "import requests",
    "",
    "response = requests.post(",
    `    ${pythonLiteral(call.url)},`,
    `    json=${pythonLiteral(call.body, 1)},`,
    ...headers,
    ...(call.streams ? ["    stream=True,"] : []),
    ")",
    ...read,
    "",
  ].join("\n");
}

/** Write JSON as Python. */
export function pythonLiteral(value: Json, indent = 0): string {
  const inner = "    ".repeat(indent + 1);
  const outer = "    ".repeat(indent);
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return JSON.stringify(value).replace(/\u007f/g, "\\u007f");
  if (Array.isArray(value)) {
    if (!value.length) return "[]";
    return `[\n${value.map((each) => `${inner}${pythonLiteral(each, indent + 1)},\n`).join("")}${outer}]`;
  }
  const pairs = Object.entries(value);
  if (!pairs.length) return "{}";
  return `{\n${pairs.map(([key, each]) => `${inner}${JSON.stringify(key)}: ${pythonLiteral(each, indent + 1)},\n`).join("")}${outer}}`;
}

function javascript(call: Call): string {
  const key = call.hasKey ? ["    authorization: `Key ${process.env.TOWPATH_KEY}`,"] : [];
  const read = call.streams
    ? ["for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) console.log(chunk);"]
    : ["if (!response.ok) throw new Error(await response.text());", "console.log(JSON.stringify(await response.json(), null, 2));"];
  const body = JSON.stringify(call.body, null, 2).replace(/\n/g, "\n  ");
  return [
    `const response = await fetch(${JSON.stringify(call.url)}, {`,
    '  method: "POST",',
    "  headers: {",
    '    "content-type": "application/json",',
    ...key,
    "  },",
    `  body: JSON.stringify(${body}),`,
    "});",
    ...read,
    "",
  ].join("\n");
}
