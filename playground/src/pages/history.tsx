// The last runs of this browser.

import { useState } from "preact/hooks";
import type { Entry } from "../model/history";
import { nameOf } from "../form/file";
import { isObject, seconds, shortened } from "../model/json";
import { urlOf } from "../model/values";
import { isOurs } from "../page";
import { memo } from "../ui";

interface Props {
  entries: Entry[];
  onRestore: (entry: Entry) => void;
  onRerun: (entry: Entry) => void;
  onRemove: (id: string) => void;
  onClear: () => void;
}

function HistoryView(props: Props) {
  if (!props.entries.length) return null;
  return (
    <section class="history" aria-label="History">
      <h2>History <button type="button" class="quiet" onClick={props.onClear}>Clear history</button></h2>
      <ul>
        {props.entries.map((each) => (
          <li key={each.id}>
            <button type="button" class="history-open" onClick={() => props.onRestore(each)}>
              <Thumbnail entry={each} />
              <span class="history-text"><span dir="auto">{summaryOf(each)}</span><span class="hint">{whenOf(each)}</span></span>
            </button>
            <button type="button" class="quiet" onClick={() => props.onRerun(each)}>Repeat</button>
            <button type="button" class="quiet" aria-label={`Forget ${whenOf(each)}`} onClick={() => props.onRemove(each.id)}>✕</button>
          </li>
        ))}
      </ul>
    </section>
  );
}

export const HistoryList = memo(HistoryView);

/** The picture of a run; one that is gone leaves its place empty. */
function Thumbnail(props: { entry: Entry }) {
  const { thumbnail } = props.entry;
  const [isGone, setGone] = useState(false);
  if (!thumbnail || isGone || !isOurs(thumbnail)) return <span class="thumb" data-phase={props.entry.phase} />;
  return <img class="thumb" src={thumbnail} alt="" loading="lazy" onError={() => setGone(true)} />;
}

/** A run in a few words: what was asked for in words, else the files, else the first values. */
function summaryOf(entry: Entry): string {
  const pairs = isObject(entry.input) ? Object.entries(entry.input) : [];
  const words = pairs.find(([key, value]) => /prompt|text/.test(key) && typeof value === "string" && value !== "");
  if (words) return shortened(String(words[1]), 60);
  const files = pairs.filter(([, value]) => /^https?:/.test(urlOf(value))).map(([, value]) => nameOf(urlOf(value)));
  const rest = pairs.filter(([, value]) => typeof value !== "object" && !/^(https?|data):/.test(String(value))).map(([key, value]) => `${key} ${value}`);
  return shortened([...files, ...rest].join(", ") || "no input", 60);
}

function whenOf(entry: Entry): string {
  const when = new Date(entry.at).toLocaleString([], { dateStyle: "short", timeStyle: "medium" });
  const took = entry.took === null ? "" : `, ${seconds(entry.took)}`;
  return `${when}${entry.phase === "done" ? took : `, ${entry.phase}`}`;
}
