// A field for several files: all that are dropped or chosen at once, in an order that can be changed.

import { useRef } from "preact/hooks";
import type { Json } from "../model/json";
import { urlOf } from "../model/values";
import { Drop } from "./drop";
import { type ControlProps, idOf } from "./field";
import { Going, nameOf, Preview } from "./file";
import { useUploads } from "./uploads";

export function FilesControl(props: ControlProps) {
  const { field, path, value } = props;
  const items: Json[] = Array.isArray(value) ? value : [];
  const latest = useRef(items); // several uploads end before the next rendering
  latest.current = items;
  const change = (next: Json[]) => {
    latest.current = next;
    props.onChange(path, next);
  };
  const add = (url: string) => change([...latest.current, url]);
  const { uploads, mistake, begin } = useUploads(field, add);
  const most: number | undefined = field.schema.maxItems;
  const isFull = most !== undefined && items.length >= most;
  const up = (n: number) => {
    const next = [...items];
    next.splice(n - 1, 0, ...next.splice(n, 1));
    change(next);
  };
  return (
    <>
      {items.length > 0 && (
        <ol class="files">
          {items.map((each, n) => (
            <li key={`${n}-${urlOf(each)}`} id={idOf([...path, n])} tabIndex={-1}>
              <Preview url={urlOf(each)} media={field.media} />
              <span class="name" dir="ltr">{nameOf(urlOf(each))}</span>
              {(props.errors.get([...path, n].join(".")) ?? []).map((said) => <span class="error" key={said}>{said}</span>)}
              {n > 0 && <button type="button" class="quiet" aria-label={`Move ${nameOf(urlOf(each))} forward`} onClick={() => up(n)}>↑</button>}
              <button type="button" class="quiet" aria-label={`Remove ${nameOf(urlOf(each))}`} onClick={() => change(items.filter((_, at) => at !== n))}>✕</button>
            </li>
          ))}
        </ol>
      )}
      {uploads.map((each) => <Going key={each.local} upload={each} media={field.media} />)}
      {!isFull && (
        <Drop field={field} id={`${idOf(path)}-add`} many={true} describedBy={props.describedBy} isWrong={props.isWrong} onFile={begin} onLink={add} />
      )}
      {mistake && <p class="error" role="alert">{mistake}</p>}
    </>
  );
}
