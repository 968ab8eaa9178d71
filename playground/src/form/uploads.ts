// Files on their way to the server, and what is known of them meanwhile.

import { useEffect, useRef, useState } from "preact/hooks";
import { bytes } from "../model/json";
import type { Field, MediaKind } from "../model/schema";
import { usePage } from "../page";

export interface Upload {
  name: string;
  share: number;
  local: string;
  cancel: () => void;
}

/** Local copies of what was uploaded from this page: shown at once, and without a request. */
const locals = new Map<string, string>();

export function localOf(url: string): string | undefined {
  return locals.get(url);
}

const onTheWay = new Set<Promise<boolean>>();

function pending(work: Promise<boolean>): void {
  onTheWay.add(work);
  void work.finally(() => onTheWay.delete(work));
}

/** Return a promise of whether all uploads arrive, null when none is on its way. */
export function uploadsOnTheWay(): Promise<boolean> | null {
  return onTheWay.size ? Promise.all(onTheWay).then((all) => all.every(Boolean)) : null;
}

export const ACCEPT: Record<MediaKind, string> = {
  image: "image/*", video: "video/*", audio: "audio/*", model3d: ".glb,.gltf", file: "",
};

/** Return why a file does not fit a field, '' when it does. */
export function objection(file: File, field: Field, mostBytes: number | null): string {
  const type = file.type.split(";")[0] ?? "";
  const types = field.limits.types ?? (ACCEPT[field.media].endsWith("/*") ? [ACCEPT[field.media]] : []);
  const fits = !types.length || !type || types.some((each) => each === type || (each.endsWith("/*") && type.startsWith(each.slice(0, -1))));
  if (!fits) return `${file.name} is ${type}. This field takes ${types.join(", ")}.`;
  const most = Math.min(field.limits.bytes ?? Infinity, mostBytes ?? Infinity);
  if (file.size > most) return `${file.name} is ${bytes(file.size)}. This field takes at most ${bytes(most)}; make it smaller.`;
  if (file.size === 0) return `${file.name} is empty.`;
  return "";
}

/** Return the uploads of a field, and a way to begin one. */
export function useUploads(field: Field, onDone: (url: string) => void) {
  const { client, mostBytes } = usePage();
  const [uploads, setUploads] = useState<Upload[]>([]);
  const [mistake, tell] = useState("");
  const latest = useRef(onDone);
  latest.current = onDone;
  const running = useRef<Upload[]>([]);
  const show = (next: Upload[]) => {
    running.current = next;
    setUploads(next);
  };
  useEffect(() => () => running.current.forEach((each) => each.cancel()), []);

  const slots = useRef<{ url: string | null }[]>([]); // files come in the order in which they were chosen
  const hand = () => {
    while (slots.current[0]?.url) latest.current(slots.current.shift()?.url ?? "");
  };

  const send = async (file: File, slot: { url: string | null }): Promise<boolean> => {
    const stop = new AbortController();
    const local = URL.createObjectURL(file);
    let upload: Upload = { name: file.name, share: 0, local, cancel: () => stop.abort() };
    const swap = (next: Upload | null) => {
      show(running.current.flatMap((each) => (each === upload ? (next ? [next] : []) : [each])));
      if (next) upload = next;
    };
    show([...running.current, upload]);
    try {
      slot.url = await client.upload(file, file.name, (share) => swap({ ...upload, share }), stop.signal);
      locals.set(slot.url, local);
    } catch (error) {
      slots.current = slots.current.filter((each) => each !== slot);
      if (!stop.signal.aborted) tell(error instanceof Error ? error.message : String(error));
    }
    swap(null);
    hand();
    return slot.url !== null;
  };
  const begin = (file: File) => {
    const said = objection(file, field, mostBytes);
    tell(said);
    if (said) return;
    const slot = { url: null };
    slots.current.push(slot);
    pending(send(file, slot));
  };
  return { uploads, mistake, tell, begin };
}

/** Return the files and links in what was dropped or pasted. */
export function itemsIn(data: DataTransfer | null): { files: File[]; link: string } {
  const files = Array.from(data?.files ?? []);
  const uri = (data?.getData("text/uri-list") ?? "").split(/\r?\n/).find((line) => line && !line.startsWith("#")) ?? "";
  const text = (data?.getData("text/plain") ?? "").trim();
  const link = uri || (/^(https?:\/\/|data:)\S+$/.test(text) ? text : "");
  return { files, link };
}
