// JSON values, and changing them without touching the old ones.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
export type Key = string | number;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return what lies at `path`, undefined where nothing does. */
export function getIn(value: Json | undefined, path: readonly Key[]): Json | undefined {
  let found: Json | undefined = value;
  for (const key of path) {
    if (Array.isArray(found)) found = found[Number(key)];
    else if (isObject(found)) found = found[String(key)];
    else return undefined;
  }
  return found;
}

/** Return a copy with `next` at `path`; undefined removes it. Parts that do not change are shared. */
export function setIn(value: Json | undefined, path: readonly Key[], next: Json | undefined): Json | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return next;
  if (typeof key === "number") {
    const items = Array.isArray(value) ? [...value] : [];
    items[key] = setIn(items[key], rest, next) ?? null;
    return items;
  }
  const copy: JsonObject = isObject(value) ? { ...value } : {};
  const changed = setIn(copy[key], rest, next);
  if (changed === undefined) delete copy[key];
  else copy[key] = changed;
  return copy;
}

export function isEqual(one: Json | undefined, other: Json | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Return a text for a data: URI that is short enough to be shown. */
export function shortened(text: string, most = 80): string {
  if (text.startsWith("data:") && text.length > most) {
    return `${text.slice(0, text.indexOf(",") + 1).slice(0, 60)}… (${bytes(text.length * 0.75)})`;
  }
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** Return a size as people read it. */
export function bytes(size: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let step = 0;
  let left = size;
  while (left >= 1000 && step < units.length - 1) {
    left /= 1000;
    step += 1;
  }
  return `${step === 0 || left >= 100 ? Math.round(left) : left.toFixed(1)} ${units[step]}`;
}

/** Return seconds as people read them. */
export function seconds(value: number): string {
  if (value < 0.0995) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const hours = Math.floor(whole / 3600);
  return hours < 48 ? `${hours} h ${Math.floor((whole % 3600) / 60)} min` : `${Math.round(hours / 24)} days`;
}

/** Return the last part of a URL's path, as people read it. */
export function lastPart(url: string): string {
  const part = url.split(/[?#]/)[0]?.split("/").pop() ?? "";
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // not everything with a percent sign is an encoding
  }
}
