// The outline of a sound: for each stretch of it, how loud it gets.

/** Return *count* numbers from 0 to 1, of which the largest is 1 (all 0 for silence). */
export function peaksOf(channels: readonly Float32Array[], count: number): number[] {
  const length = channels[0]?.length ?? 0;
  const peaks = Array.from({ length: count }, (_, n) => loudest(channels, Math.floor((n * length) / count), Math.ceil(((n + 1) * length) / count)));
  const most = peaks.reduce((a, b) => Math.max(a, b), 0);
  return most ? peaks.map((each) => each / most) : peaks;
}

function loudest(channels: readonly Float32Array[], from: number, to: number): number {
  let most = 0;
  for (const samples of channels) for (let n = from; n < to; n += 1) most = Math.max(most, Math.abs(samples[n] ?? 0));
  return most;
}
