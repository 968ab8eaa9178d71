// An answer, section by section, each with the viewer that fits it.

import { type ComponentType, Fragment } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Endpoint } from "../model/endpoints";
import { getIn, isObject, type Json } from "../model/json";
import { asFile, filesIn, isFile, type Output, outputsOf } from "../model/media";
import { urlOf } from "../model/values";
import { localOf } from "../form/uploads";
import { isOurs } from "../page";
import { CopyButton, Guard, Scroller } from "../ui";
import { ArchiveView } from "./archive";
import { FileLine, nameOf } from "./file";
import { Gallery, ImageView } from "./image";
import { ModelView } from "./model";
import { AudioView, VideoView } from "./players";

interface AnswerProps {
  endpoint: Endpoint;
  value: Json;
  input: Json | undefined;
  name: string;
}

export function Answer(props: AnswerProps) {
  const outputs = outputsOf(props.endpoint.reader, props.endpoint.output, props.value);
  return (
    <div class="outputs">
      {outputs.map((each) => (
        <section key={each.key} class="output" data-viewer={each.viewer} aria-label={each.title}>
          <h2 dir="auto">{each.title}</h2>
          {each.description && <p class="hint" dir="auto">{each.description}</p>}
          <Guard otherwise={<Scroller label={`${each.title} as JSON`}>{JSON.stringify(each.value, null, 2)}</Scroller>}>
            <OneView output={each} answer={props.value} input={props.input} />
          </Guard>
        </section>
      ))}
      {!outputs.length && <p class="hint">The answer is empty.</p>}
      <All value={props.value} name={props.name} />
    </div>
  );
}

function OneView(props: { output: Output; answer: Json; input: Json | undefined }) {
  const { output } = props;
  const { value, schema, title } = output;
  const file = asFile(value);
  switch (output.viewer) {
    case "image": return <ImageView file={file} title={title} before={beforeOf(schema, props.input)} />;
    case "video": return <VideoView file={file} title={title} fps={fpsOf(value)} captions={captionsOf(schema, props.answer)} />;
    case "audio": return <AudioView file={file} title={title} />;
    case "model3d": return <ModelView file={file} title={title} />;
    case "archive": return <ArchiveView file={file} />;
    case "file": return <><p><strong dir="auto">{nameOf(file)}</strong></p><FileLine file={file} media="file" /></>;
    case "gallery": return <Files output={output} />;
    case "markdown": return <LazyMarkdown text={String(value)} />;
    case "text": return <div class="text"><p class="prose pre" dir="auto">{String(value)}</p><CopyButton text={() => String(value)} label={`Copy ${title.toLowerCase()}`} /></div>;
    case "value": return <p class="value" dir="auto">{Array.isArray(value) ? value.map(String).join(", ") || "none" : String(value)}</p>;
    default: return <Scroller label={`${title} as JSON`}>{JSON.stringify(value, null, 2)}</Scroller>;
  }
}

/** Several files: pictures side by side, the rest one below the other. */
function Files(props: { output: Output }) {
  const { output } = props;
  const values = output.value as Json[];
  const types = values.map((each) => (isFile(each) ? each.content_type ?? "" : "image/"));
  if (types.every((type) => type.startsWith("image/"))) return <Gallery values={values} title={output.title} />;
  return (
    <>
      {values.map((each, n) => {
        const file = asFile(each);
        const title = `${output.title} ${n + 1}`;
        const type = types[n] ?? "";
        return (
          <Fragment key={file.url}>
            {type.startsWith("video/") ? <VideoView file={file} title={title} fps={fpsOf(each)} captions={undefined} />
              : type.startsWith("audio/") ? <AudioView file={file} title={title} />
              : type.startsWith("image/") ? <ImageView file={file} title={title} before={undefined} />
              : <><p><strong dir="auto">{nameOf(file)}</strong></p><FileLine file={file} media="file" /></>}
          </Fragment>
        );
      })}
    </>
  );
}

/** Return the picture that went in, where the schema asks for a comparison. */
function beforeOf(schema: { [key: string]: any }, input: Json | undefined): string | undefined {
  const name = schema.ui?.compare;
  if (typeof name !== "string") return undefined;
  const url = urlOf(getIn(input, name.split(".")));
  const source = localOf(url) ?? url;
  return source && isOurs(source) ? source : undefined;
}

function captionsOf(schema: { [key: string]: any }, answer: Json): string | undefined {
  const name = schema.ui?.captions;
  const url = typeof name === "string" ? urlOf(getIn(answer, [name])) : "";
  return url && isOurs(url) ? url : undefined;
}

function fpsOf(value: Json): number | undefined {
  const fps = getIn(value, ["metadata", "fps"]);
  return typeof fps === "number" && fps > 0 ? fps : undefined;
}

export function LazyMarkdown(props: { text: string }) {
  const [View, setView] = useState<ComponentType<{ text: string }> | null>(null);
  useEffect(() => {
    import("./markdown").then(({ Markdown }) => setView(() => Markdown), () => undefined);
  }, []);
  return View ? <View text={props.text} /> : <p class="prose pre">{props.text}</p>;
}

/** One button for all files, where there are several. */
function All(props: { value: Json; name: string }) {
  const files = filesIn(props.value).filter((each) => isOurs(each.url));
  const [said, say] = useState("");
  if (files.length < 2) return null;
  const load = async () => {
    say("0 of " + files.length);
    try {
      const { bundle } = await import("./bundle");
      await bundle(files, `${props.name}.zip`, (count) => say(`${count} of ${files.length}`));
      say("");
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  };
  return <p><button type="button" class="quiet" onClick={load}>Download all {files.length} files as ZIP</button> <span role="status">{said}</span></p>;
}

/** What a streaming endpoint has sent so far: texts run together, the last of everything else. */
export function Parts(props: { endpoint: Endpoint; parts: Json[]; input: Json | undefined; name: string }) {
  const { parts } = props;
  const last = parts[parts.length - 1];
  if (last === undefined) return null;
  if (parts.every((each) => typeof each === "string")) return <p class="prose pre" dir="auto">{parts.join("")}</p>;
  const text = parts.map(deltaOf).join("");
  return (
    <>
      {text && <p class="prose pre" dir="auto" data-part="text">{text}</p>}
      {!(text && isOnlyDelta(last)) && <Answer {...props} value={last} />}
    </>
  );
}

const DELTAS = ["delta", "token"];

function deltaOf(part: Json): string {
  if (!isObject(part)) return "";
  const name = DELTAS.find((each) => typeof part[each] === "string");
  return name ? String(part[name]) : "";
}

function isOnlyDelta(part: Json): boolean {
  return isObject(part) && Object.keys(part).every((key) => DELTAS.includes(key));
}
