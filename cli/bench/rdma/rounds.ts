/** Two ends by their numbers; bytes go from the first to the second. */
export type Pair = readonly [from: number, to: number];

/**
 * A round-robin tournament by the circle method: every ordered pair of `n` ends once, in slots in which no end is
 * twice, so that all pairs of a slot can run at the same time. An even `n` takes n-1 rounds, an odd one n (an end
 * rests in each); a round is two slots, there and back.
 */
export function tournament(n: number): Pair[][] {
  return roundsOf(n).flatMap(both);
}

/**
 * `rounds` of the tournament, spread over it: each end meets so many others, both ways. For clusters of which all
 * pairs would take days.
 *
 * @param random from 0 to 1; the same numbers choose the same pairs.
 */
export function sampled(n: number, rounds: number, random: () => number): Pair[][] {
  const order = shuffled(
    Array.from({ length: n }, (_, i) => i),
    random,
  );
  const chosen = shuffled(roundsOf(n), random).slice(0, rounds);
  return chosen.map((round) => round.map(([from, to]): Pair => [order[from]!, order[to]!])).flatMap(both);
}

/** Each end in turn is what all others send to at once. */
export function incasts(n: number): Pair[][] {
  const ends = Array.from({ length: n }, (_, i) => i);
  return n < 3 ? [] : ends.map((to) => ends.filter((from) => from !== to).map((from): Pair => [from, to]));
}

/** One end stands still, the others go round it; the odd one out of an odd number rests. */
function roundsOf(n: number): Pair[][] {
  if (n < 2) return [];
  const size = n + (n % 2);
  return Array.from({ length: size - 1 }, (_, round) => {
    const seat = (i: number) => (i === 0 ? 0 : 1 + ((i - 1 + round) % (size - 1)));
    const pairs = Array.from({ length: size / 2 }, (_, i): Pair => [seat(i), seat(size - 1 - i)]);
    return pairs.filter(([one, other]) => one < n && other < n);
  });
}

const both = (round: readonly Pair[]): Pair[][] => [[...round], round.map(([from, to]): Pair => [to, from])];

/** Fisher and Yates. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}
