import { describe, expect, it } from "vitest";
import { peaksOf } from "../src/model/peaks";

const samples = (...of: number[]) => Float32Array.from(of);

describe("the outline of a sound", () => {
  it.each<[string, Float32Array[], number, number[]]>([
    ["the loudest of each stretch", [samples(0.5, -1, 0, 0.25)], 2, [1, 0.25]],
    ["the louder channel", [samples(0.5, 0), samples(0, -0.25)], 2, [1, 0.5]],
    ["as loud as it gets is 1", [samples(0.125, 0.0625)], 2, [1, 0.5]],
    ["silence", [samples(0, 0)], 2, [0, 0]],
    ["fewer samples than bars", [samples(1, 0.5)], 4, [1, 1, 0.5, 0.5]],
    ["no sound", [], 2, [0, 0]],
    ["no room", [samples(1)], 0, []],
  ])("%s", (_, channels, count, peaks) => {
    expect(peaksOf(channels, count)).toEqual(peaks);
  });
});
