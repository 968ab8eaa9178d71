// A box for JSON: for what no other control fits, and for the whole input.

import { useState } from "preact/hooks";
import { isEqual, type Json } from "../model/json";
import { type ControlProps, idOf } from "./field";

export function JsonControl(props: ControlProps) {
  const { field, path, value } = props;
  return (
    <JsonBox
      id={idOf(path)} label={undefined} value={value} rows={5} isWrong={props.isWrong} describedBy={props.describedBy}
      onChange={(next) => props.onChange(path, next === undefined && field.nullable ? null : next)}
    />
  );
}

interface BoxProps {
  id: string;
  label: string | undefined;
  value: Json | undefined;
  rows: number;
  isWrong: boolean;
  describedBy: string | undefined;
  onChange: (value: Json | undefined) => void;
}

/** What is typed stays as it is typed; a mistake is told under it, and changes nothing. */
export function JsonBox(props: BoxProps) {
  const [draft, setDraft] = useState<{ text: string; value: Json | undefined } | null>(null);
  const [mistake, tell] = useState("");
  const isFresh = draft !== null && (mistake !== "" || isEqual(draft.value, props.value));
  const text = isFresh ? draft.text : props.value === undefined ? "" : JSON.stringify(props.value, null, 2);
  const change = (event: Event) => {
    const typed = (event.currentTarget as HTMLTextAreaElement).value;
    try {
      const value = typed.trim() === "" ? undefined : (JSON.parse(typed) as Json);
      setDraft({ text: typed, value });
      tell("");
      props.onChange(value);
    } catch (error) {
      setDraft({ text: typed, value: props.value });
      tell(error instanceof Error ? error.message : String(error));
    }
  };
  const described = [props.describedBy, mistake ? `${props.id}-mistake` : ""].filter(Boolean).join(" ") || undefined;
  return (
    <>
      <textarea id={props.id} class="code" rows={props.rows} spellcheck={false} aria-label={props.label} value={text} dir="ltr"
        aria-invalid={props.isWrong || mistake !== ""} aria-describedby={described} onInput={change} />
      {mistake && <p class="error" id={`${props.id}-mistake`} role="alert">Not JSON yet: {mistake}</p>}
    </>
  );
}
