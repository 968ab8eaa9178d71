// What is in a ZIP, read from its last bytes: the archive itself stays where it is.

import { useEffect, useState } from "preact/hooks";
import { bytes } from "../model/json";
import type { FileValue } from "../model/media";
import { type Member, membersIn, tableIn } from "../model/zip";
import { isOurs } from "../page";
import { dragged, FileLine, nameOf } from "./file";

const TAIL = 66_000; // the record at the end, and the longest comment after it
const LARGEST_TABLE = 4_000_000;

export function ArchiveView(props: { file: FileValue }) {
  const { file } = props;
  const [members, setMembers] = useState<Member[] | null>(null);
  const [mistake, tell] = useState("");
  useEffect(() => {
    if (!isOurs(file.url)) return;
    read(file.url).then(setMembers, (error: Error) => tell(error.message));
  }, [file.url]);
  return (
    <figure class="media" {...dragged(file.url)}>
      <p><strong dir="auto">{nameOf(file)}</strong></p>
      {mistake && <p class="notice">{mistake}</p>}
      {members && (
        <details open={members.length <= 12}>
          <summary>{members.length} members</summary>
          <ul class="members">
            {members.map((each) => <li key={each.name}><span dir="auto">{each.name}</span> <span class="hint">{each.name.endsWith("/") ? "" : bytes(each.size)}{each.isEncrypted ? ", encrypted" : ""}</span></li>)}
          </ul>
        </details>
      )}
      <figcaption><FileLine file={file} media="file" /></figcaption>
    </figure>
  );
}

async function read(url: string): Promise<Member[]> {
  const tail = await part(url, `bytes=-${TAIL}`);
  const table = tableIn(tail);
  if (!table) throw new Error("This is no ZIP whose members can be listed; download it.");
  if (table.size > LARGEST_TABLE) throw new Error(`It has ${table.entries} members: too many to list here.`);
  if (!table.size) return [];
  return membersIn(await part(url, `bytes=${table.offset}-${table.offset + table.size - 1}`));
}

async function part(url: string, range: string): Promise<Uint8Array> {
  const answer = await fetch(url, { headers: { range } });
  if (answer.status !== 206) {
    if (answer.ok && Number(answer.headers.get("content-length")) <= TAIL) return new Uint8Array(await answer.arrayBuffer());
    throw new Error(answer.status === 410 ? "This file expired; run it again." : `The members cannot be listed: the server answered ${answer.status}.`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}
