// Outputs as the next run's inputs.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Field, MediaKind } from "../model/schema";

export interface Remix {
  fields: Field[];
  use: (key: string, url: string) => void;
}

export const RemixContext = createContext<Remix>({ fields: [], use: () => undefined });

/** Return the inputs that take a kind of file, and a way to put one there. */
export function useRemix(media: MediaKind) {
  const { fields, use } = useContext(RemixContext);
  const files = fields.filter((each) => each.kind === "file" || each.kind === "files");
  const same = files.filter((each) => each.media === media);
  const targets = same.length ? same : files.filter((each) => each.media === "file");
  return { targets: targets.slice(0, 3), use };
}
