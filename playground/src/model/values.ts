// The values of a form: where they begin, what is sent, where an error belongs. Pure.

import { isObject, type Json, type JsonObject, type Key } from "./json";
import type { Field } from "./schema";

/** Return what a field holds before anybody has touched it. */
export function initialOf(field: Field): Json | undefined {
  if (field.initial !== undefined) return field.initial;
  if (field.nullable) return null;
  if (field.kind === "object") return objectOf(field);
  if (field.kind === "array" || field.kind === "files") return [];
  if (field.kind === "boolean" && field.required) return false;
  if (field.kind === "union") {
    const [first] = field.branches();
    return field.required && first ? initialOf(first) : undefined;
  }
  const [only] = field.choices;
  if (field.choices.length === 1 && only) return only.value;
  return undefined;
}

function objectOf(field: Field): JsonObject {
  const found: JsonObject = {};
  for (const child of field.children()) {
    const value = child.hidden ? undefined : initialOf(child);
    if (value !== undefined) found[child.key] = value;
  }
  return found;
}

/** Return what an item that is added to a list begins with; null stands for nothing yet. */
export function newItem(item: Field): Json {
  const value = initialOf(item);
  if (value !== undefined && value !== null) return value;
  if (item.kind === "text" || item.kind === "textarea" || item.kind === "file") return "";
  return null;
}

/** Return the body to send: what is empty and not required is left out. */
export function bodyOf(field: Field, value: Json | undefined): Json | undefined {
  if (value === undefined || (value === null && field.kind !== "json")) {
    return value === null && field.initial !== undefined && field.initial !== null ? null : undefined;
  }
  if (field.kind === "object" && isObject(value)) return objectBody(field, value);
  if (field.kind === "array" && Array.isArray(value)) {
    const item = field.item();
    return value.map((each) => bodyOf(item, each) ?? null);
  }
  if (field.kind === "files" && Array.isArray(value)) return value.filter((each) => each !== "").map((each) => fileOf(field, each));
  if (field.kind === "file" || field.kind === "mask") return value === "" ? undefined : fileOf(field, value);
  if (field.kind === "union") return unionBody(field, value);
  if (value === "" && !field.required && field.initial === undefined) return undefined;
  return value;
}

function objectBody(field: Field, value: JsonObject): JsonObject {
  const known = field.children();
  const body: JsonObject = {};
  for (const child of known) {
    const part = bodyOf(child, value[child.key]);
    if (part !== undefined) body[child.key] = part;
    else if (child.required && isTextual(child)) body[child.key] = "";
  }
  const names = new Set(known.map((each) => each.key));
  for (const [key, extra] of Object.entries(value)) if (!names.has(key)) body[key] = extra;
  return body;
}

function isTextual(field: Field): boolean {
  return field.kind === "text" || field.kind === "textarea" || field.kind === "password";
}

function unionBody(field: Field, value: Json): Json | undefined {
  const branches = field.branches();
  const branch = branches[branchOf(branches, value)];
  return branch ? bodyOf(branch, value) : value;
}

function fileOf(field: Field, value: Json): Json {
  if (field.asObject && typeof value === "string") return { url: value };
  return value;
}

/** Return which branch of a union a value is of. */
export function branchOf(branches: Field[], value: Json | undefined): number {
  const fits = branches.findIndex((each) => isOf(each, value));
  return fits < 0 ? 0 : fits;
}

function isOf(field: Field, value: Json | undefined): boolean {
  switch (field.kind) {
    case "choice": return field.choices.some((each) => each.value === value);
    case "object": return isObject(value);
    case "array": case "files": return Array.isArray(value);
    case "number": return typeof value === "number" && (!field.integer || Number.isInteger(value));
    case "boolean": return typeof value === "boolean";
    case "json": return value !== undefined;
    case "file": case "mask": return typeof value === "string" || (field.asObject && isObject(value));
    default: return typeof value === "string";
  }
}

/** Return the URL of a file field's value. */
export function urlOf(value: Json | undefined): string {
  if (typeof value === "string") return value;
  return isObject(value) && typeof value.url === "string" ? value.url : "";
}

export interface FieldError {
  path: Key[];
  message: string;
}

/** Return where in the form the errors of a refused request belong. */
export function errorsOf(field: Field | null, detail: unknown): FieldError[] {
  if (!Array.isArray(detail)) return [];
  return detail.filter(isObject).map((each) => {
    const loc = Array.isArray(each.loc) ? each.loc.filter((part) => typeof part === "string" || typeof part === "number") : [];
    const steps = loc[0] === "body" ? loc.slice(1) : loc;
    return { path: field ? placeOf(field, steps as Key[]) : [], message: String(each.msg ?? "not valid") };
  });
}

/** Follow a location through the form; the names of a union's branches are none of its places. */
export function placeOf(field: Field, steps: Key[]): Key[] {
  const [step, ...rest] = steps;
  if (step === undefined) return [];
  if (field.kind === "object") {
    const child = field.children().find((each) => each.key === step);
    return child ? [child.key, ...placeOf(child, rest)] : placeOf(field, rest);
  }
  if ((field.kind === "array" || field.kind === "files") && typeof step === "number") {
    return [step, ...(field.kind === "array" ? placeOf(field.item(), rest) : [])];
  }
  if (field.kind === "union") return placeInUnion(field, steps);
  return [];
}

function placeInUnion(field: Field, steps: Key[]): Key[] {
  for (const branch of field.branches()) {
    for (const tail of [steps, steps.slice(1)]) {
      const found = placeOf(branch, tail);
      if (found.length) return found;
    }
  }
  return [];
}

/** Return a value without secrets and without data: URIs: what may be kept or shared. */
export function sharedOf(field: Field, value: Json | undefined): Json | undefined {
  if (field.kind === "password" || value === undefined) return undefined;
  if (typeof value === "string") return value.startsWith("data:") ? undefined : value;
  if (field.kind === "object" && isObject(value)) return sharedObject(field, value);
  if (field.kind === "array" && Array.isArray(value)) {
    const item = field.item();
    return value.map((each) => sharedOf(item, each) ?? newItem(item));
  }
  if (field.kind === "files" && Array.isArray(value)) return value.filter((each) => !urlOf(each).startsWith("data:"));
  if (field.kind === "union") {
    const branches = field.branches();
    const branch = branches[branchOf(branches, value)];
    return branch ? sharedOf(branch, value) : undefined;
  }
  if (urlOf(value).startsWith("data:")) return undefined;
  return value;
}

function sharedObject(field: Field, value: JsonObject): JsonObject {
  const kept: JsonObject = {};
  for (const child of field.children()) {
    const part = sharedOf(child, value[child.key]);
    if (part !== undefined) kept[child.key] = part;
  }
  return kept;
}

/** Lay given values over those that a form begins with. */
export function mergedOf(field: Field, given: Json | undefined): Json | undefined {
  const begin = initialOf(field);
  return isObject(begin) && isObject(given) ? { ...begin, ...given } : given ?? begin;
}
