// Texts, numbers, switches and choices.

import { useRef, useState } from "preact/hooks";
import type { Json } from "../model/json";
import { type ControlProps, idOf, Segment } from "./field";

const FEW = 4;
const SHORT = 14;
const WIDEST = 1000; // a slider with more steps than this cannot be set by hand

export function Basic(props: ControlProps) {
  switch (props.field.kind) {
    case "boolean": return <Check {...props} />;
    case "number": return <NumberBox {...props} />;
    case "choice": return <Choices {...props} />;
    default: return <Text {...props} />;
  }
}

function common(props: ControlProps) {
  const { field, path } = props;
  return {
    id: idOf(path),
    required: field.required && !field.nullable,
    "aria-label": props.named,
    "aria-invalid": props.isWrong,
    "aria-describedby": props.describedBy,
  };
}

function Text(props: ControlProps) {
  const { field, path, value } = props;
  const text = typeof value === "string" ? value : "";
  const change = (event: Event) => {
    const typed = (event.currentTarget as HTMLInputElement).value;
    props.onChange(path, typed === "" && (field.nullable || (!field.required && field.initial === undefined)) ? (field.nullable ? null : undefined) : typed);
  };
  const placeholder = field.nullable ? "None" : undefined;
  if (field.kind === "textarea") {
    return (
      <>
        <textarea {...common(props)} rows={3} dir="auto" value={text} maxLength={field.schema.maxLength} placeholder={placeholder} onInput={change} />
        <Examples {...props} />
      </>
    );
  }
  const type = field.kind === "password" ? "password" : typeOf(field.schema.format);
  const autocomplete = field.kind === "password" ? "new-password" : "off";
  return (
    <>
      <input {...common(props)} type={type as "text"} dir="auto" autocomplete={autocomplete} value={text} maxLength={field.schema.maxLength} placeholder={placeholder} onInput={change} />
      <Examples {...props} />
    </>
  );
}

function typeOf(format: string | undefined): "date" | "time" | "email" | "text" {
  return format === "date" || format === "time" || format === "email" ? format : "text";
}

function Examples(props: ControlProps) {
  if (!props.field.examples.length) return null;
  return (
    <div class="chips">
      {props.field.examples.slice(0, 6).map((each) => (
        <button type="button" class="chip" key={String(each)} onClick={() => props.onChange(props.path, each)}>{String(each)}</button>
      ))}
    </div>
  );
}

function NumberBox(props: ControlProps) {
  const { field, path, value } = props;
  const { schema } = field;
  const least: number | undefined = schema.minimum ?? (field.integer && schema.exclusiveMinimum !== undefined ? schema.exclusiveMinimum + 1 : schema.exclusiveMinimum);
  const most: number | undefined = schema.maximum ?? (field.integer && schema.exclusiveMaximum !== undefined ? schema.exclusiveMaximum - 1 : schema.exclusiveMaximum);
  const step = schema.multipleOf ?? (field.integer ? 1 : "any");
  const draft = useRef<string | null>(null);
  const change = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    draft.current = input.value; // "1." is on its way to 1.5
    if (input.value === "") props.onChange(path, field.nullable ? null : undefined);
    else if (Number.isFinite(input.valueAsNumber)) props.onChange(path, input.valueAsNumber);
  };
  const shown = draft.current !== null && Number(draft.current) === value ? draft.current : value === null || value === undefined ? "" : String(value);
  const slides = least !== undefined && most !== undefined && most - least <= WIDEST;
  const isSeed = field.integer && /(^|_)seed$/.test(field.key);
  return (
    <div class="number">
      {slides && (
        <input type="range" aria-label={`${field.title}, slider`} min={least} max={most} step={step === "any" ? (most - least) / 100 : step}
          value={typeof value === "number" ? value : least} onInput={change} />
      )}
      <input {...common(props)} type="number" inputMode={field.integer ? "numeric" : "decimal"} min={least} max={most} step={step}
        value={shown} placeholder={field.nullable ? (isSeed ? "Random" : "None") : undefined} onInput={change} />
      {isSeed && <button type="button" class="quiet" onClick={() => props.onChange(path, randomSeed(most))}>Random</button>}
    </div>
  );
}

function randomSeed(most: number | undefined): number {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  return number % (Math.min(most ?? 2 ** 31 - 1, 2 ** 31 - 1) + 1);
}

function Check(props: ControlProps) {
  const { field, path, value } = props;
  return (
    <label class="check">
      <input {...common(props)} required={false} type="checkbox" checked={value === true} onChange={(event) => props.onChange(path, event.currentTarget.checked)} />
      <span dir="auto">{field.title}</span>
    </label>
  );
}

function Choices(props: ControlProps) {
  const { field, path, value } = props;
  const few = field.choices.length <= FEW && field.choices.every((each) => each.label.length <= SHORT);
  const [name] = useState(() => `${idOf(path)}-choice`);
  const pick = (each: Json | undefined) => props.onChange(path, each);
  const none = field.nullable || value === undefined || (!field.required && field.initial === undefined);
  if (few) {
    return (
      <div class="segments" role="radiogroup" id={idOf(path)} tabIndex={-1} aria-label={field.title} aria-describedby={props.describedBy} aria-invalid={props.isWrong}>
        {field.nullable && <Segment name={name} label="None" isOn={value === null} onPick={() => pick(null)} />}
        {field.choices.map((each) => <Segment key={each.label} name={name} label={each.label} isOn={value === each.value} onPick={() => pick(each.value)} />)}
      </div>
    );
  }
  const at = field.choices.findIndex((each) => each.value === value);
  const change = (event: Event) => {
    const chosen = Number((event.currentTarget as HTMLSelectElement).value);
    pick(chosen < 0 ? (field.nullable ? null : undefined) : field.choices[chosen]?.value);
  };
  return (
    <select {...common(props)} value={String(at)} onChange={change}>
      {none && <option value="-1">{field.nullable ? "None" : "Choose…"}</option>}
      {field.choices.map((each, n) => <option key={n} value={String(n)}>{each.label}</option>)}
    </select>
  );
}
