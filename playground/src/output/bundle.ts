// All files of an answer as one ZIP, made in the browser; loaded when it is asked for.

import { Zip, ZipPassThrough } from "fflate";
import type { FileValue } from "../model/media";
import { nameOf } from "./file";

const LARGEST = 1_000_000_000;

/** Fetch the files one after the other and hand out the ZIP. */
export async function bundle(files: FileValue[], name: string, onDone: (count: number) => void): Promise<void> {
  const parts: BlobPart[] = [];
  let size = 0;
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    parts.push(chunk as Uint8Array<ArrayBuffer>);
    size += chunk.length;
  });
  const used = new Set<string>();
  for (const [n, file] of files.entries()) {
    const answer = await fetch(file.url);
    if (!answer.ok || !answer.body) throw new Error(`${nameOf(file)} cannot be fetched: the server answered ${answer.status}.`);
    const member = new ZipPassThrough(unused(nameOf(file), used));
    zip.add(member);
    const reader = answer.body.getReader();
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      member.push(step.value);
      if (size > LARGEST) throw new Error("Together they are larger than 1 GB; download them one by one.");
    }
    member.push(new Uint8Array(0), true);
    onDone(n + 1);
  }
  zip.end();
  save(new Blob(parts, { type: "application/zip" }), name);
}

/** Return a name that no other member has. */
function unused(name: string, used: Set<string>): string {
  const dot = name.lastIndexOf(".");
  const [stem, end] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  let free = name;
  for (let n = 2; used.has(free); n += 1) free = `${stem}-${n}${end}`;
  used.add(free);
  return free;
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
